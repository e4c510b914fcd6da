"""Similar utterances of a planted store, against every pair of planted vectors compared by hand."""

import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import polars as pl
import pytest

from feature_repo.compaction import compact, gc
from feature_repo.erasure import forget
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.mirror import mirror_of
from feature_repo.named_verdicts import NamedVerdict
from feature_repo.pull import Selection
from feature_repo.selections import NamedSelection
from feature_repo.similarity import TOLD
from feature_repo.splits import SavedSplit
from feature_repo.store import open_store
from tests.feature_repo.planted import RECORD, STEPS, TEXT, Extraction, new_store, numbers
from tests.feature_repo.planted import rows as rows_of

# Said in dialogues of four turns by two people each; every seventh says the same.
SAID = {f"c/{n:02d}": f"words {6 if n % 7 == 6 else n}" for n in range(40)}
EMOTIONS = ("joy", "anger", "neutral", "fear", "sadness")


def manifest_of(said, tag=""):
    places = range(len(said))
    return rows_of(
        {name: text + tag for name, text in said.items()},
        dialogue_id=[f"c/dia{place // 4}" for place in places],
        speaker_id=[None if place % 11 == 10 else f"c/person{place % 2 + place // 8}" for place in places],
        emotion=[EMOTIONS[place % 5] for place in places],
        split=["train" if place < 25 else "test" for place in places],
        turn=[place % 4 for place in places],
    )


@pytest.fixture
def store(tmp_path):
    made = new_store(tmp_path)
    made.write_manifest("c", manifest_of(SAID))
    fill(made, [TEXT, STEPS], Extraction(made, [TEXT, STEPS]), flush_bytes=200)
    made.catalog.set("default", {"text": TEXT.view, "text_steps": STEPS.view})
    return made


def by_hand(store, vector, *, leave=(), k=10, keep=None):
    """(id, cosine as float32) of the k nearest by the text of each manifest row, without the code under test."""
    found = []
    for row in store.manifest().iter_rows(named=True):
        if row["utterance_id"] in leave or (keep is not None and not keep(row)) or not row["text"]:
            continue
        other = numbers(TEXT, row["text"]).astype(np.float64)
        cosine = float(np.asarray(vector, np.float64) @ other)
        cosine /= float(np.linalg.norm(other)) * float(np.linalg.norm(np.asarray(vector, np.float64)))
        found.append((row["utterance_id"], np.float32(min(1.0, cosine))))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k]


def pairs(frame):
    return list(zip(frame["utterance_id"], frame["similarity"].to_numpy(), strict=True))


def of(store, name):
    return numbers(
        TEXT, store.manifest().row(by_predicate=pl.col("utterance_id") == name, named=True)["text"]
    )


def test_the_nearest_of_one_utterance_are_those_of_every_pair(store):
    found = store.similar("text", "c/06", k=7)
    assert pairs(found) == by_hand(store, of(store, "c/06"), leave={"c/06"}, k=7)
    assert pairs(found)[0] == ("c/13", 1.0)
    assert found["rank"].to_list() == [1, 2, 3, 4, 5, 6, 7]
    assert set(found["query"]) == {"c/06"}
    assert found.columns == ["query", "rank", "utterance_id", "similarity", *TOLD]
    told = store.manifest().select("utterance_id", *TOLD)
    assert found.select("utterance_id", *TOLD).equals(
        found.select("utterance_id").join(told, on="utterance_id", maintain_order="left")
    )
    assert pairs(store.similar(TEXT.view, "c/06", k=7)) == pairs(found)


def test_itself_is_found_when_asked_for_and_others_that_say_the_same_stand_by_id(store):
    found = store.similar("text", "c/20", k=6, include_self=True)
    assert pairs(found) == by_hand(store, of(store, "c/20"), k=6)
    assert pairs(found)[:5] == [(f"c/{number}", 1.0) for number in ("06", "13", "20", "27", "34")]


