"""A colleague's store: pulled and searched by someone who may only read it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.files import FileLayer
from feature_repo.fill import fill
from feature_repo.named_verdicts import NamedVerdict
from feature_repo.selection import Selection
from feature_repo.selections import NamedSelection
from feature_repo.store import Store, cache_folder, open_store
from tests.feature_repo.planted import STEPS, TEXT, Extraction, fast_folder, new_store, numbers, rows

SAID = {f"c/{number}": f"words {number}" for number in range(8)}
NOBODY = 65534
READS = {"list", "read", "stat"}


def fill_store(folder):
    store = new_store(folder)
    turns = {"dialogue_id": ["c/d"] * 8, "turn": list(range(8)), "emotion": ["joy", "anger"] * 4}
    store.write_manifest("c", rows(SAID, **turns))
    fill(store, [TEXT, STEPS], Extraction(store, [TEXT, STEPS]), flush_bytes=60)
    store.catalog.set("default", {"text": TEXT.view, "text_steps": STEPS.view})
    store.selections.save(NamedSelection("few", ["c/1", "c/2", "c/6"]))
    passed = pl.DataFrame({"utterance_id": list(SAID), "passed": [True] * 7 + [False]})
    store.verdicts.save(NamedVerdict("v", passed.with_columns(reason=pl.lit(None, pl.String))))
    return store


def test_reading_does_nothing_to_the_store_but_read(tmp_path):
    fill_store(tmp_path)
    seen = set()

    def hook(moment, operation, path):
        seen.add(operation)
        assert operation in READS, f"{operation} {path}"

    root = str(tmp_path / "store")
    store = Store(FileLayer(root, hook), cache_folder(root, str(tmp_path / "mine")))
    for by in ("utterance", "dialogue"):
        store.pull(["text", "text_steps"], where="few", verdict="v", join="outer", by=by)
    store.similar("text", "c/1", verdict="v", where=Selection(emotions=("joy",)), exclude="text")
    assert seen == READS


# Imports and a first pull as who may read Python itself; then as who may read the store alone.
_CODE = """
import json, os, sys
from affectstore import open_store
from feature_repo.errors import AffectStoreError

root, mine, theirs, user = sys.argv[1:]

def answers(cache):
    store = open_store(root, cache=cache)
    pulled = store.pull(["text", "text_steps"], where="few", verdict="v")
    pulled.features["text_steps"].gather([0])
    return pulled.ids, pulled.features["text"].tolist(), store.similar("text", "c/1", k=2)["utterance_id"].to_list()

answers(mine)
if user != "same":
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
try:
    open(root + "/new", "w")
    wrote = True
except PermissionError:
    wrote = False
os.environ.pop("AFFECTSTORE_CACHE", None)
os.environ["HOME"] = root  # a home where nothing can be made
os.environ.pop("XDG_CACHE_HOME", None)
try:
    answers(None)
    error = ""
except AffectStoreError as found:
    error = f"{type(found).__name__}: {found}"
print(json.dumps([wrote, error, answers(theirs)]))
"""


@pytest.fixture
def shared():
    """A folder that everybody can pass through, which pytest's own is not."""
    folder = fast_folder()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_who_may_not_write_pulls_into_a_cache_of_their_own(shared):
    store = fill_store(shared)
    stored = [Path(store.root), *Path(store.root).rglob("*")]
    for path in stored:
        path.chmod(0o555 if path.is_dir() else 0o444)
    theirs = shared / "theirs"
    theirs.mkdir()
    user = "same"
    if os.geteuid() == 0:  # for whom there are no permissions
        user = str(NOBODY)
        os.chown(theirs, NOBODY, NOBODY)
    arguments = [store.root, str(shared / "mine"), str(theirs), user]
    done = subprocess.run([sys.executable, "-c", _CODE, *arguments], capture_output=True, text=True)
    for path in stored:
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    wrote, error, (ids, text, nearest) = json.loads(done.stdout)
    assert not wrote
    assert error.startswith(f"StoreWriteError: cannot write the cache {store.root}/.cache/affectstore/")
    assert error.endswith("AFFECTSTORE_CACHE names another folder")
    assert ids == ["c/1", "c/2", "c/6"]
    np.testing.assert_array_equal(text, [numbers(TEXT, SAID[name]) for name in ids])
    assert (
        nearest
        == open_store(store.root, cache=str(shared / "cache"))
        .similar("text", "c/1", k=2)["utterance_id"]
        .to_list()
    )
    assert any(theirs.rglob("values.bin"))
