"""The demo, as a user runs it: once the whole way, and again without computing anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from extractors.demo import Demo, Step, fusion_steps, prediction_steps, steps

REPOSITORY = Path(__file__).parents[2]


def affectstore(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "affectstore", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


def test_a_command_that_fails_is_told(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert not demo.run(Step("A mistake.", ("corpora", "nothing")))
    assert demo.failed == ["affectstore corpora nothing"]
    assert demo.run(Step("A list.", ("corpora",)))
    assert [command for command, _ in demo.seconds] == ["affectstore corpora nothing", "affectstore corpora"]


def test_every_step_is_a_command_there_is_with_options_that_it_has(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer.main

    from affectstore import command_line

    known = typer.main.get_command(command_line()).commands  # type: ignore[attr-defined]
    used = set()
    # The parts that name runs, as if there were some.
    monkeypatch.setattr("extractors.demo._run_on", lambda demo, model, slots: "3f9a")
    clip = demo.corpus / "MELD.Raw" / "test" / "any" / "dia0_utt0.mp4"
    clip.parent.mkdir(parents=True)
    clip.touch()
    (demo.corpus / "test_sent_emo.csv").write_text("Utterance,Speaker,Emotion\nWow!,Ada,surprise\n", "utf-8")
    for step in [*steps(demo), *fusion_steps(demo), *prediction_steps(demo)]:
        name, *arguments = step.arguments
        known[name].make_context(name, list(arguments))
        used.add(name)
    assert {"init", "ingest", "speakers", "extract", "calibrate", "derive", "quality"} <= used
    assert {"status", "faults", "register", "pull", "train", "embed", "runs", "predict"} <= used


def test_without_the_runs_nothing_is_built_on_them(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Demo, "ask", lambda self, *arguments: None)
    assert fusion_steps(demo) == prediction_steps(demo) == []


def test_thresholds_of_an_earlier_run_stay(demo: Demo) -> None:
    before = [step.arguments for step in steps(demo)]
    demo.store.mkdir()
    (demo.store / "quality.toml").write_text("", "utf-8")
    after = [step.arguments for step in steps(demo)]
    assert [each for each in before if each not in after] == [("calibrate", "face", "--write")]


@pytest.mark.long
def test_the_whole_way_twice(tmp_path: Path) -> None:
    first = affectstore("demo", "--folder", str(tmp_path / "demo"))
    assert first.returncode == 0, first.stdout + first.stderr
    assert "all 5 planted faults were found, and no other utterance failed" in first.stdout
    assert (
        "all 18 planted utterances were removed for their reason, and no other utterance was" in first.stdout
    )
    assert "of six channels the third was heard" in first.stdout
    assert {path.suffix for path in (tmp_path / "demo" / "figures").iterdir()} == {".png", ".svg"}
    sheets = {path.stem for path in (tmp_path / "demo" / "sheets").iterdir()}
    assert {"sheet_no_match", "sheet_no_face", "sheet_passed"} <= sheets
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo/store/features").rglob("*.parquet")}
    assert parts
    again = affectstore("demo", "--folder", str(tmp_path / "demo"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "0 computed" in again.stdout
    assert "6 runs, 0 new" in again.stdout
    assert first.stdout.count("predict") >= 2
    assert {
        path: path.stat().st_mtime_ns for path in (tmp_path / "demo/store/features").rglob("*.parquet")
    } == parts
