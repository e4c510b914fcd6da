"""A scratch store: it knows the views, holds nothing, changes nothing, and goes whatever happens."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import StoreWriteError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.records import live_values
from feature_repo.scratch import SCRATCH, copy_live_rows, scratch_store
from feature_repo.store import Store
from tests.feature_repo.planted import TEXT, Extraction, new_store, rows, texts

PEOPLE = Recipe(
    "reference", "letters", 1, "speaker", "pooled", 2, inputs=(TEXT.fingerprint,), entity="speaker"
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = new_store(tmp_path)
    store.write_manifest("c", rows(texts("c", 3), speaker_id=["c/ann", "c/ann", "c/bob"]))
    fill(store, [TEXT], Extraction(store, [TEXT]), provenance={TEXT.view: {"settings": '{"a": "b"}'}})
    return store


def files(folder: Path) -> dict[str, bytes]:
    found = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: data for path, data in found.items() if not path.endswith(".lock")}


def left(store: Store) -> list[str]:
    return sorted(path.name for path in (store.cache / SCRATCH).iterdir() if path.name != ".lock")


def test_it_knows_the_view_and_nothing_of_its_rows(store: Store) -> None:
    before = files(Path(store.root))
    with scratch_store(store, [TEXT.view]) as scratch:
        assert scratch.views() == [TEXT.view]
        assert scratch.recipe(TEXT.view) == TEXT
        assert scratch.provenance(TEXT.view) == {"settings": '{"a": "b"}'}
        assert scratch.corpora() == []
        scratch.write_manifest("new", rows({"new/a": "text 0 "}))
        fill(scratch, [TEXT], Extraction(scratch, [TEXT]))
        theirs = live_values(store, TEXT.view, ["c/0000"])["c/0000"]
        np.testing.assert_array_equal(scratch.pull({"text": TEXT.view}).features["text"][0], theirs)
        assert store.cache in Path(scratch.root).parents
    assert files(Path(store.root)) == before
    assert left(store) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_goes_after_an_error_too(store: Store, error: type[BaseException]) -> None:
    places = []

    def fail() -> None:
        with scratch_store(store, [TEXT.view]) as scratch:
            places.append(Path(scratch.root))
            assert places[0].is_dir()
            raise error

    with pytest.raises(error):
        fail()
    assert not places[0].exists()
    assert left(store) == []


def test_an_unknown_view_leaves_nothing_behind(store: Store) -> None:
    with (
        pytest.raises(UnknownNameError, match="text_nobody_00000000"),
        scratch_store(store, ["text_nobody_00000000"]),
    ):
        pass
    assert left(store) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(store: Store) -> None:
    code = f"""
import os
from feature_repo.scratch import scratch_store
from feature_repo.store import open_store
store = open_store({store.root!r}, cache={str(store.cache.parent)!r})
with scratch_store(store, [{TEXT.view!r}]) as scratch:
    print(scratch.root, flush=True)
    os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    abandoned = Path(done.stdout.strip())
    assert abandoned.is_dir()
    with scratch_store(store, []) as living, scratch_store(store, []) as other:
        assert not abandoned.exists()
        assert Path(living.root).is_dir()
        assert Path(other.root).is_dir()
    assert left(store) == []


def test_a_cache_that_cannot_be_written_is_told(store: Store) -> None:
    store.cache.mkdir(parents=True, exist_ok=True)
    (store.cache / SCRATCH).write_text("in the way")
    with pytest.raises(StoreWriteError, match="AFFECTSTORE_CACHE"), scratch_store(store, []):
        pass


def test_rows_are_copied_as_they_are(store: Store) -> None:
    vectors = {"c/ann": np.array([1, 2], np.float32), "c/bob": np.array([3, 4], np.float32)}

    def people(missing):
        for name in missing[PEOPLE.view]:
            yield PEOPLE.view, name, Features(vectors[name])

    fill(store, [PEOPLE], people)
    with scratch_store(store, [TEXT.view, PEOPLE.view]) as scratch:
        assert copy_live_rows(store, scratch, PEOPLE.view, ["c/bob", "c/nobody"]) == 1
        assert copy_live_rows(store, scratch, PEOPLE.view, []) == 0
        found = live_values(scratch, PEOPLE.view, ["c/ann", "c/bob"])
        assert list(found) == ["c/bob"]
        np.testing.assert_array_equal(found["c/bob"], vectors["c/bob"])
        keys = [
            each.table(PEOPLE.view).live_keys().filter(pl.col("utterance_id") == "c/bob")
            for each in (store, scratch)
        ]
        assert keys[0].equals(keys[1])
