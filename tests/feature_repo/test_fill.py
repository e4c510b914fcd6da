"""The fill loop: what is missing and nothing else is computed, committed as it goes."""

import time

import numpy as np
import polars as pl
import pytest

from feature_repo import fill as fill_module
from feature_repo.compaction import compact, gc
from feature_repo.erasure import forget
from feature_repo.errors import UnknownNameError
from feature_repo.feature_table import QuarantineWarning
from feature_repo.fill import fill, plan
from feature_repo.outcome import Fault, Features
from feature_repo.part import provenance_of
from feature_repo.recipe import Recipe
from feature_repo.store import Store, open_store
from tests.feature_repo.planted import (
    MEDIA,
    STEPS,
    TEXT,
    Extraction,
    Kill,
    expected_value,
    live,
    memory_root,
    new_store,
    rows,
    stored_live,
    texts,
    values,
)


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path) -> Store:
    return new_store(tmp_path, None if request.param == "folder" else memory_root())


def filled(store: Store, *recipes: Recipe, **options) -> tuple[object, list[tuple[str, str]]]:
    """The report and what was asked of the extraction."""
    extraction = Extraction(store, recipes)
    report = fill(store, recipes, extraction, **options)
    return report, extraction.asked


def test_each_utterance_gets_the_value_of_its_content(store):
    contents = {"c/1": "one", "c/2": "two", "c/3": "", "c/4": "broken", "c/5": None}
    store.write_manifest("c", rows(contents))
    report, asked = filled(store, TEXT, STEPS)
    assert len(asked) == 8
    for recipe in (TEXT, STEPS):
        assert values(live(store, recipe)) == {
            name: expected_value(recipe, contents[name]) for name in ("c/1", "c/2", "c/3")
        }
        assert live(store, recipe) == stored_live(store, recipe)
        counts = report.views[recipe.view]
        assert (counts.computed, counts.faulted, counts.up_to_date) == (3, 1, 0)
    assert report.faults_by_reason == {"decode: ValueError": 2}
    assert not report.everything_failed


def test_what_is_up_to_date_calls_nothing(store):
    store.write_manifest("c", rows({"c/1": "one", "c/2": "", "c/3": "broken"}))
    filled(store, TEXT)

    def never(missing):
        raise AssertionError("a model would be loaded for nothing")
        yield

    report = fill(store, [TEXT], never)
    counts = report.views[TEXT.view]
    assert (counts.up_to_date, counts.skipped_faults, report.computed) == (2, 1, 0)
    assert not report.everything_failed


def test_a_changed_text_is_computed_alone_and_one_changed_back_is_copied(store):
    store.write_manifest("c", rows({"c/1": "one", "c/2": "two"}))
    filled(store, TEXT)
    store.write_manifest("c", rows({"c/1": "ONE", "c/2": "two"}))
    assert filled(store, TEXT)[1] == [(TEXT.view, "c/1")]
    store.write_manifest("c", rows({"c/1": "one", "c/2": "two"}))
    report, asked = filled(store, TEXT)
    assert asked == []
    assert report.views[TEXT.view].copied == 1
    assert values(live(store, TEXT)) == {
        "c/1": expected_value(TEXT, "one"),
        "c/2": expected_value(TEXT, "two"),
    }
    assert live(store, TEXT) == stored_live(store, TEXT)


def test_labels_and_speakers_change_without_computing(store):
    store.write_manifest("c", rows({"c/1": "one"}, emotion=["joy"], split=["train"], speaker_id=["ann"]))
    filled(store, TEXT)
    store.write_manifest("c", rows({"c/1": "one"}, emotion=["anger"], split=["test"], speaker_id=["bob"]))
    assert filled(store, TEXT)[1] == []


def test_a_removed_utterance_is_buried_and_one_that_returns_is_copied(store):
    store.write_manifest("c", rows({"c/1": "one", "c/2": "two"}))
    filled(store, TEXT)
    store.write_manifest("c", rows({"c/2": "two"}))
    report, _ = filled(store, TEXT)
    assert report.views[TEXT.view].buried == 1
    assert set(live(store, TEXT)) == {"c/2"}
    assert filled(store, TEXT)[0].views[TEXT.view].buried == 0, "buried once"
    store.write_manifest("c", rows({"c/1": "one", "c/2": "two"}))
    report, asked = filled(store, TEXT)
    assert (asked, report.views[TEXT.view].copied) == ([], 1)
    assert set(live(store, TEXT)) == {"c/1", "c/2"}


