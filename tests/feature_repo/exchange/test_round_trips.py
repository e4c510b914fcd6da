"""What is exported and imported is equal: over every format that does both, in every layout."""

import json

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError
from feature_repo.exchange.exporting import bundle_of, write_export
from feature_repo.exchange.foreign import ForeignTable
from feature_repo.exchange.importing import Source, import_table
from feature_repo.exchange.registry import format_named, format_names, format_to_read
from feature_repo.exchange.restoring import restorable, restore, restore_manifest
from feature_repo.fill import fill
from feature_repo.outcome import Fault, Features
from feature_repo.pull import Selection
from feature_repo.records import live_rows
from feature_repo.steps import Steps
from feature_repo.store import Store
from tests.feature_repo.exchange.planted_exchange import (
    ADAPTED,
    EVERY,
    FACE,
    SPEECH,
    TERMS,
    TEXT,
    WAVE,
    WORDS,
    compute_with,
    empty_store,
    make_store,
    manifest,
)

FORMATS = format_names(exports=True)
# MMSA has three modalities and no more; the other formats take any slots.
SLOTS = {"mmsa": [[TEXT.view, SPEECH.view, FACE.view], [WORDS.view, WAVE.view, f"vision={FACE.view}"]]}
ALL = [[recipe.view for recipe in EVERY if recipe is not WORDS] + [f"words={WORDS.view}"]]


def choices():
    return [(name, slots) for name in FORMATS for slots in SLOTS.get(name, [*ALL, [TEXT.view], [WORDS.view]])]


def written(store: Store, name: str, slots, folder, **options):
    bundle, pulled = bundle_of(store, slots, **options)
    path = folder / f"export{(*format_named(name).suffixes, '')[0]}"
    write_export(format_named(name), bundle, path)
    return path, pulled


def same(found, expected):
    """Whether two training sets are the same to the last bit."""
    assert found.ids == expected.ids
    assert found.snapshot() == expected.snapshot()
    assert found.fingerprints == expected.fingerprints
    assert found.views == expected.views
    np.testing.assert_array_equal(found.labels, expected.labels)
    for slot, value in expected.features.items():
        np.testing.assert_array_equal(found.present[slot], expected.present[slot])
        assert found.content_keys[slot].to_list() == expected.content_keys[slot].to_list()
        assert expected.present[slot].any()
        assert not expected.present[slot].all()
        if isinstance(value, Steps):
            mine, theirs = found.features[slot].flat(), value.flat()
            assert mine[0].dtype == theirs[0].dtype
            assert mine[0].tobytes() == theirs[0].tobytes()
            np.testing.assert_array_equal(mine[1], theirs[1])
        else:
            assert found.features[slot].tobytes() == value.tobytes()


@pytest.mark.parametrize(("name", "slots"), choices())
def test_an_export_comes_back_as_the_very_views_in_a_store_with_the_same_manifest(tmp_path, name, slots):
    store = make_store(tmp_path / "one")
    path, expected = written(store, name, slots, tmp_path)
    other = empty_store(tmp_path / "two")
    for corpus in ("b", "c"):
        other.write_manifest(corpus, manifest(corpus, 24 if corpus == "c" else 6))
    found = format_to_read(path, name).read(path)
    restored = restore(other, found, source=path.name)
    assert {each.view for each in restored} == set(expected.views.values())
    assert all(each.other == each.unknown == 0 for each in restored)
    same(other.pull(slots, join="outer"), expected)
    for view in expected.views.values():
        assert other.recipe(view) == store.recipe(view)
        assert other.provenance(view) == {**store.provenance(view), "restored from": path.name}
        assert live_rows(other, view).equals(live_rows(store, view))  # notes and further columns
    again = restore(other, format_to_read(path, name).read(path))
    assert sum(each.report.computed for each in again) == 0


