"""Pull, against a dictionary model of what a store holds and against Parquet read by hand."""

import json
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest

from feature_repo.compaction import compact, gc
from feature_repo.errors import AmbiguousViewError, BadInputError, StoreWriteError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Fault, Features
from feature_repo.pull import Selection, pull
from feature_repo.recipe import Recipe
from feature_repo.selections import NamedSelection
from feature_repo.splits import SavedSplit
from feature_repo.store import init_store, open_store
from tests.feature_repo.planted_feast import (
    NOTHING,
    OTHER_TEXT,
    SPEAKER,
    STEPS,
    TEXT,
    WIDTH,
    make_store,
    planted,
    write,
)

TEXTS = {f"c/{number:02d}": f"text {number}" for number in range(30)}
WAVE = Recipe("audio", "planted", 1, "text", "steps", 1, dtype="int16")


def value(recipe, text):
    """The features of a text: a sequence has one step for each of its letters, none for a nothing."""
    if text == NOTHING:
        return None
    if recipe.layout == "pooled":
        return planted(recipe, text)
    steps = np.outer([ord(letter) for letter in text], np.arange(1, recipe.width + 1))
    return steps.astype(recipe.dtype)


@dataclass
class Model:
    """What a store should hold, said with dictionaries: texts, the text each live row is of, and what failed."""

    texts: dict = field(default_factory=dict)
    live: dict = field(default_factory=dict)
    computed: set = field(default_factory=set)
    failed: set = field(default_factory=set)

    def fill(self):
        for name in list(self.live):
            if self.texts.get(name) is None:
                del self.live[name]
        for name, text in self.texts.items():
            if text is None or self.live.get(name) == text or (name, text) in self.failed:
                continue
            if text.startswith("!"):
                self.failed.add((name, text))
            else:
                self.computed.add((name, text))
                self.live[name] = text

    def state(self, name):
        text = self.texts[name]
        if text is None:
            return "inapplicable"
        if self.live.get(name) == text:
            return "nothing" if text == NOTHING else "present"
        if (name, text) in self.failed:
            return "faulted"
        return "stale" if name in self.live else "missing"


class Pair:
    """A store and its model, kept in step."""

    recipes = (TEXT, STEPS, WAVE)

    def __init__(self, folder, seed):
        self.folder = folder
        self.random = random.Random(seed)
        self.store = init_store(str(folder / "store"), cache=str(folder / "cache"))
        self.model = Model()

    def ingest(self):
        for name in (f"c/{number:02d}" for number in range(25)):
            if self.random.random() < 0.4:
                letter = self.random.choice("abcdef")
                text = self.random.choice([letter * 3, letter, letter * 9, NOTHING, f"!{letter}", None])
                self.model.texts[name] = text
            elif self.random.random() < 0.15:
                self.model.texts.pop(name, None)
        rows = {"utterance_id": list(self.model.texts), "text": list(self.model.texts.values())}
        self.store.write_manifest("c", pl.DataFrame(rows, schema=dict.fromkeys(rows, pl.String)))

    def fill(self):
        recipes = {recipe.view: recipe for recipe in self.recipes}

        def compute(missing):
            for view, names in missing.items():
                for name in names:
                    text = self.model.texts[name]
                    if text.startswith("!"):
                        yield view, name, Fault("extract", "ValueError", "planted")
                    else:
                        found = value(recipes[view], text)
                        yield view, name, Features(found, "nothing" if found is None else "")

        fill(self.store, self.recipes, compute, flush_bytes=self.random.choice([1, 50, 10**6]))
        self.model.fill()

    def compact(self):
        for recipe in self.recipes:
            compact(self.store.table(recipe.view))

    def gc(self):
        for recipe in self.recipes:
            gc(self.store.table(recipe.view), grace_s=0.0)

    def lose_cache(self):
        shutil.rmtree(self.store.cache, ignore_errors=True)

    def reopen(self):
        self.store = open_store(str(self.folder / "store"), cache=str(self.folder / "cache"))

    def check(self):
        names = [name for name in self.model.texts if self.random.random() < 0.8]
        self.random.shuffle(names)
        states = {name: self.model.state(name) for name in names}
        for join in ("inner", "outer"):
            found = pull(self.store, [recipe.view for recipe in self.recipes], ids=names, join=join)
            kept = [name for name in names if join == "outer" or states[name] == "present"]
            assert found.ids == kept == found.manifest["utterance_id"].to_list()
            for recipe in self.recipes:
                counts = found.coverage[recipe.slot]
                assert counts.asked == len(names)
                for state in ("present", "nothing", "stale", "faulted", "missing", "inapplicable"):
                    assert getattr(counts, state) == list(states.values()).count(state), state
                assert found.present[recipe.slot].tolist() == [states[name] == "present" for name in kept]
            for place, name in enumerate(kept):
                text = self.model.texts[name] if states[name] == "present" else NOTHING
                wanted = [0.0] * WIDTH if text == NOTHING else value(TEXT, text)
                np.testing.assert_array_equal(found.features["text"][place], wanted)
                for recipe in (STEPS, WAVE):
                    steps = found.features[recipe.slot]
                    wanted = np.empty((0, recipe.width)) if text == NOTHING else value(recipe, text)
                    assert steps.lengths[place] == len(wanted)
                    np.testing.assert_array_equal(steps.row(place), wanted)
                    assert steps.row(place).dtype == recipe.dtype


