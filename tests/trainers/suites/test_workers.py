"""Suites over several processes: the same results as in one, what dies is told, and what was killed goes on."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from feature_repo.store import open_store
from tests.trainers.conftest import Planted
from trainers.runs.run import finished_runs
from trainers.suites.suite import load_suite
from trainers.suites.suite_run import run_suite
from trainers.suites.workers import Workers, pieces_of
from trainers.train import Progress

_TEXT = (
    "title: mine\nexperiment: {model: gated, slots: [text, speech], seeds: [0, 1], settings: {lr: 0.01}}\n"
    "variants:\n  one: {}\n  two: {settings: {latent: 64}}\n  three: {start: two, settings: {latent: 64, lr: 0.001}}\n"
)
# What the numbers of a run are, whoever trained it and when.
_SAME = ("variant", "seed", "fold", "selection", "accuracy", "weighted_f1", "macro_f1", "uar", "rows", "run")
_SCRIPT = """
import sys
from feature_repo.store import open_store
from trainers.suites.suite import load_suite
from trainers.suites.suite_run import run_suite

if __name__ == "__main__":
    root, cache, file, workers = sys.argv[1:]
    run_suite(open_store(root, cache=cache), load_suite(file), workers=int(workers))
"""


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "OMP_NUM_THREADS", "1"
    )  # sums over other numbers of threads differ in their last digits


def _file(folder: Path, epochs: int) -> Path:
    path = folder / "mine.yaml"
    settings = f"settings: {{lr: 0.01, max_epochs: {epochs}, patience: {epochs}}}"
    path.write_text(_TEXT.replace("settings: {lr: 0.01}", settings))
    return path


def _results(planted: Planted) -> list[Any]:
    data = planted.store.files.read("suites/mine.parquet")
    return pl.read_parquet(io.BytesIO(data)).select(_SAME).rows()


def _copy(planted: Planted, folder: Path) -> Planted:
    """The same store elsewhere, without runs."""
    import shutil

    root = folder / "copy"
    shutil.copytree(planted.store.root, root, ignore=shutil.ignore_patterns("runs", "suites", "tmp"))
    store = open_store(str(root), cache=str(folder / "copied-cache"))
    return Planted(store, planted.text, planted.speech, planted.vectors)


@pytest.mark.long
def test_two_processes_come_to_the_results_of_one_and_tell_how_far_they_are(
    planted: Planted, tmp_path: Path
) -> None:
    other = _copy(planted, tmp_path)
    asked = load_suite(str(_file(tmp_path, 3)))
    begun: list[tuple[str, int]] = []
    ended: list[tuple[str, bool]] = []

    def on_training(what: str, config: object) -> Progress:
        def on_begin(seed: int, fold: int, key: str, identity: Mapping[str, Any]) -> None:
            assert identity["seed"] == seed
            begun.append((what, seed))

        return Progress(on_begin, None, lambda run, trained: ended.append((run.key, trained)))

    done = run_suite(planted.store, asked, workers=2, on_training=on_training)
    assert [one.name for one in done.variants] == ["one", "two", "three"]
    assert sorted(begun) == [(name, seed) for name in ("one", "three", "two") for seed in (0, 1)]
    assert sorted(ended) == sorted((run.key, True) for run in finished_runs(planted.store.files))
    # What a variant begins from is there before it begins.
    assert max(begun.index(("two", seed)) for seed in (0, 1)) < min(begun.index(("three", s)) for s in (0, 1))
    run_suite(other.store, asked)
    assert _results(planted) == _results(other)


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_suite_leaves_no_process_and_goes_on_to_equal_results(
    planted: Planted, tmp_path: Path, how: signal.Signals
) -> None:
    other = _copy(planted, tmp_path)
    file, script = _file(tmp_path, 60), tmp_path / "run.py"
    script.write_text(_SCRIPT)
    cache = str(planted.store.cache.parent)
    words = [sys.executable, str(script), planted.store.root, cache, str(file), "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        runs = Path(planted.store.root) / "runs"
        deadline = time.monotonic() + 120
        # In the middle: some run is saved to go on from.
        while not list(runs.glob("*/resume.pt")) and time.monotonic() < deadline:
            assert running.poll() is None
            time.sleep(0.02)
        children = _children(running.pid)
        assert children
        running.send_signal(how)
        assert running.wait(60) != 0
        deadline = time.monotonic() + 60
        while any(_alive(child) for child in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(_alive(child) for child in children)
    finally:
        if running.poll() is None:
            running.kill()
    before = {run.key for run in finished_runs(planted.store.files)}
    assert len(before) < 6
    asked = load_suite(str(file))
    done = run_suite(planted.store, asked, workers=2)
    assert before <= {run.key for one in done.variants for run in one.trained.runs}
    run_suite(other.store, asked)
    assert _results(planted) == _results(other)


@pytest.mark.long
def test_a_process_that_dies_takes_its_piece_alone(planted: Planted, tmp_path: Path) -> None:
    asked = load_suite(str(_file(tmp_path, 40))).changed({"seeds": (0, 1)})
    one, two = pieces_of("one", asked.experiments()["one"], None)
    killed: list[int] = []

    def on_training(what: str, config: object) -> Progress:
        def on_begin(seed: int, fold: int, key: str, identity: Mapping[str, Any]) -> None:
            if not killed:
                killed.extend(_children(os.getpid())[-1:])
                os.kill(killed[0], signal.SIGKILL)

        return Progress(on_begin)

    workers = Workers(1, planted.store, on_training=on_training)
    with workers.running():
        workers.begin(one)
        assert not workers.has_room
        piece, why = workers.next_ended()
        assert (piece, workers.busy) == (one, 0)
        assert why is not None
        assert "exit code -9" in why
        workers.begin(two)
        assert workers.next_ended() == (two, None)
    assert {run.record["seed"] for run in finished_runs(planted.store.files)} == {1}


def _children(process: int) -> list[int]:
    """Processes that this one spawned, without Python's own tracker of resources."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            spawned = b"spawn_main" in (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if parent == process and spawned:
            found.append(int(folder.name))
    return sorted(found)


def _alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