@pytest.mark.parametrize("name", FORMATS)
def test_the_manifest_comes_along_when_it_is_asked_for(tmp_path, name):
    store = make_store(tmp_path / "one")
    slots = SLOTS.get(name, ALL)[0]
    path, expected = written(store, name, slots, tmp_path)
    other = empty_store(tmp_path / "two")
    found = format_to_read(path, name).read(path)
    assert restore_manifest(other, found) == {"b": 6, "c": 24}
    assert restore_manifest(other, found) == {}
    assert other.manifest().equals(store.manifest())
    assert other.manifests.terms("c") == TERMS
    restore(other, found)
    same(other.pull(slots, join="outer"), expected)


@pytest.mark.parametrize("name", FORMATS)
def test_without_texts_nothing_that_was_said_is_in_the_file_and_the_views_come_back(tmp_path, name):
    store = make_store(tmp_path / "one")
    slots = SLOTS.get(name, ALL)[0]
    path, expected = written(store, name, slots, tmp_path, text=False)
    found = format_to_read(path, name).read(path)
    assert found.manifest["text"].null_count() == len(found)
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    assert not any(b"Hello, world" in each.read_bytes() for each in files)
    other = empty_store(tmp_path / "two")
    restore_manifest(other, found)
    restore(other, found)
    same(other.pull(slots, join="outer"), expected)


def test_media_that_are_elsewhere_are_not_looked_for_under_their_names_here(tmp_path):
    store = make_store(tmp_path / "one", (TEXT,))
    rows = store.manifest(["c"]).select("utterance_id", "split", "text")
    (tmp_path / "clip.wav").write_bytes(b"RIFF")
    store.write_manifest("c", rows.with_columns(media_uri=pl.lit(str(tmp_path / "clip.wav"))))
    path, _ = written(store, "npz", [TEXT.view], tmp_path)
    other = empty_store(tmp_path / "two")
    restore_manifest(other, format_to_read(path).read(path))
    here, there = other.manifest(["c"]), store.manifest(["c"])
    assert here["media_uri"].null_count() == 24
    assert here["media_key"].to_list() == there["media_key"].to_list()
    assert here["media_key"].null_count() == 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_selection_in_its_own_order_comes_back(tmp_path, name):
    store = make_store(tmp_path / "one")
    slots = SLOTS.get(name, ALL)[0]
    ids = [each for each in reversed(store.manifest()["utterance_id"].to_list()) if each.startswith("c/")][3:]
    where = Selection(splits=("train", "test"))
    path, expected = written(store, name, slots, tmp_path, ids=ids, where=where)
    found = format_to_read(path, name).read(path)
    assert found.manifest["utterance_id"].to_list() == expected.ids
    assert found.snapshot == expected.snapshot()
    for slot, value in expected.features.items():
        for row in range(len(expected)):
            theirs = value.row(row) if isinstance(value, Steps) else value[row]
            np.testing.assert_array_equal(found.slots[slot].row(row), theirs)


def test_rows_of_another_content_are_left_out_and_counted(tmp_path):
    store = make_store(tmp_path / "one", (TEXT,))
    path, expected = written(store, "npz", [TEXT.view], tmp_path)
    other = empty_store(tmp_path / "two")
    rows = manifest("c").head(20)
    changed = "c/d1_u0"
    mended = pl.when(pl.col("utterance_id") == changed).then(pl.lit("mended")).otherwise("text")
    other.write_manifest("c", rows.with_columns(text=mended))
    (done,) = restore(other, format_to_read(path).read(path))
    stored = dict(zip(expected.ids, expected.content_keys["text"].is_not_null(), strict=True))
    here = [each for each in rows["utterance_id"] if stored[each]]
    assert changed in here
    assert (done.stored, done.other) == (sum(stored.values()), 1)
    assert done.unknown == done.stored - len(here)
    pulled = other.pull([TEXT.view], join="outer")
    assert not pulled.present["text"][pulled.ids.index(changed)]
    assert pulled.coverage["text"].missing >= 1