@pytest.mark.parametrize("seed", range(6))
def test_any_history_gives_what_the_model_says(tmp_path, seed):
    pair = Pair(tmp_path, seed)
    pair.ingest()
    pair.fill()
    pair.check()
    operations = [pair.ingest, pair.fill, pair.fill, pair.compact, pair.gc, pair.lose_cache, pair.reopen]
    for _ in range(14):
        pair.random.choice(operations)()
        pair.check()


def test_a_text_that_is_changed_back_is_copied_forward_and_pulled(tmp_path):
    store = make_store(tmp_path, TEXTS)
    write(store, {**TEXTS, "c/03": "other"})
    np.testing.assert_array_equal(
        store.pull(["text"], ids=["c/03"]).features["text"], [planted(TEXT, "other")]
    )
    assert write(store, TEXTS).views[TEXT.view].copied == 1
    np.testing.assert_array_equal(
        store.pull(["text"], ids=["c/03"]).features["text"], [planted(TEXT, "text 3")]
    )


def test_order_is_that_of_the_ids_and_of_the_manifest_without(tmp_path):
    store = make_store(tmp_path, TEXTS)
    names = [*TEXTS]
    random.Random(0).shuffle(names)
    found = store.pull(["speaker", "text"], ids=names)
    assert found.ids == names
    np.testing.assert_array_equal(
        found.features["speaker"], [planted(SPEAKER, TEXTS[name]) for name in names]
    )
    assert found.features["text"].dtype == np.float32
    assert store.pull(["text"]).ids == sorted(TEXTS)
    assert list(found.features) == ["speaker", "text"]
    assert found.views == {"speaker": SPEAKER.view, "text": TEXT.view}


def test_one_slot_left_behind_is_told_and_the_join_is_the_callers(tmp_path):
    store = make_store(tmp_path, TEXTS)
    write(store, {**TEXTS, "c/03": "new", "c/99": "newer"}, [TEXT])
    inner = store.pull(["text", "speaker"])
    assert inner.ids == [name for name in sorted(TEXTS) if name != "c/03"]
    speaker = inner.coverage["speaker"]
    assert (speaker.asked, speaker.present, speaker.stale, speaker.missing) == (31, 29, 1, 1)
    assert inner.coverage["text"].present == 31
    outer = store.pull(["text", "speaker"], join="outer")
    absent = [name for name, there in zip(outer.ids, outer.present["speaker"], strict=True) if not there]
    assert absent == ["c/03", "c/99"]
    assert not outer.features["speaker"][outer.ids.index("c/03")].any()
    assert outer.content_keys["speaker"].null_count() == 2