def test_queries_of_each_kind_in_their_order(store):
    vectors = np.array([[1.0, -2, 0.5, 3], [0, 0, 0, -1e-30]])
    found = store.similar("text", vectors, k=3)
    assert found["query"].to_list() == [0, 0, 0, 1, 1, 1]
    assert found["rank"].to_list() == [1, 2, 3, 1, 2, 3]
    for number, vector in enumerate(vectors):
        assert pairs(found.filter(query=number)) == by_hand(store, vector, k=3)
    assert pairs(store.similar("text", vectors[0].tolist(), k=3)) == by_hand(store, vectors[0], k=3)
    several = ["c/30", "c/02", "c/11"]
    for asked in (several, tuple(several), pl.Series(several), np.array(several)):
        found = store.similar("text", asked, k=4)
        assert found["query"].unique(maintain_order=True).to_list() == several
        for name in several:
            expected = by_hand(store, of(store, name), leave={name}, k=4)
            assert pairs(found.filter(query=name)) == expected
    none = store.similar("text", [], k=4)
    assert none.height == 0
    assert none.schema == found.schema
    torch = pytest.importorskip("torch")
    assert pairs(store.similar("text", torch.tensor(vectors[0]), k=3)) == by_hand(store, vectors[0], k=3)


def test_filters_choose_among_whom_and_not_who_asks(store):
    vector = of(store, "c/01")
    where = Selection(splits=("test",), emotions=("joy", "fear"))
    found = store.similar("text", "c/01", where=where, k=50)
    expected = by_hand(
        store, vector, keep=lambda row: row["split"] == "test" and row["emotion"] in ("joy", "fear"), k=50
    )
    assert pairs(found) == expected
    assert 0 < len(expected) < 10
    store.selections.save(NamedSelection("odd", [f"c/{n:02d}" for n in range(1, 40, 2)]))
    parts = pl.DataFrame(
        {"utterance_id": list(SAID), "corpus": ["c"] * 40, "part": ["train"] * 30 + ["test"] * 10}
    )
    store.splits.save(SavedSplit("mine", parts))
    odd = by_hand(store, vector, leave={"c/01"}, keep=lambda row: int(row["utterance_id"][2:]) % 2, k=50)
    assert pairs(store.similar("text", "c/01", where="odd", k=50)) == odd
    last = by_hand(store, vector, keep=lambda row: row["utterance_id"] >= "c/30", k=50)
    assert pairs(store.similar("text", "c/01", where="mine/test", k=50)) == last
    judged = pl.DataFrame({"utterance_id": list(SAID), "passed": [n % 3 > 0 for n in range(40)]})
    store.verdicts.save(NamedVerdict("v", judged.with_columns(reason=pl.lit(None, pl.String))))
    passed = by_hand(store, vector, leave={"c/01"}, keep=lambda row: int(row["utterance_id"][2:]) % 3, k=50)
    assert pairs(store.similar("text", "c/01", verdict="v", k=50)) == passed
    near = [pair for pair in by_hand(store, vector, leave={"c/01"}, k=50) if pair[1] >= 0.5]
    assert pairs(store.similar("text", "c/01", at_least=0.5, k=50)) == near


@pytest.mark.parametrize("shared", ["dialogue", "speaker", "text", "corpus"])
def test_what_is_shared_with_the_query_is_left_out(store, shared):
    column = {"dialogue": "dialogue_id", "speaker": "speaker_id"}.get(shared, shared)
    own = dict(store.manifest().select("utterance_id", column).iter_rows())
    queries = ["c/06", "c/13", "c/10"]  # nobody knows who says c/10
    found = store.similar("text", queries, exclude=shared, k=50)
    for name in queries:
        others = {
            other
            for other, value in own.items()
            if other == name or (value is not None and value == own[name])
        }
        assert pairs(found.filter(query=name)) == by_hand(store, of(store, name), leave=others, k=50)


