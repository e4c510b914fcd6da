"""Extractors that read the turns before, in a store: what they read, what is stale, what they refuse."""

import numpy as np
import polars as pl
import pytest

from extractors.extraction import extract
from extractors.protocol import Item
from extractors.registry import create
from extractors.runner import Runner
from extractors.text_extractor import own_words
from feature_repo.coverage import coverage
from feature_repo.erasure import forget
from feature_repo.errors import BadInputError
from feature_repo.fill import plan
from feature_repo.store import init_store
from tests.extractors.conftest import MINILM

SAID = ["good morning", "awful weather", "wonderful day", "what a pity", "never mind"]


def talk(corpus="c", **changed):
    names = [f"{corpus}/{turn}" for turn in range(len(SAID))]
    return pl.DataFrame(
        {
            "utterance_id": names,
            "dialogue_id": f"{corpus}/d",
            "turn": range(len(SAID)),
            "speaker_raw": ["Ann", "Bob"] * 2 + ["Ann"],
            "text": [
                changed.get(name.rpartition("/")[2], text) for name, text in zip(names, SAID, strict=True)
            ],
        }
    )


@pytest.fixture
def store(tmp_path):
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    store.write_manifest("c", talk())
    store.write_manifest("e", talk("e"))
    return store


def hashing(context=2, **settings):
    return create("hashing", {"context": str(context), **settings})


def test_what_is_stored_is_of_the_turns_before_and_the_own_words(store):
    extract(store, [hashing(prefix="yes", separator=" ; ")], profile="p", device="cpu")
    plain = create("hashing")
    plain.load("cpu")
    read = "speaker=Ann good morning ; speaker=Bob awful weather ; speaker=Ann wonderful day"
    (wanted,) = plain.extract([Item("c/2", read)])
    pulled = store.pull(["text"], ids=["c/2"], profile="p")
    np.testing.assert_array_equal(pulled.features["text"][0], wanted["text"].value)


def test_a_changed_turn_makes_its_successors_stale_and_no_other(store):
    extract(store, [hashing()], profile="p", device="cpu")
    (view,) = store.views()
    store.write_manifest("c", talk(**{"1": "lovely weather"}))
    (of_c, of_e) = coverage(store, [view])
    assert (of_c.counts["stale"], of_c.counts["present"], of_e.counts["present"]) == (3, 2, 5)
    lacking = plan(store, [store.recipe(view)])[view].keys
    assert set(lacking) == {"c/1", "c/2", "c/3"}
    report, _ = extract(store, [hashing()], profile="p", device="cpu")
    assert report.computed == 3


def test_a_part_of_the_utterances_reads_the_same(store, tmp_path):
    whole = init_store(str(tmp_path / "whole"), cache=str(tmp_path / "cache"))
    whole.write_manifest("c", talk())
    extract(whole, [hashing()], profile="p", device="cpu")
    for chosen in (["c/3"], ["c/0", "c/4"]):
        extract(store, [hashing()], profile="p", corpora=["c"], ids=chosen, device="cpu")
    pulled, wanted = (each.pull(["text"], ids=["c/0", "c/3", "c/4"], profile="p") for each in (store, whole))
    np.testing.assert_array_equal(pulled.features["text"], wanted.features["text"])
    assert pulled.snapshot() == wanted.snapshot()


def test_who_is_forgotten_is_in_no_row_that_read_them(store):
    extract(store, [hashing(), create("hashing")], profile="p", device="cpu")
    read, own = hashing().recipes()["text"].view, create("hashing").recipes()["text"].view
    forget(store, ["c/1"])
    assert set(store.table(read).live_keys()["utterance_id"]) == {
        "c/0",
        "c/4",
        *(f"e/{turn}" for turn in range(5)),
    }
    assert store.table(own).live_keys().height == 9
    report, _ = extract(store, [hashing()], profile="p", device="cpu")
    assert report.computed == 2, "c/2 and c/3, without what was said by whom"


def test_who_is_forgotten_while_others_are_computed_is_in_no_row(store, monkeypatch):
    original = Runner.compute

    def compute(self, missing):
        for number, outcome in enumerate(original(self, missing)):
            if number == 0:
                forget(store, ["c/1"])
            yield outcome

    monkeypatch.setattr(Runner, "compute", compute)
    extract(store, [hashing()], profile="p", device="cpu")
    stored = set(store.table(hashing().recipes()["text"].view).live_keys()["utterance_id"])
    assert stored == {"c/0", "c/4", *(f"e/{turn}" for turn in range(5))}


def test_context_is_identity_and_its_absence_moves_no_key():
    plain = create("hashing").recipes()["text"]
    assert create("hashing", {"context": "0", "prefix": "no"}).recipes()["text"] == plain
    assert plain.settings == {}
    fingerprints = [hashing(turns, prefix="yes").recipes()["text"].fingerprint[:8] for turns in (3, 7, 9)]
    assert fingerprints == ["846d8ba7", "8687b12c", "5fd03f83"], "stored rows would be lost"
    told = hashing(7, prefix="yes", separator="|").recipes()["text"]
    assert told.settings == {"context": 7, "prefix": True, "separator": "|"}
    assert create("sentence", {"model": MINILM, "context": "3"}).recipes()["text_steps"].settings == {
        "context": 3
    }


def test_settings_that_say_nothing_are_refused():
    with pytest.raises(BadInputError, match="context=-1: must be at least 0"):
        hashing(-1)
    with pytest.raises(BadInputError, match="there is nothing to separate with context=0"):
        create("hashing", {"separator": "|"})


def test_a_text_that_is_compared_is_read_by_itself():
    made = create("sentence", {"model": MINILM, "context": "3", "prefix": "yes", "separator": "|"})
    assert own_words(made.settings) == create("sentence", {"model": MINILM}).settings


def test_of_a_context_that_is_too_long_the_oldest_words_are_cut():
    words = [f"{word} is here" for word in ("one", "two", "three", "four", "five")]
    reads = create("sentence", {"model": MINILM, "context": "4", "max_length": "8"})
    alone = create("sentence", {"model": MINILM, "max_length": "8"})
    for made in (reads, alone):
        made.load("cpu")
    (cut,) = reads.extract([Item("c/4", " ".join(words))])
    (last,) = alone.extract([Item("c/4", "four is here five is here")])
    (first,) = alone.extract([Item("c/4", " ".join(words))])
    (start,) = alone.extract([Item("c/4", "one is here two is here")])
    np.testing.assert_allclose(cut["text"].value, last["text"].value, atol=1e-6)
    np.testing.assert_allclose(first["text"].value, start["text"].value, atol=1e-6)