def test_ids_that_are_repeated_or_unknown_are_named(tmp_path):
    store = make_store(tmp_path, TEXTS)
    with pytest.raises(BadInputError, match=r"more than once: 'c/01'$"):
        store.pull(["text"], ids=["c/01", "c/02", "c/01"])
    with pytest.raises(BadInputError, match=r"no manifest has: 'x', 'y', 'z' and 1 more"):
        store.pull(["text"], ids=["c/01", "x", "y", "z", "v"])
    assert len(store.pull(["text"], ids=[])) == 0


def test_ids_and_a_selection_both_count(tmp_path):
    store = make_store(tmp_path, TEXTS)
    rows = pl.DataFrame(
        {
            "utterance_id": list(TEXTS),
            "text": list(TEXTS.values()),
            "split": ["test" if number % 2 else "train" for number in range(30)],
        }
    )
    store.write_manifest("c", rows)
    found = store.pull(["text"], ids=["c/05", "c/04", "c/03"], where=Selection(splits=("test",)))
    assert found.ids == ["c/05", "c/03"]
    assert found.coverage["text"].asked == 2


def test_a_saved_selection_and_a_part_of_a_saved_split_are_pulled_by_name(tmp_path):
    store = make_store(tmp_path, TEXTS)
    store.selections.save(NamedSelection("odd", ["c/01", "c/03", "c/05"]))
    parts = ["test" if number > 2 else "train" for number in range(30)]
    split = pl.DataFrame({"utterance_id": list(TEXTS), "corpus": ["c"] * 30, "part": parts})
    store.splits.save(SavedSplit("mine", split))
    assert store.pull(["text"], where="odd").ids == ["c/01", "c/03", "c/05"]
    assert store.pull(["text"], where="mine/train").ids == ["c/00", "c/01", "c/02"]
    both = Selection(selections=("odd",), parts=("mine/test",))
    found = store.pull(["text"], ids=["c/05", "c/04", "c/03", "c/01"], where=both)
    assert found.ids == ["c/05", "c/03"]
    np.testing.assert_array_equal(found.features["text"][0], planted(TEXT, "text 5"))
    with pytest.raises(UnknownNameError, match="unknown selection 'even'; allowed: odd"):
        store.pull(["text"], where="even")


def test_a_damaged_manifest_is_named(tmp_path):
    store = make_store(tmp_path, TEXTS)
    (tmp_path / "store" / "manifest" / "c.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(BadInputError, match=r"manifest/c\.parquet is damaged"):
        store.pull(["text"])


def test_unknown_names_are_refused_with_what_is_allowed(tmp_path):
    store = make_store(tmp_path, TEXTS)
    for arguments in ({"slots": ["face"]}, {"labels": "nine"}, {"join": "left"}, {"profile": "poster"}):
        with pytest.raises(UnknownNameError, match="allowed: "):
            pull(store, **({"slots": ["text"]} | arguments))
    with pytest.raises(BadInputError, match="at least one"):
        store.pull([])


def test_two_views_of_one_slot_are_refused_and_a_view_can_be_named(tmp_path):
    store = make_store(tmp_path, TEXTS, [TEXT, OTHER_TEXT])
    write(store, TEXTS, [TEXT, OTHER_TEXT])
    store.catalog.set("other", {"text": TEXT.view})
    with pytest.raises(BadInputError, match=f"{TEXT.view} and {OTHER_TEXT.view}"):
        store.pull([TEXT.view, OTHER_TEXT.view])
    with pytest.raises(AmbiguousViewError):
        store.pull(["text"])
    found = store.pull([OTHER_TEXT.view])
    np.testing.assert_array_equal(found.features["text"][0], planted(OTHER_TEXT, "text 0"))


def test_labels_are_the_schemes_and_minus_one_has_no_place(tmp_path):
    store = make_store(tmp_path, TEXTS)
    emotions = ["joy", None, "neutral"]
    rows = {"utterance_id": list(TEXTS)[:3], "text": list(TEXTS.values())[:3], "emotion": emotions}
    store.write_manifest("c", pl.DataFrame(rows))
    found = store.pull(["text"], ids=["c/02", "c/01", "c/00"])
    assert [found.classes[label] if label >= 0 else None for label in found.labels] == [
        "neutral",
        None,
        "joy",
    ]
    sentiments = store.pull(["text"], labels="sentiment3")
    assert sentiments.classes[sentiments.labels[0]] == "positive"


def test_a_part_that_gc_takes_while_we_read_is_found_again_in_the_merged_one(tmp_path, monkeypatch):
    store = make_store(tmp_path, {"c/00": "a"}, [TEXT])
    write(store, {"c/00": "a", "c/01": "b"}, [TEXT])
    table = open_store(store.root).table(TEXT.view)
    from feature_repo import pull as module

    resolve = module.resolve_view
    done = []

    def resolve_then_lose(*arguments):
        found = resolve(*arguments)
        if not done:
            done.append(compact(table))
            assert len(gc(table, grace_s=0.0)) == 2
        return found

    monkeypatch.setattr(module, "resolve_view", resolve_then_lose)
    np.testing.assert_array_equal(
        store.pull(["text"]).features["text"], [planted(TEXT, "a"), planted(TEXT, "b")]
    )


def test_a_handle_from_before_reads_on_after_gc_and_after_the_cache_is_gone(tmp_path):
    store = make_store(tmp_path, {"c/00": "a"}, [STEPS])
    write(store, {"c/00": "a", "c/01": "b"}, [STEPS])
    before = store.pull(["text_steps"]).features["text_steps"]
    compact(store.table(STEPS.view))
    gc(store.table(STEPS.view), grace_s=0.0)
    after = store.pull(["text_steps"]).features["text_steps"]
    shutil.rmtree(store.cache)
    for steps in (before, after):
        np.testing.assert_array_equal(steps.row(1), planted(STEPS, "b"))


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    store = make_store(tmp_path, TEXTS, [TEXT])
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreWriteError, match="AFFECTSTORE_CACHE"):
        open_store(store.root, cache=str(tmp_path / "file")).pull(["text"])