def test_several_exclusions_count_together_and_the_query_itself_can_stay(store):
    found = store.similar("text", "c/13", exclude=("dialogue", "text"), include_self=True, k=50)
    leave = {"c/12", "c/14", "c/15", "c/06", "c/20", "c/27", "c/34"}
    assert pairs(found) == by_hand(store, of(store, "c/13"), leave=leave, k=50)
    assert found["utterance_id"][0] == "c/13"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("text", "c/99"), {}, "no manifest has: 'c/99'"),
        (("text", ["c/01", "c/01"]), {}, "more than once: 'c/01'"),
        (("text", [1.0, 2.0]), {}, r"a query of shape \[2\]; allowed: \[4\] or \[q, 4\]"),
        (("text", np.zeros((2, 2, 4))), {}, r"shape \[2, 2, 4\]"),
        (("text", [0.0] * 4), {}, "all zeros"),
        (("text", [1.0, float("nan"), 0, 0]), {}, "not finite"),
        (("text", [["a", 1], [2]]), {}, "utterance ids or vectors"),
        (("text", "c/01"), {"k": 0}, "k 0: at least 1"),
        (("text", [1.0] * 4), {"exclude": "speaker"}, "a vector has no speaker to exclude"),
        (("text_steps", "c/01"), {}, f"{STEPS.view} holds sequences.*allowed: {TEXT.view}"),
    ],
)
def test_what_cannot_be_answered_is_told(store, arguments, options, message):
    with pytest.raises(BadInputError, match=message):
        store.similar(*arguments, **options)


def test_unknown_names_are_told_with_those_that_exist(store):
    with pytest.raises(
        UnknownNameError, match="unknown exclude 'person'; allowed: corpus, dialogue, speaker, text"
    ):
        store.similar("text", "c/01", exclude=("person",))
    for options in ({"where": "nobody"}, {"verdict": "nobody"}, {"profile": "nobody"}):
        with pytest.raises(UnknownNameError, match="nobody"):
            store.similar("text", "c/01", **options)
    with pytest.raises(UnknownNameError, match="unknown slot or view 'face'"):
        store.similar("face", "c/01")


def test_records_have_no_cosine(tmp_path):
    store = new_store(tmp_path)
    store.write_manifest("c", rows_of({"c/1": "one"}))
    fill(store, [RECORD], Extraction(store, [RECORD]))
    with pytest.raises(BadInputError, match="holds records.*none of transcript is stored"):
        store.similar(RECORD.view, "c/1")


def test_only_vectors_of_what_the_manifest_says_now_are_found(store):
    said = {**SAID, "c/06": "something new", "c/08": "", "c/40": "added"}
    store.write_manifest("c", manifest_of(said))
    found = store.similar("text", "c/13", k=50)
    left = {"c/06", "c/08", "c/13", "c/40"}
    assert pairs(found) == by_hand(store, of(store, "c/13"), leave=left, k=50)
    for name, state in (("c/06", "stale"), ("c/40", "missing")):
        with pytest.raises(BadInputError, match=f"'{name}' has no vector in {TEXT.view} .*: it is {state}"):
            store.similar("text", name)
    with pytest.raises(BadInputError, match=r"it is stale \(and 1 more queries like it\)"):
        store.similar("text", ["c/06", "c/01", "c/40"])
    fill(store, [TEXT], Extraction(store, [TEXT]))
    assert pairs(store.similar("text", "c/13", k=50)) == by_hand(
        store, of(store, "c/13"), leave={"c/13", "c/08"}, k=50
    )
    with pytest.raises(BadInputError, match="'c/08' .* it is nothing"):
        store.similar("text", "c/08")


def test_parts_that_are_merged_and_a_cache_that_is_lost_change_nothing(store):
    expected = pairs(store.similar("text", "c/06", k=40))
    assert len(store.table(TEXT.view).parts()) > 3
    compact(store.table(TEXT.view))
    gc(store.table(TEXT.view), grace_s=0.0)
    assert pairs(store.similar("text", "c/06", k=40)) == expected
    shutil.rmtree(store.cache)
    assert (
        pairs(open_store(store.root, cache=str(store.cache.parent)).similar("text", "c/06", k=40)) == expected
    )