def test_another_corpus_is_not_buried_when_one_is_filled(store):
    store.write_manifest("a", rows({"a/1": "one"}))
    store.write_manifest("b", rows({"b/1": "two"}))
    assert filled(store, TEXT, corpora=["a"])[1] == [(TEXT.view, "a/1")]
    report, asked = filled(store, TEXT, corpora=["b"])
    assert asked == [(TEXT.view, "b/1")]
    assert report.views[TEXT.view].buried == 0
    assert set(live(store, TEXT)) == {"a/1", "b/1"}
    with pytest.raises(UnknownNameError, match="unknown corpus 'meld'; allowed: a, b"):
        filled(store, TEXT, corpora=["meld"])


def test_shards_add_up(store):
    store.write_manifest("c", rows(texts("c", 10)))
    ids = store.manifest()["utterance_id"].to_list()
    asked = [item for shard in range(3) for item in filled(store, TEXT, ids=ids[shard::3])[1]]
    assert sorted(asked) == [(TEXT.view, name) for name in ids]
    assert filled(store, TEXT)[1] == []


def test_faults_are_left_alone_until_asked_for_or_replaced(store, tmp_path):
    clip = tmp_path / "a.wav"
    clip.write_text("broken")
    manifest = rows({"c/1": None, "c/2": None}, media_uri=[str(clip), str(tmp_path / "none.wav")])
    store.write_manifest("c", manifest)
    report, _ = filled(store, MEDIA)
    assert report.everything_failed
    assert report.faults_by_reason == {"decode: ValueError": 1, "media: FileNotFoundError": 1}
    assert filled(store, MEDIA)[1] == []
    assert len(filled(store, MEDIA, retry_faults=True)[1]) == 2
    assert set(store.faults.entries(MEDIA.view)["attempts"]) == {2}
    clip.write_text("mended")
    store.write_manifest("c", manifest)
    assert filled(store, MEDIA)[1] == [(MEDIA.view, "c/1")]
    assert values(live(store, MEDIA)) == {"c/1": expected_value(MEDIA, "mended")}
    (tmp_path / "none.wav").write_text("arrived")
    store.write_manifest("c", manifest)
    assert filled(store, MEDIA)[1] == [(MEDIA.view, "c/2")]


def test_what_was_computed_survives_compaction_and_gc(store):
    for text in ("one", "two", "three"):
        store.write_manifest("c", rows({"c/1": text, "c/2": text * 2}))
        filled(store, TEXT)
    compact(store.table(TEXT.view))
    gc(store.table(TEXT.view), 0)
    for text in ("one", "two", "three", "one"):
        store.write_manifest("c", rows({"c/1": text, "c/2": text * 2}))
        assert filled(store, TEXT)[1] == []
        assert live(store, TEXT)["c/2"][1] == expected_value(TEXT, text * 2)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_what_is_finished_is_committed_when_the_rest_is_not(store, error):
    store.write_manifest("c", rows(texts("c", 6)))

    def stop(done):
        if done == 4:
            raise error("planted")

    with pytest.raises(error, match="planted"):
        fill(store, [TEXT], Extraction(store, [TEXT], stop))
    assert len(live(store, TEXT)) == 4
    assert len(filled(store, TEXT)[1]) == 2


def test_a_kill_loses_the_unflushed_rows_alone(store):
    store.write_manifest("c", rows(texts("c", 10)))

    def kill(done):
        if done == 8:
            store.files.hook = dead

    def dead(moment, operation, path):
        raise Kill

    with pytest.raises(Kill):
        fill(store, [TEXT], Extraction(store, [TEXT], kill), flush_bytes=3 * 16)
    store.files.hook = None
    again = open_store(store.root, cache=str(store.cache))
    assert len(live(again, TEXT)) == 6
    assert [name for _, name in filled(again, TEXT)[1]] == [f"c/{n:04d}" for n in range(6, 10)]
    assert values(live(again, TEXT)) == {
        name: expected_value(TEXT, text) for name, text in texts("c", 10).items()
    }