def test_what_failed_here_is_mended_by_an_import(tmp_path):
    store = make_store(tmp_path / "one", (TEXT,))
    view = TEXT.view
    failed = store.faults.entries(view)["utterance_id"].to_list()
    path, _ = written(make_store(tmp_path / "two", (TEXT,)), "npz", [view], tmp_path)
    bundle = format_to_read(path).read(path)
    other = empty_store(tmp_path / "three")
    restore_manifest(other, bundle)
    good = next(each for each in bundle.manifest["utterance_id"] if each not in failed)
    fill(
        other,
        [TEXT],
        lambda missing: ((v, u, Fault("extract", "E", "m")) for v in missing for u in missing[v]),
    )
    assert good in other.faults.entries(view)["utterance_id"].to_list()
    (done,) = restore(other, bundle)
    assert done.report.computed == done.stored
    assert other.pull([view], join="outer").coverage["text"].faulted == len(failed)


def test_a_derived_view_comes_back_with_its_input_and_never_without(tmp_path):
    store = make_store(tmp_path / "one", (TEXT,))
    compute_with(store, (ADAPTED,))
    both = {"adapted": ADAPTED.view, "text": TEXT.view}
    path, expected = written(store, "safetensors", both, tmp_path)
    bundle = format_to_read(path).read(path)
    other = empty_store(tmp_path / "two")
    restore_manifest(other, bundle)
    assert restorable(other, bundle) == (["text", "adapted"], [])
    restore(other, bundle)
    same(other.pull(both, join="outer"), expected)
    path, _ = written(store, "npz", {"adapted": ADAPTED.view}, tmp_path)
    alone = format_to_read(path).read(path)
    third = empty_store(tmp_path / "three")
    restore_manifest(third, alone)
    with pytest.raises(BadInputError, match="--detach"):
        restore(third, alone)
    assert third.views() == []


def test_an_imported_table_can_be_exported_again_and_keeps_its_recipe(tmp_path):
    store = make_store(tmp_path / "one", (TEXT,))
    ids = [name for name in store.manifest()["utterance_id"] if name.startswith("c/")][:9]
    values = np.arange(1, 28, dtype=np.float32).reshape(9, 3)
    table = ForeignTable("a", ids, "pooled", 3, "float32", lambda row: Features(values[row]))
    done = import_table(store, table, Source("theirs.npz", "ab" * 32, "npz", note="Ann's"), modality="face")
    path, expected = written(store, "safetensors", [done.view], tmp_path)
    other = empty_store(tmp_path / "two")
    bundle = format_to_read(path).read(path)
    restore_manifest(other, bundle)
    restore(other, bundle)
    same(other.pull([done.view], join="outer"), expected)
    assert other.recipe(done.view).settings["note"] == "Ann's"
    assert other.provenance(done.view)["imported from"] == "theirs.npz"


def test_a_forgotten_utterance_is_not_brought_back(tmp_path):
    store = make_store(tmp_path / "one", (TEXT,))
    path, expected = written(store, "npz", [TEXT.view], tmp_path)
    gone = expected.ids[np.flatnonzero(expected.present["text"])[0]]
    other = empty_store(tmp_path / "two")
    other.manifests.forget([gone])
    bundle = format_to_read(path).read(path)
    restore_manifest(other, bundle)
    restore(other, bundle)
    assert gone not in other.manifest()["utterance_id"].to_list()
    assert gone not in other.table(TEXT.view).live_keys()["utterance_id"].to_list()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda facts: facts | {"affectstore": 2}, "newer affectstore"),
        (lambda facts: facts | {"slots": 3}, "'slots'"),
        (lambda facts: facts | {"slots": {"text": {"view": "x"}}}, "damaged"),
        (
            lambda facts: facts | {"slots": {"text": facts["slots"]["text"] | {"fingerprint": "0" * 64}}},
            "recipe was",
        ),
        (lambda facts: facts | {"labels": {"scheme": "seven", "classes": 7}}, "damaged"),
        (lambda facts: [], "damaged"),
    ],
)
def test_an_export_whose_facts_were_changed_is_refused(tmp_path, change, told):
    store = make_store(tmp_path / "one", (TEXT,), 6)
    path, _ = written(store, "npz", [TEXT.view], tmp_path)
    with np.load(path) as archive:
        arrays = dict(archive)
    facts = change(json.loads(str(arrays["affectstore"])))
    np.savez(path, **(arrays | {"affectstore": np.array(json.dumps(facts))}))
    with pytest.raises(BadInputError, match=told):
        format_to_read(path).read(path)