def test_norms_lie_beside_the_segment_and_a_torn_file_is_made_again(store):
    expected = pairs(store.similar("text", "c/06"))
    files = sorted((mirror_of(store).folder / TEXT.view).glob("part-*/norms.bin"))
    assert len(files) == len(store.table(TEXT.view).parts())
    whole = [path.read_bytes() for path in files]
    for path, data in zip(files, whole, strict=True):
        path.write_bytes(data[:-3])
    again = open_store(store.root, cache=str(store.cache.parent))
    assert pairs(again.similar("text", "c/06")) == expected
    assert [path.read_bytes() for path in files] == whole
    for (
        path
    ) in files:  # and read, not computed, when they are whole: ones of another size change what is proposed
        path.unlink()
        path.mkdir()
    unwritable = open_store(store.root, cache=str(store.cache.parent))
    assert pairs(unwritable.similar("text", "c/06")) == expected


def test_answers_beside_a_writer_are_of_one_state(store):
    """Texts change, parts are merged and removed while queries run: each answer is one state's, whole or stale."""
    query = numbers(TEXT, "words 3")
    states = []
    for tag in ("", "!"):
        said = {name: text + tag for name, text in SAID.items()}
        states.append({name: numbers(TEXT, text) for name, text in said.items()})
    writer_store = open_store(store.root, cache=str(store.cache.parent))
    stop, trouble = threading.Event(), []

    def write():
        try:
            for turn in range(1, 100):
                if stop.is_set():
                    return
                writer_store.write_manifest("c", manifest_of(SAID, "!" if turn % 2 else ""))
                fill(writer_store, [TEXT], Extraction(writer_store, [TEXT]), flush_bytes=150)
                compact(writer_store.table(TEXT.view))
                gc(writer_store.table(TEXT.view), grace_s=0.0)
        except Exception as error:
            trouble.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    try:
        for turn in range(200):
            if turn >= 25 and seen == {True, False}:
                break
            found = store.similar("text", query, k=50)
            said = dict(found.select("utterance_id", "text").iter_rows())
            tags = {text.endswith("!") for text in said.values()}
            assert len(tags) <= 1  # the manifest's texts are one state's
            for name, similarity in pairs(found):
                vector = states[tags == {True}][name].astype(np.float64)
                cosine = vector @ query / np.linalg.norm(vector) / np.linalg.norm(query.astype(np.float64))
                assert similarity == pytest.approx(cosine, abs=1e-7)
            assert found["similarity"].is_sorted(descending=True)
            seen |= tags
            pulled = store.pull(["text"])
            for name, text, vector in zip(
                pulled.ids, pulled.manifest["text"], pulled.features["text"], strict=True
            ):
                assert text == SAID[name] + ("!" if text.endswith("!") else "")
                np.testing.assert_array_equal(vector, numbers(TEXT, text))
            assert pulled.manifest["text"].str.ends_with("!").n_unique() <= 1
    finally:
        stop.set()
        writer.join()
    assert not trouble
    assert seen == {True, False}


def test_answers_import_neither_torch_nor_feast_nor_pandas(store):
    code = (
        "import json, sys\n"
        "from affectstore import open_store\n"
        "found = open_store(sys.argv[1], cache=sys.argv[2]).similar('text', 'c/06', where=None)\n"
        "print(json.dumps([found.height, *({'torch', 'feast', 'pandas', 'sklearn'} & set(sys.modules))]))\n"
    )
    arguments = [sys.executable, "-c", code, store.root, str(store.cache.parent)]
    assert json.loads(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout) == [10]


def test_who_is_forgotten_is_found_no_more_and_leaves_no_norm_behind(store):
    before = store.similar("text", "c/06", k=3)["utterance_id"].to_list()
    assert before[0] == "c/13"
    forget(store, ["c/13"])
    vector = of(store, "c/06")
    assert pairs(store.similar("text", "c/06", k=3)) == by_hand(store, vector, leave={"c/06"}, k=3)
    assert "c/13" not in store.similar("text", vector, k=50)["utterance_id"]
    left = {path.parent.name for path in (mirror_of(store).folder / TEXT.view).glob("part-*/norms.bin")}
    assert left
    assert left <= {name.removesuffix(".parquet") for name in store.table(TEXT.view).parts()}