def test_parts_are_flushed_by_size_and_by_age(store, monkeypatch):
    store.write_manifest("c", rows(texts("c", 10)))
    filled(store, TEXT, flush_bytes=4 * 16)
    assert len(store.table(TEXT.view).parts()) == 3
    clock = iter(range(0, 10**6, 20))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    store.write_manifest("c", rows(texts("c", 10, "changed")))
    filled(store, TEXT)
    assert 3 + 2 <= len(store.table(TEXT.view).parts()) <= 3 + 10


def test_a_model_that_loads_for_a_minute_does_not_flush_its_first_row_alone(store, monkeypatch):
    store.write_manifest("c", rows(texts("c", 4)))
    now = [0.0]
    monkeypatch.setattr(fill_module.time, "monotonic", lambda: now[0])

    def loading(done):
        if done == 0:
            now[0] += 60

    fill(store, [TEXT], Extraction(store, [TEXT], loading))
    assert len(store.table(TEXT.view).parts()) == 1


def test_an_utterance_without_an_outcome_is_told(store):
    store.write_manifest("c", rows({"c/1": "one", "c/2": "two"}))

    def lazy(missing):
        yield TEXT.view, "c/2", Features(np.ones(4, np.float32))

    with pytest.raises(RuntimeError, match=rf"{TEXT.view}: no outcome was given for 1, such as 'c/1'"):
        fill(store, [TEXT], lazy)
    assert set(live(store, TEXT)) == {"c/2"}


def test_the_gate_s_refusals_are_faults(store):
    store.write_manifest("c", rows({"c/1": "one", "c/2": "two"}))

    def spoiled(missing):
        yield TEXT.view, "c/1", Features(np.full(4, np.nan, np.float32))
        yield TEXT.view, "c/2", Features(np.zeros(4, np.float32))

    report = fill(store, [TEXT], spoiled)
    assert report.everything_failed
    assert report.faults_by_reason == {"gate: RefusedFeatures": 2}
    assert live(store, TEXT) == {}


def test_a_reused_buffer_spoils_no_row(store):
    store.write_manifest("c", rows(texts("c", 5)))
    buffer = np.empty(4, np.float32)

    def reusing(missing):
        for number, name in enumerate(missing[TEXT.view]):
            buffer[:] = number + 1
            yield TEXT.view, name, Features(buffer)

    fill(store, [TEXT], reusing)
    assert values(live(store, TEXT)) == {f"c/{n:04d}": [n + 1.0] * 4 for n in range(5)}


def test_a_derived_view_follows_its_inputs(store):
    derived = Recipe("text", "adapter", 1, "rows", "pooled", 2, inputs=(TEXT.fingerprint, STEPS.fingerprint))

    def ones(missing):
        for name in missing[derived.view]:
            yield derived.view, name, Features(np.ones(2, np.float32))

    store.write_manifest("c", rows({"c/1": "one", "c/2": "broken"}))
    filled(store, TEXT, STEPS)
    assert fill(store, [derived], ones).computed == 1
    assert fill(store, [derived], ones).computed == 0
    store.write_manifest("c", rows({"c/1": "ONE", "c/2": "mended"}))
    filled(store, TEXT)
    assert fill(store, [derived], ones).computed == 1, "c/1 alone: c/2 lacks one of its inputs"
    filled(store, STEPS)
    assert fill(store, [derived], ones).computed == 2
    store.write_manifest("c", rows({"c/2": "mended"}))
    filled(store, TEXT, STEPS)
    assert fill(store, [derived], ones).views[derived.view].buried == 1


