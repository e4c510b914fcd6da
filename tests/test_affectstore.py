"""The public import and the command line: what every command has in common, from the outside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import affectstore
import feature_repo.commands
from feature_repo.errors import UnknownNameError

ROOT = Path(__file__).parent.parent

# Each costs seconds to import, or isn't part of the base installation.
HEAVY = {
    "av", "cv2", "deepface", "duckdb", "faster_whisper", "feast", "ibis", "librosa", "matplotlib", "numba", "pandas",
    "pyarrow", "polars", "ray", "resemblyzer", "scipy", "sentence_transformers", "sklearn", "torch", "torchmetrics",
    "transformers", "ultralytics",
}  # fmt: skip


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AFFECTSTORE_")}
    return subprocess.run(
        [sys.executable, "-m", "affectstore", *arguments],
        cwd=ROOT,
        env={**inherited, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def imported_by(code: str) -> set[str]:
    script = f"import json, sys\n{code}\njson.dump(sorted(sys.modules), sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(done.stderr))


def test_help_teaches_every_room_and_imports_nothing_heavy() -> None:
    code = "import affectstore\nsys.argv = ['affectstore', '--help']\ntry: affectstore.main()\nexcept SystemExit: pass"
    assert imported_by(code) & HEAVY == set()
    shown = run("--help")
    assert shown.returncode == 0
    for command in (
        "init",
        "status",
        "pull",
        "register",
        "ingest",
        "extract",
        "demo",
        "train",
        "runs",
        "embed",
        "predict",
    ):
        assert f" {command} " in shown.stdout
    assert "Quick start" in shown.stdout


def every_command() -> list[str]:
    return list(typer.main.get_command(affectstore.command_line()).commands)


@pytest.mark.parametrize("command", every_command())
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        affectstore.command_line()([command, "--help"])
    assert stop.value.code == 0
    usage, summary = [line for line in capsys.readouterr().out.splitlines() if line.strip()][:2]
    assert command in usage
    assert len(summary.strip()) > 10


def test_no_room_takes_anothers_command() -> None:
    assert len(every_command()) == len(affectstore.command_line().registered_commands)


def test_open_store_is_the_stores_own_and_lazy() -> None:
    from affectstore import open_store
    from feature_repo import store

    assert open_store is store.open_store
    assert imported_by("import affectstore") & HEAVY == set()
    assert (
        imported_by("from affectstore import open_store") & {"torch", "feast", "pandas", "sklearn"} == set()
    )


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="open_shop"):
        affectstore.open_shop  # noqa: B018


def test_version_is_the_installed_one() -> None:
    assert run("--version").stdout.split() == ["affectstore", affectstore.__version__]


def test_no_arguments_shows_help() -> None:
    assert "Usage" in run().stdout + run().stderr


def test_an_unknown_command_is_named() -> None:
    done = run("extrct")
    assert done.returncode == 2
    assert "extrct" in done.stderr


def test_a_root_that_is_no_store_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    done = run("status", "--root", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert str(tmp_path / "nowhere") in done.stderr


def test_no_root_at_all_says_how_to_name_one() -> None:
    done = run("status")
    assert done.returncode == 1
    assert "AFFECTSTORE_ROOT" in done.stderr
    assert "Traceback" not in done.stderr


def stub_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def add_commands(app: typer.Typer) -> None:
        @app.command()
        def fail() -> None:
            """Fails."""
            raise error

    monkeypatch.setattr(feature_repo.commands, "add_commands", add_commands)
    monkeypatch.setattr(sys, "argv", ["affectstore", "fail"])


def test_an_answer_to_the_user_keeps_its_brackets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub_command(monkeypatch, UnknownNameError("view", "[red]x[/]", ["b", "a"]))
    with pytest.raises(SystemExit) as stop:
        affectstore.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == "error: unknown view '[red]x[/]'; allowed: a, b\n"


def test_an_interrupt_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_command(monkeypatch, KeyboardInterrupt())
    with pytest.raises(SystemExit) as stop:
        affectstore.main()
    assert stop.value.code == 130


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub_command(monkeypatch, ModuleNotFoundError("No module named 'feast.repo'", name="feast.repo"))
    with pytest.raises(SystemExit) as stop:
        affectstore.main()
    assert stop.value.code == 1
    assert capsys.readouterr().err == "error: feast is not installed: pip install 'affectstore[feast]'\n"


def test_a_missing_module_of_ours_is_not_taken_for_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_command(monkeypatch, ModuleNotFoundError("No module named 'feature_repo.x'", name="feature_repo.x"))
    with pytest.raises(ModuleNotFoundError):
        affectstore.main()


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_command(monkeypatch, ZeroDivisionError("a defect"))
    with pytest.raises(ZeroDivisionError):
        affectstore.main()


def test_a_damaged_part_is_one_warning_line_without_the_place_in_the_code(tmp_path: Path) -> None:
    from feature_repo.recipe import Recipe
    from feature_repo.store import init_store

    store = init_store(str(tmp_path / "store"))
    recipe = Recipe("text", "letters", 1, "text", "pooled", 2)
    store.ensure_table(recipe)
    store.files.write(f"features/{recipe.view}/part-00000000000000001-abc.parquet", b"half of it")
    done = run("status", "--root", store.root)
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "warning" in line.lower()]
    assert line.startswith("warning: part part-00000000000000001-abc.parquet")
    assert "1 damaged parts" in done.stderr
