"""`ingest` and `corpora` as a user types them."""

from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from extractors.corpora import commands
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.store import init_store, open_store


@pytest.fixture
def root(tmp_path: Path) -> str:
    return init_store(str(tmp_path / "store")).root


def run(*arguments: object) -> Result:
    app = typer.Typer()
    commands.add_commands(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def table(folder: Path, *rows: str, header: str = "id,words,mood,clip") -> Path:
    path = folder / "calls.csv"
    path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return path


def ingest(root: str, path: Path, *more: object) -> str:
    maps = (
        "--map",
        "utterance_id=id",
        "--map",
        "text=words",
        "--map",
        "label_raw=mood",
        "--map",
        "media_uri=clip",
    )
    return run(
        "ingest", "table", path, "--name", "calls", *maps, "--label", "a=b=joy", *more, "--root", root
    ).output


def test_a_table_becomes_a_manifest_and_the_counts_are_told(tmp_path: Path, root: str) -> None:
    (tmp_path / "1.wav").write_bytes(b"sound")
    told = ingest(root, table(tmp_path, "1,Hi,a=b,1.wav", "2,Bye,anger,2.wav", "3,,,"))
    rows = open_store(root).manifest(["calls"])
    assert rows["utterance_id"].to_list() == ["calls/1", "calls/2", "calls/3"]
    assert rows["emotion"].to_list() == ["joy", "anger", None]
    assert rows["media_digest"].is_null().to_list() == [False, True, True]
    for piece in (
        "all 3",
        "anger 1, joy 1, left out or unlabelled 1",
        "3 added, 0 changed, 0 removed",
        "generation 1",
    ):
        assert piece in told
    assert [line.split()[-1] for line in told.splitlines() if "missing media" in line] == ["1"]


def test_what_changed_since_the_last_ingest_is_told(tmp_path: Path, root: str) -> None:
    ingest(root, table(tmp_path, "1,Hi,,", "2,Bye,,"))
    assert "1 added, 1 changed, 1 removed" in ingest(root, table(tmp_path, "1,Hello,,", "3,New,,"))
    assert "0 added, 0 changed, 0 removed" in ingest(root, table(tmp_path, "1,Hello,,", "3,New,,"))


def test_media_folder_options_and_name_reach_the_reader(tmp_path: Path, root: str) -> None:
    ingest(root, table(tmp_path, "1,Hi,,a.wav"), "--media", "/clips", "--option", "language=de")
    (row,) = open_store(root).manifest(["calls"]).iter_rows(named=True)
    assert (row["media_uri"], row["language"]) == ("/clips/a.wav", "de")


def test_wrong_arguments_are_answered_before_anything_is_written(tmp_path: Path, root: str) -> None:
    path = table(tmp_path, "1,Hi,,")
    for error, match, arguments in (
        (UnknownNameError, "allowed: .*crowdflower", ("ingest", "nothing", path)),
        (UnknownNameError, "'worri'; allowed: worry", ("ingest", "crowdflower", path, "-o", "worri=fear")),
        (BadInputError, "expected KEY=VALUE", ("ingest", "table", path, "--name", "a", "--map", "text")),
        (
            BadInputError,
            "--map text is given twice",
            ("ingest", "table", path, "--map", "text=a", "--map", "text=b"),
        ),
        (BadInputError, "--media is given twice", ("ingest", "meld", path, "-o", "media=a", "--media", "b")),
    ):
        with pytest.raises(error, match=match):
            run(*arguments, "--root", root)
    assert open_store(root).corpora() == []


def test_corpora_lists_every_reader_or_one() -> None:
    told = run("corpora").output
    for piece in ("meld", "CC BY-NC-SA 4.0", "recuts=prefer|drop", "worry=drop|fear"):
        assert piece in told
    assert "ravdess" not in run("corpora", "meld").output
    with pytest.raises(UnknownNameError, match="allowed: .*crowdflower"):
        run("corpora", "melt")


def test_ingest_of_real_annotations(samples: Path, root: str) -> None:
    told = run("ingest", "meld", samples / "data" / "meld", "--root", root).output
    assert "train 9,989, test 2,610, dev 1,109" in told
    store = open_store(root)
    assert store.manifest(["meld"]).height == 13_708