def test_numpy_pulls_import_neither_torch_nor_feast_nor_pandas(tmp_path):
    make_store(tmp_path, TEXTS)
    code = (
        "import json, sys\n"
        "from affectstore import open_store\n"
        "found = open_store(sys.argv[1], cache=sys.argv[2]).pull(['text', 'speaker', 'text_steps'])\n"
        "found.features['text_steps'].gather([0, 1])\n"
        "found.snapshot()\n"
        "print(json.dumps([len(found), *({'torch', 'feast', 'pandas'} & set(sys.modules))]))\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "store"), str(tmp_path / "cache")]
    for _ in ("makes the mirror", "finds it"):
        printed = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
        assert json.loads(printed) == [len(TEXTS)]


def test_records_and_speakers_are_not_pulled_and_the_error_says_how_to_read_them(tmp_path):
    from tests.feature_repo.planted import new_store
    from tests.feature_repo.planted_records import FACES, RECORD, REFERENCE, derive, people

    store = new_store(tmp_path)
    store.write_manifest("c", people({"c/1": "one"}, {"c/1": "ann"}))
    derive(store)
    store.catalog.set("paper", {recipe.slot: recipe.view for recipe in (RECORD, FACES, REFERENCE)})
    with pytest.raises(
        BadInputError, match=f"'transcript' can't be .* {RECORD.view} holds records.*current_rows"
    ):
        store.pull(["transcript"])
    with pytest.raises(BadInputError, match=f"{REFERENCE.view} holds one row for each speaker.*Feast"):
        store.pull(["faces_steps", REFERENCE.view])
    assert store.pull(["faces_steps"]).features["faces_steps"].row(0)[:, 0].tolist() == [111, 110, 101]


def test_corpora_of_which_one_was_ingested_before_there_were_pictures_are_pulled_together(tmp_path):
    import io

    store = make_store(tmp_path, {"c/1": "one"}, [TEXT])
    path = "manifest/c.parquet"
    sink = io.BytesIO()
    pl.read_parquet(io.BytesIO(store.files.read(path))).drop("picture").write_parquet(sink)
    store.files.write(path, sink.getvalue())
    other = pl.DataFrame({"utterance_id": ["d/1"], "text": ["two"], "picture": ["left"]})
    store.write_manifest("d", other)
    found = store.pull([TEXT.view], join="outer")
    assert found.manifest["picture"].to_list() == [None, "left"]
