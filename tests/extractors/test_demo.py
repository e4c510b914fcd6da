"""The demo, as a user runs it: once the whole way, and again without computing anything."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from extractors.corpora.demo_corpus import FAULTS, DemoCorpus
from extractors.demo import Demo, Step, _compare, _steps
from feature_repo.recipe import Recipe
from feature_repo.store import init_store

REPOSITORY = Path(__file__).parents[2]


def affectstore(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "affectstore", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    demo = Demo(tmp_path)
    store = init_store(str(demo.store), cache=str(tmp_path / "cache"))
    store.ensure_table(Recipe("text", "hashing", 1, "text", "pooled", 4))
    store.ensure_table(Recipe("speech", "mfcc", 1, "media", "pooled", 4))
    return demo


def fault(utterance: str, view: str) -> dict[str, str]:
    return {"view": view, "utterance_id": f"demo/{utterance}", "error": "MissingMedia"}


def test_planted_and_found_are_compared_both_ways(demo: Demo) -> None:
    corpus = DemoCorpus(demo.folder, 3, {"train/dia0_utt0": "missing"}, made=True)
    (view,) = (name.name for name in (demo.store / "features").iterdir() if name.name.startswith("speech"))
    right = fault("train/dia0_utt0", view)
    assert _compare(demo, corpus, [right])
    assert not _compare(demo, corpus, [])
    assert not _compare(demo, corpus, [right, fault("train/dia0_utt1", view)])
    assert not _compare(demo, corpus, [fault("train/dia0_utt0", "text_hashing_00000000")])


def test_a_command_that_fails_is_told(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert not demo.run(Step("A mistake.", ("corpora", "nothing")))
    assert demo.failed == ["affectstore corpora nothing"]
    assert demo.run(Step("A list.", ("corpora",)))
    assert [command for command, _ in demo.seconds] == ["affectstore corpora nothing", "affectstore corpora"]


def test_every_step_is_a_command_there_is(tmp_path: Path) -> None:
    import typer.main

    from affectstore import command_line

    known = typer.main.get_command(command_line()).commands  # type: ignore[attr-defined]
    used = {step.arguments[0] for step in _steps(Demo(tmp_path))}
    assert used <= set(known)
    assert {"init", "ingest", "extract", "status", "faults", "register", "pull", "train", "runs"} <= used


@pytest.mark.long
def test_the_whole_way_twice(tmp_path: Path) -> None:
    first = affectstore("demo", "--folder", str(tmp_path / "demo"))
    assert first.returncode == 0, first.stdout + first.stderr
    assert "all 5 planted faults were found, and no other utterance failed" in first.stdout
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo/store/features").rglob("*.parquet")}
    assert parts
    again = affectstore("demo", "--folder", str(tmp_path / "demo"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "0 computed" in again.stdout
    assert "3 runs, 0 new" in again.stdout
    assert {
        path: path.stat().st_mtime_ns for path in (tmp_path / "demo/store/features").rglob("*.parquet")
    } == parts
    root = str(tmp_path / "demo" / "store")
    rows = json.loads(affectstore("faults", "--json", AFFECTSTORE_ROOT=root).stdout)
    assert {row["utterance_id"].removeprefix("demo/") for row in rows} == set(FAULTS)