def test_half_a_part_costs_just_its_rows(store):
    store.write_manifest("c", rows(texts("c", 9)))
    filled(store, TEXT, flush_bytes=3 * 16)
    table = store.table(TEXT.view)
    lost = table.index().filter(pl.col("part") == table.parts()[1])["utterance_id"].sort().to_list()
    path = table.part_path(table.parts()[1])
    data = store.files.read(path)
    store.files.write(path, data[: len(data) // 2])
    again = open_store(store.root, cache=str(store.cache))
    with pytest.warns(QuarantineWarning):
        assert sorted(set(texts("c", 9)) - set(live(again, TEXT))) == lost
    report, asked = filled(again, TEXT)
    assert [name for _, name in asked] == lost
    assert report.views[TEXT.view].up_to_date == 6
    assert len(live(again, TEXT)) == 9


def test_a_row_that_can_t_be_copied_forward_any_more_is_computed(store):
    store.write_manifest("c", rows({"c/1": "one", "c/2": "two"}))
    filled(store, TEXT)
    (old,) = store.table(TEXT.view).parts()
    store.write_manifest("c", rows({"c/1": "ONE", "c/2": "TWO"}))
    filled(store, TEXT)
    path = store.table(TEXT.view).part_path(old)
    data = bytearray(store.files.read(path))
    data[bytes(data).rindex(np.float32(expected_value(TEXT, "two")[3]).tobytes())] ^= 1
    store.files.write(path, bytes(data))
    store.write_manifest("c", rows({"c/1": "one", "c/2": "two"}))
    with pytest.warns(QuarantineWarning, match=old):
        report, asked = filled(open_store(store.root, cache=str(store.cache)), TEXT)
    assert len(asked) == 2
    assert report.views[TEXT.view].copied == 0
    assert values(live(open_store(store.root), TEXT)) == {
        "c/1": expected_value(TEXT, "one"),
        "c/2": expected_value(TEXT, "two"),
    }


def test_progress_plan_and_provenance_are_told(store):
    store.write_manifest("c", rows({"c/1": "one", "c/2": "broken"}))
    plans, steps = [], []
    told = {TEXT.view: {"torch": "2.6"}}
    filled(store, TEXT, on_plan=plans.append, on_progress=steps.append, provenance=told)
    assert set(plans[0][TEXT.view].keys) == {"c/1", "c/2"}
    assert sum(steps) == 2
    table = store.table(TEXT.view)
    (name,) = table.parts()
    assert provenance_of(table.footer(name)) == {"torch": "2.6"}
    assert store.provenance(TEXT.view) == {"torch": "2.6"}


def test_a_plan_writes_nothing(store):
    store.write_manifest("c", rows({"c/1": "one"}))
    (todo,) = plan(store, [TEXT]).values()
    assert set(todo.keys) == {"c/1"}
    assert store.views() == []


def test_what_another_process_stored_meanwhile_is_seen(store):
    store.write_manifest("c", rows({"c/1": "one", "c/2": "two"}))
    assert filled(store, TEXT, ids=["c/1"])[1]
    other = open_store(store.root, cache=str(store.cache))
    assert [name for _, name in filled(other, TEXT)[1]] == ["c/2"]
    assert filled(store, TEXT)[1] == []


def test_a_retried_fault_that_became_a_row_is_tried_again_when_the_row_is_lost(store, tmp_path):
    """A later row cancels a fault; should the row then be damaged, the old fault does not stand in its way."""
    store.write_manifest("c", rows({"c/1": "one"}))
    outcomes = [Fault("extract", "OutOfMemoryError", "planted"), Features(np.ones(4, np.float32))]

    def compute(missing):
        for name in missing[TEXT.view]:
            yield TEXT.view, name, outcomes.pop(0)

    fill(store, [TEXT], compute)
    assert fill(store, [TEXT], compute, retry_faults=True).computed == 1
    table = store.table(TEXT.view)
    (name,) = table.parts()
    store.files.write(table.part_path(name), b"half")
    again = open_store(store.root, cache=str(store.cache))
    with pytest.warns(QuarantineWarning):
        assert len(filled(again, TEXT)[1]) == 1


def test_who_is_forgotten_while_they_are_computed_is_not_stored(store):
    """Forgotten when its row is in memory, and when its older row is about to be copied forward."""
    contents = {"c/1": "one", "c/2": "two", "c/3": "broken"}
    store.write_manifest("c", rows(contents))

    def forget_all(done):
        if done == 2:
            forget(open_store(store.root, cache=str(store.cache)), list(contents))

    fill(store, [TEXT], Extraction(store, [TEXT], forget_all))
    assert store.table(TEXT.view).history().filter(pl.col("content_key") != "").is_empty()
    assert store.faults.entries(TEXT.view).is_empty()


def test_who_is_forgotten_after_the_plan_is_not_copied_forward(store):
    for text in ("one", "ONE", "one"):
        store.write_manifest("c", rows({"c/1": text}))
        if text == "one" and TEXT.view in store.views():
            break
        filled(store, TEXT)
    forget_now = lambda _: forget(open_store(store.root, cache=str(store.cache)), ["c/1"])  # noqa: E731
    filled(store, TEXT, on_plan=forget_now)
    assert store.table(TEXT.view).history().filter(pl.col("content_key") != "").is_empty()
