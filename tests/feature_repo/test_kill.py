"""Real processes: killed with -9 at random moments, and two at once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from feature_repo.compaction import compact, gc
from feature_repo.fill import fill
from feature_repo.store import Store, init_store, open_store
from tests.feature_repo.planted import (
    STEPS,
    TEXT,
    Extraction,
    expected_value,
    live,
    new_store,
    rows,
    stored_live,
    texts,
    values,
)

KILLS = 20
RECIPES = [TEXT, STEPS]
ROOT = Path(__file__).parents[2]
# An extraction as slow as a small model, flushed often. It tells of each item before it computes it, and of each part
# after it was committed.
SCRIPT = """
import sys, time
from feature_repo.fill import fill
from feature_repo.store import open_store
from tests.feature_repo.planted import STEPS, TEXT, Extraction

root, cache, log, seconds = sys.argv[1:]
out = open(log, "a", buffering=1)
store = open_store(root, cache=cache)
recipes = [TEXT, STEPS]


def hook(moment, operation, path):
    if moment == "after" and operation == "replace":
        out.write("committed " + path + "\\n")


def before_each(done):
    time.sleep(float(seconds))


class Telling(Extraction):
    def outcome(self, recipe, row):
        out.write("computed " + recipe.view + " " + row["utterance_id"] + "\\n")
        return Extraction.outcome(recipe, row)


store.files.hook = hook
out.write("began\\n")
fill(store, recipes, Telling(store, recipes, before_each), flush_bytes=200)
out.write("ended\\n")
"""


def start(store: Store, log: Path, seconds: float) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", SCRIPT, store.root, str(store.cache), str(log), str(seconds)]
    return subprocess.Popen(
        arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True
    )


def wait_for(log: Path, word: str, process: subprocess.Popen[bytes]) -> None:
    while not (log.exists() and word in log.read_text()):
        assert process.poll() is None, "the extraction failed"
        time.sleep(0.002)


def computed(log: Path) -> list[tuple[str, str]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [
        tuple(line.split()[1:]) for line in lines if line.startswith("computed") and len(line.split()) == 3
    ]


def stored(store: Store) -> set[tuple[str, str]]:
    """(view, utterance) of every row that a new process finds."""
    again = open_store(store.root)
    return {
        (recipe.view, name)
        for recipe in RECIPES
        if recipe.view in again.views()
        for name in stored_live(again, recipe)
    }


@pytest.fixture
def uninterrupted(tmp_path) -> dict[str, dict[str, object]]:
    """What a run that nothing disturbs stores, by view."""
    store = init_store(str(tmp_path / "whole"))
    store.write_manifest("c", rows(CONTENTS))
    fill(store, RECIPES, Extraction(store, RECIPES))
    return {recipe.view: dict(sorted(live(store, recipe).items())) for recipe in RECIPES}


CONTENTS = {**texts("c", 150), "c/empty": "", "c/broken": "broken"}


def test_twenty_kills_cost_unflushed_rows_alone(tmp_path, uninterrupted):
    store = new_store(tmp_path)
    store.write_manifest("c", rows(CONTENTS))
    dice = random.Random(20)
    moments = [dice.uniform(0, 0.12) for _ in range(KILLS)]
    killed_at_work = 0
    for number, moment in enumerate(moments):
        log = tmp_path / f"{number}.log"
        safe = stored(store)
        process = start(store, log, 0.001)
        wait_for(log, "began", process)
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        killed_at_work += "ended" not in log.read_text()
        now = stored(store)
        assert safe <= now, "a kill took what was stored"
        assert not safe & set(computed(log)), "what was stored was computed again"
        # At most one part's rows are lost in each view: what was told computed, less what is there, is the end of it.
        for recipe in RECIPES:
            told = [item for item in computed(log) if item[0] == recipe.view and item[1] != "c/broken"]
            lost = [item for item in told if item not in now]
            assert lost == told[len(told) - len(lost) :]
            sizes = [len(CONTENTS[name]) * 4 if recipe is STEPS else 16 for _, name in lost]
            assert sum(sizes[:-1]) < 200, "more than one part's worth was lost"
    assert killed_at_work >= KILLS // 2, "most ended before they were killed: compute slower"
    store = open_store(store.root)
    extraction = Extraction(store, RECIPES)
    fill(store, RECIPES, extraction)
    assert not set(extraction.asked) & now
    for recipe in RECIPES:
        found = live(store, recipe)
        assert dict(sorted(found.items())) == stored_live(store, recipe) == uninterrupted[recipe.view]
        compact(store.table(recipe.view))
        gc(store.table(recipe.view), 0)
        assert stored_live(open_store(store.root), recipe) == uninterrupted[recipe.view]


def test_two_extractions_at_once_lose_and_double_nothing(tmp_path, uninterrupted):
    store = new_store(tmp_path)
    store.write_manifest("c", rows(CONTENTS))
    logs = [tmp_path / f"{number}.log" for number in range(2)]
    processes = [start(store, log, 0.0005) for log in logs]
    for process in processes:
        assert process.wait(60) == 0
    reader = open_store(store.root)
    for recipe in RECIPES:
        assert dict(sorted(live(reader, recipe).items())) == uninterrupted[recipe.view]
        assert stored_live(reader, recipe) == uninterrupted[recipe.view]
    extraction = Extraction(reader, RECIPES)
    assert fill(reader, RECIPES, extraction).computed == 0
    assert set(computed(logs[0])) | set(computed(logs[1])) == {
        (r.view, name) for r in RECIPES for name in CONTENTS
    }


def test_readers_and_a_compactor_beside_an_extraction(tmp_path, uninterrupted):
    """A reader never sees a row twice, a wrong value, or fewer rows than before; nobody stops the writer."""
    store = new_store(tmp_path)
    store.write_manifest("c", rows(CONTENTS))
    log = tmp_path / "log"
    process = start(store, log, 0.002)
    most, looks = 0, 0
    wait_for(log, "committed features", process)
    while process.poll() is None:
        reader = open_store(store.root)
        if TEXT.view in reader.views():
            found = live(reader, TEXT)  # fails at a doubled row
            assert len(found) >= most
            most, looks = len(found), looks + 1
            assert values(found) == {name: expected_value(TEXT, CONTENTS[name]) for name in found}
            if looks % 3 == 0:
                compact(reader.table(TEXT.view))
                gc(reader.table(TEXT.view), 0)
    assert process.wait() == 0
    assert looks >= 3
    for recipe in RECIPES:
        assert stored_live(store, recipe) == uninterrupted[recipe.view]
