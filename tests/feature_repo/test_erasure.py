"""Erasure: what is dropped or forgotten is in no file below the root and comes back through no door."""

import threading

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from feature_repo.compaction import compact
from feature_repo.erasure import drop_view, forget, gc_dropped, utterances_of
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store, open_store

TEXT = Recipe("text", "letters", 1, "text", "pooled", 2)
STEPS = Recipe("text", "letters", 1, "text", "steps", 2, dtype="float16")
DERIVED = Recipe("text", "adapter", 1, "rows", "pooled", 2, inputs=(TEXT.fingerprint,))
SECRET = 1234.5


def compute(missing):
    for view, ids in missing.items():
        for utterance_id in ids:
            if utterance_id == "c/fails":
                yield view, utterance_id, Fault("extract", "ValueError", "c/fails has no voice")
                continue
            value = SECRET if utterance_id == "c/mine" else 1.0
            shape = (3, 2) if view == STEPS.view else (2,)
            yield view, utterance_id, Features(np.full(shape, value, np.float32))


def rows() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "utterance_id": ["c/mine", "c/other", "c/fails"],
            "text": ["my words", "others", "none"],
            "speaker_id": ["me", "you", "me"],
        }
    )


@pytest.fixture
def store(tmp_path) -> Store:
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    store.write_manifest("c", rows())
    fill(store, [TEXT, STEPS], compute)
    return store


def stored_values(store: Store, view: str) -> list[object]:
    """Every value below the view's folder, live or not, read without the code under test."""
    folder = store.files.local_path(f"features/{view}")
    found = []
    for path in folder.glob("*.parquet"):
        found += pq.read_table(path)[store.recipe(view).slot].to_pylist()
    return found


def test_a_damaged_list_of_ids_keeps_no_feature(store):
    store.files.write("selections/broken.parquet", b"PAR1 cut short")
    with pytest.raises(BadInputError, match=r"broken\.parquet is damaged"):
        forget(store, ["c/mine"])
    assert [SECRET, SECRET] not in stored_values(store, TEXT.view)
    assert "c/mine" not in store.manifest()["utterance_id"].to_list()


def test_forgotten_values_are_in_no_part_not_even_in_history(store):
    changed = rows().with_columns(text=pl.col("text") + "!")
    store.write_manifest("c", changed)
    fill(store, [TEXT, STEPS], compute)
    compact(store.table(TEXT.view))  # the value now stands in merged and in repeated parts
    secret_bytes = np.full(2, SECRET, "<f2").tobytes()
    assert [SECRET, SECRET] in stored_values(store, TEXT.view)
    done = forget(store, ["c/mine"])
    assert done.rows >= 4
    assert [SECRET, SECRET] not in stored_values(store, TEXT.view)
    assert not any(secret_bytes in value for value in stored_values(store, STEPS.view))
    assert store.table(TEXT.view).live_keys()["utterance_id"].to_list() == ["c/other"]


def test_the_others_stay_and_nothing_is_computed_again(store):
    forget(store, ["c/mine"])
    report = fill(store, [TEXT, STEPS], compute)
    assert report.computed == 0
    assert stored_values(store, TEXT.view).count([1.0, 1.0]) == 1


def test_no_ingest_brings_a_forgotten_utterance_back(store):
    forget(store, ["c/mine"])
    report = store.write_manifest("c", rows())
    assert (report.total, report.forgotten) == (2, 1)
    assert "c/mine" not in store.manifest()["utterance_id"].to_list()


def test_a_speaker_s_faults_go_too(store):
    assert "c/fails" in store.faults.entries(TEXT.view)["utterance_id"].to_list()
    forget(store, utterances_of(store, "me"))
    for view in (TEXT.view, STEPS.view):
        assert store.faults.entries(view).is_empty()
    folder = store.files.local_path("faults")
    assert not any(b"c/fails" in path.read_bytes() for path in folder.rglob("*.parquet"))


def test_a_damaged_part_in_quarantine_goes_too(store):
    store.files.write(f"quarantine/{TEXT.view}/part-damaged.parquet", b"half a voice")
    forget(store, ["c/mine"])
    assert store.table(TEXT.view).quarantined() == []


def test_forgetting_again_is_fine_and_an_unknown_one_is_named(store):
    forget(store, ["c/mine"])
    assert forget(store, ["c/mine"]).rows == 0
    with pytest.raises(UnknownNameError, match="c/nobody"):
        forget(store, ["c/nobody"])
    with pytest.raises(UnknownNameError, match="'nobody'; allowed: me, you"):
        utterances_of(store, "nobody")


def test_a_kill_while_forgetting_is_mended_by_forgetting_again(store):
    class Kill(BaseException):
        pass

    removals = []

    def before_removal(moment, operation, path):
        if operation == "remove" and moment == "before" and "part-" in path:
            removals.append(path)
            raise Kill

    store.files.hook = before_removal
    with pytest.raises(Kill):
        forget(store, ["c/mine"])
    store.files.hook = None
    assert removals
    forget(store, ["c/mine"])
    assert [SECRET, SECRET] not in stored_values(store, TEXT.view)
    assert store.table(TEXT.view).live_keys()["utterance_id"].to_list() == ["c/other"]


def test_a_dropped_view_is_gone_and_can_be_made_again(store):
    store.catalog.set("p", {"text": TEXT.view, "text_steps": STEPS.view})
    drop_view(store, TEXT.view)
    assert store.views() == [STEPS.view]
    assert store.catalog.slots("p") == {"text_steps": STEPS.view}
    assert not store.files.local_path(f"features/{TEXT.view}").exists()
    assert fill(store, [TEXT], compute).computed == 2


def test_a_view_that_another_was_computed_from_stays(store):
    fill(store, [DERIVED], compute)
    with pytest.raises(BadInputError, match=DERIVED.view):
        drop_view(store, TEXT.view)
    drop_view(store, DERIVED.view)
    drop_view(store, TEXT.view)
    with pytest.raises(UnknownNameError, match=STEPS.view):
        drop_view(store, TEXT.view)


def test_gc_finishes_a_drop_that_was_killed(store):
    class Kill(BaseException):
        pass

    def after_recipe(moment, operation, path):
        if moment == "after" and operation == "remove" and path.endswith("recipe.json"):
            raise Kill

    store.files.hook = after_recipe
    with pytest.raises(Kill):
        drop_view(store, TEXT.view)
    store.files.hook = None
    assert TEXT.view not in store.views()
    assert gc_dropped(store) == [TEXT.view]
    assert not store.files.local_path(f"features/{TEXT.view}").exists()


def test_a_compaction_that_runs_meanwhile_does_not_bring_the_rows_back(store):
    """Forgetting begins when the compaction has the rows in memory, and has to wait for it."""
    store.write_manifest("c", rows().with_columns(text=pl.col("text") + "!"))
    fill(store, [TEXT, STEPS], compute)
    other = open_store(store.root, cache=str(store.cache))
    forgetting = threading.Thread(target=lambda: forget(other, ["c/mine"]))

    def begin(moment, operation, path):
        if operation == "stage" and moment == "before" and "features" in path and not forgetting.ident:
            forgetting.start()
            forgetting.join(0.3)

    store.files.hook = begin
    compact(store.table(TEXT.view))
    forgetting.join(30)
    assert [SECRET, SECRET] not in stored_values(store, TEXT.view)
    assert set(open_store(store.root).table(TEXT.view).live_keys()["utterance_id"]) == {"c/other"}
