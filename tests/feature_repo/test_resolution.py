"""Resolutions kept in the mirror: taken only as long as nothing that they depend on has changed."""

import polars as pl
import pytest

from feature_repo import resolution
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.store import open_store
from tests.feature_repo.planted_feast import TEXT, make_store, planted, write

TEXTS = {f"c/{number}": f"text {number}" for number in range(5)}


@pytest.fixture
def counted(monkeypatch):
    """Counts how often a view is resolved from its parts."""
    calls = []
    states = resolution.utterance_states
    monkeypatch.setattr(resolution, "utterance_states", lambda *a: calls.append(a[1]) or states(*a))
    return calls


def test_another_process_parses_no_part_again(tmp_path, counted):
    store = make_store(tmp_path, TEXTS)
    first = store.pull(["text", "speaker"])
    assert len(counted) == 2
    again = open_store(store.root, cache=str(tmp_path / "cache"))
    assert again.pull(["text", "speaker"]).snapshot() == first.snapshot()
    assert again.pull(["text"], ids=["c/3"]).ids == ["c/3"]
    assert len(counted) == 2
    assert not again.table(TEXT.view)._footers


def test_a_new_part_a_new_manifest_and_a_new_fault_are_noticed(tmp_path, counted):
    from feature_repo.outcome import Fault

    store = make_store(tmp_path, TEXTS, [TEXT])
    store.pull(["text"])
    write(store, {**TEXTS, "c/0": "changed"}, [TEXT])
    assert store.pull(["text"]).coverage["text"].present == 5
    make = store.manifest().with_columns(text=store.manifest()["text"].replace("changed", "changed again"))
    store.write_manifest("c", make)
    assert store.pull(["text"]).coverage["text"].stale == 1
    key = dict(store.wanted(TEXT).iter_rows())["c/0"]
    store.faults.add(TEXT.view, {("c/0", key): Fault("extract", "ValueError", "planted")})
    assert store.pull(["text"]).coverage["text"].faulted == 1
    assert len(counted) == 4


def test_a_derived_view_follows_its_inputs(tmp_path):
    from feature_repo.fill import fill

    store = make_store(tmp_path, TEXTS, [TEXT])
    derived = Recipe("speech", "derived", 1, "rows", "pooled", 3, inputs=(TEXT.fingerprint,))

    def compute(missing):
        for view, names in missing.items():
            for name in names:
                yield view, name, Features(planted(derived, name))

    fill(store, [derived], compute)
    assert store.pull([derived.view]).coverage["speech"].present == 5
    # The manifest alone: the input's live row is still the old one, and so is what was derived from it.
    rows = store.manifest()
    store.write_manifest("c", rows.with_columns(text=rows["text"].replace("text 0", "changed")))
    assert store.pull([derived.view]).coverage["speech"].present == 5
    write(store, {**TEXTS, "c/0": "changed"}, [TEXT])
    counts = store.pull([derived.view]).coverage["speech"]
    assert (counts.present, counts.stale) == (4, 1)


def test_a_speaker_s_view_is_resolved_by_speakers_and_follows_the_reviews(tmp_path, counted):
    from feature_repo.mirror import mirror_of
    from tests.feature_repo.planted import new_store
    from tests.feature_repo.planted_records import FACES, REFERENCE, derive, people

    store = new_store(tmp_path)
    speakers = {"c/1": "ann", "c/2": "ann", "c/3": "bob", "c/4": None}
    store.write_manifest("c", people(dict.fromkeys(speakers, "text"), speakers))
    derive(store)

    def states() -> list[str]:
        found = resolution.resolve_view(store, mirror_of(store), REFERENCE.view, store.manifest(), "digest")
        return [resolution.STATES[number] for number in found.state]

    assert states() == states() == ["present", "present"]
    assert counted == [REFERENCE.view]
    rejected = {"utterance_id": ["c/1"], "view": [FACES.view], "face": [0], "decision": ["reject"]}
    store.reviews.add(pl.DataFrame(rejected))
    assert states() == ["stale", "present"]
    derive(store)
    assert states() == ["present", "present"]
    store.reviews.add(pl.DataFrame({"utterance_id": ["c/3"], "decision": ["offscreen"]}))
    assert states() == ["present", "inapplicable"], "nothing of bob's is left to compute it from"


@pytest.mark.parametrize("damage", [b"", b"ARROW1 and then nothing", None])
def test_a_damaged_file_is_worked_out_anew(tmp_path, counted, damage):
    store = make_store(tmp_path, TEXTS, [TEXT])
    expected = store.pull(["text"]).snapshot()
    (path,) = (store.cache / "mirror" / TEXT.view).glob("resolved-*")
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2] if damage is None else damage)
    assert open_store(store.root, cache=str(tmp_path / "cache")).pull(["text"]).snapshot() == expected
    assert len(counted) == 2


def test_outdated_files_do_not_pile_up(tmp_path):
    store = make_store(tmp_path, TEXTS, [TEXT])
    for number in range(8):
        write(store, {**TEXTS, "c/0": f"changed {number}"}, [TEXT])
        store.pull(["text"])
    assert len(list((store.cache / "mirror" / TEXT.view).glob("resolved-*"))) == 4
