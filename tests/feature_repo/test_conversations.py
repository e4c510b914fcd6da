"""Dialogues over a training set: planted conversations, MELD's real ones, and a grouping done by hand."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.corpora.registry import reader
from feature_repo.conversations import dialogues_of
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.labels import scheme
from feature_repo.manifest import conform
from feature_repo.named_verdicts import NamedVerdict
from feature_repo.training_set import TrainingSet
from tests.feature_repo.planted_feast import NOTHING, STEPS, TEXT, WIDTH, make_store, planted

# Turns 10 and 2 sort the other way as texts; turn 3 of "a" is absent; "b" is out of order; the rest stand alone.
PEOPLE = {"ann": "c/ann", "ben": "c/ben", "All": None, None: None}
TURNS = [
    # utterance, dialogue, turn, speaker, emotion, text
    ("c/a10", "c/a", 10, "ann", "joy", "ten"),
    ("c/a2", "c/a", 2, "ben", "anger", "two"),
    ("c/a0", "c/a", 0, "ann", "fear", "zero"),
    ("c/a4", "c/a", 4, "All", None, "four"),
    ("c/b1", "c/b", 1, None, "joy", "one"),
    ("c/b0", "c/b", 0, "ben", "joy", NOTHING),
    ("c/z", None, None, "ann", "neutral", "alone"),
    ("c/y", None, None, None, "neutral", "alone too"),
]


def manifest(turns=TURNS):
    columns = ["utterance_id", "dialogue_id", "turn", "speaker_raw", "emotion", "text"]
    rows = pl.DataFrame(turns, schema=columns, orient="row")
    people = [PEOPLE[name] for name in rows["speaker_raw"]]
    return rows.with_columns(speaker_id=pl.Series(people, dtype=pl.String))


@pytest.fixture
def store(tmp_path):
    made = make_store(tmp_path, {row[0]: row[5] for row in TURNS})
    made.write_manifest("c", manifest())
    return made


def by_name(found):
    """Dialogue to its turns' ids, speakers and targets."""
    ids = found.training_set.ids
    return {
        name: [
            (ids[row], int(found.speakers[at, turn]), bool(found.targets[at, turn]))
            for turn, row in enumerate(found.index[at][: found.lengths[at]])
        ]
        for at, name in enumerate(found.ids)
    }


def plain_set(rows, labels=None):
    """A training set of manifest rows, without features."""
    rows = conform(rows, "c") if "media_key" not in rows.columns else rows
    labels = np.zeros(rows.height, np.int64) if labels is None else labels
    return TrainingSet(rows["utterance_id"].to_list(), {}, {}, labels, ("x",), rows, {}, {}, {}, {})


def test_turns_go_by_the_corpus_number_over_gaps_and_speakers_by_their_first_word(store):
    found = store.pull(["text"], by="dialogue", join="outer")
    assert by_name(found) == {
        "c/a": [("c/a0", 0, True), ("c/a2", 1, True), ("c/a4", 2, False), ("c/a10", 0, True)],
        "c/b": [("c/b0", 0, True), ("c/b1", -1, True)],
        "c/y": [("c/y", -1, True)],
        "c/z": [("c/z", 0, True)],
    }
    assert found.index.shape == (4, 4)
    assert (found.index[~found.mask] == -1).all()
    assert (found.speakers[~found.mask] == -1).all()
    assert not found.targets[~found.mask].any()
    joy, anger, fear, neutral = (
        found.training_set.classes.index(x) for x in ("joy", "anger", "fear", "neutral")
    )
    assert found.labels.tolist() == [
        [fear, anger, -1, joy],
        [joy, joy, -1, -1],
        [neutral, -1, -1, -1],
        [neutral, -1, -1, -1],
    ]
    assert len(found) == 4


def test_the_order_in_which_ids_are_asked_for_orders_dialogues_and_not_turns(store):
    names = [row[0] for row in TURNS]
    expected = by_name(store.pull(["text"], by="dialogue", join="outer"))
    for seed in range(5):
        random.Random(seed).shuffle(names)
        found = store.pull(["text"], by="dialogue", join="outer", ids=names)
        assert found.training_set.ids == names
        assert by_name(found) == expected
        firsts = [expected[name] for name in found.ids]
        places = [min(names.index(turn[0]) for turn in turns) for turns in firsts]
        assert places == sorted(places)


def test_an_inner_join_leaves_a_gap_and_an_outer_one_a_turn_without_a_value(store):
    inner = store.pull(["text"], by="dialogue")
    assert by_name(inner)["c/b"] == [("c/b1", -1, True)]
    outer = store.pull(["text"], by="dialogue", join="outer")
    values, present = outer.gather("text", [1])
    assert outer.ids[1] == "c/b"
    assert present.tolist() == [[False, True]]
    np.testing.assert_array_equal(values[0], [[0.0] * WIDTH, planted(TEXT, "one")])


def test_gather_gives_dialogues_in_any_order_padded_to_their_longest(store):
    found = store.pull(["text"], by="dialogue", join="outer")
    values, present = found.gather("text", [3, 0, 3])
    assert values.shape == (3, 4, WIDTH)
    assert values.dtype == np.float32
    assert present.tolist() == [[True, False, False, False], [True] * 4, [True, False, False, False]]
    for text, row in zip(("zero", "two", "four", "ten"), values[1], strict=True):
        np.testing.assert_array_equal(row, planted(TEXT, text))
    np.testing.assert_array_equal(values[0], values[2])
    np.testing.assert_array_equal(values[0, 0], planted(TEXT, "alone"))
    assert not values[0, 1:].any()
    assert found.gather("text", [2, 3])[0].shape == (2, 1, WIDTH)
    assert found.gather("text", [])[0].shape == (0, 0, WIDTH)
    assert found.gather("text")[0].shape == (4, 4, WIDTH)
    assert found.cut(found.speakers, [1, 3]).tolist() == [[0, -1], [0, -1]]
    assert found.cut(found.targets, [3]).tolist() == [[True]]
    assert found.cut(found.labels).shape == (4, 4)
    assert found.rows([1]).tolist() == [[found.training_set.ids.index(name) for name in ("c/b0", "c/b1")]]


def test_a_loader_gets_dialogues_padded_to_the_longest_of_the_batch(store):
    from torch.utils.data import DataLoader

    found = store.pull(["text", "text_steps"], by="dialogue", join="outer")
    assert repr(found).startswith("Dialogues(4 of at most 4 turns; TrainingSet(8 utterances; text [3], ")
    order = [found.ids.index(name) for name in ("c/b", "c/a")]
    (batch,) = DataLoader(range(len(found)), batch_size=2, sampler=order, collate_fn=found.batch)
    names = {
        "text",
        "text_present",
        *(f"dialogue_{name}" for name in ("mask", "targets", "speakers", "labels")),
    }
    assert set(batch) == names
    assert batch["dialogue_mask"].tolist() == [[True, True, False, False], [True] * 4]
    said = {row[0]: row[5] for row in TURNS}
    for at, turns in enumerate((["c/b0", "c/b1"], ["c/a0", "c/a2", "c/a4", "c/a10"])):
        for turn, name in enumerate(turns):
            there = said[name] != NOTHING
            wanted = planted(TEXT, said[name]) if there else [0.0] * WIDTH
            np.testing.assert_array_equal(batch["text"][at, turn].numpy(), wanted)
            assert batch["text_present"][at, turn].item() == there
    assert not batch["text"][0, 2:].any()
    joy, fear, anger = (found.training_set.classes.index(name) for name in ("joy", "fear", "anger"))
    assert batch["dialogue_labels"].tolist() == [[joy, joy, -1, -1], [fear, anger, -1, joy]]
    assert batch["dialogue_targets"].tolist() == [[True, True, False, False], [True, True, False, True]]
    assert batch["dialogue_speakers"][1].tolist() == [0, 1, 2, 0]
    assert found.batch([order[0]])["text"].shape == (1, 2, WIDTH)


def test_sequences_are_gathered_by_rows(store):
    found = store.pull(["text_steps"], by="dialogue", join="outer")
    with pytest.raises(BadInputError, match=r"'text_steps' is a sequence.*dialogues\.rows"):
        found.gather("text_steps")
    with pytest.raises(UnknownNameError, match="'text'; allowed: text_steps"):
        found.gather("text")
    block = found.rows([0])
    steps, _ = found.training_set.features["text_steps"].gather(block[block >= 0])
    np.testing.assert_array_equal(steps[1], planted(STEPS, "two"))


def test_what_a_verdict_removed_is_context_and_no_target(store):
    rows = store.manifest()
    removed = {"c/a0", "c/b0", "c/z"}
    passed = [name not in removed for name in rows["utterance_id"]]
    reasons = [None if ok else "no_match" for ok in passed]
    store.verdicts.save(
        NamedVerdict(
            "v",
            pl.DataFrame({"utterance_id": rows["utterance_id"], "passed": passed, "reason": reasons}),
            thresholds={},
            checks={},
        )
    )
    found = store.pull(["text"], by="dialogue", verdict="v", join="outer")
    whole = store.pull(["text"], by="dialogue", join="outer")
    np.testing.assert_array_equal(found.index, whole.index)
    np.testing.assert_array_equal(found.speakers, whole.speakers)
    assert by_name(found) == {
        name: [(turn, speaker, target and turn not in removed) for turn, speaker, target in turns]
        for name, turns in by_name(whole).items()
    }
    assert found.training_set.verdict.passed == 5
    assert found.training_set.verdict.removed == {"no_match": 3}
    assert found.snapshot() != whole.snapshot()
    inner = store.pull(["text"], by="dialogue", verdict="v")
    assert by_name(inner) == by_name(found) | {"c/b": [("c/b1", -1, True)]}
    alone = store.pull(["text"], verdict="v", join="outer")
    assert set(alone.ids) == set(rows["utterance_id"]) - removed
    targets = {found.training_set.ids[row] for row in found.index[found.targets]}
    labelled = {name for name, label in zip(alone.ids, alone.labels, strict=True) if label >= 0}
    assert targets == labelled, "what is scored is the same with and without context"


def test_tensors_and_archive_hold_the_same_index(store, tmp_path):
    import torch

    found = store.pull(["text"], by="dialogue", join="outer")
    tensors = found.tensors()
    values, present = found.gather("text", [0, 1], device="cpu")
    index = tensors["dialogue_index"][:2]
    assert torch.equal(values, tensors["text"][index.clamp(min=0)] * (index >= 0)[..., None])
    assert torch.equal(present, tensors["text_present"][index.clamp(min=0)] & (index >= 0))
    assert tensors["dialogue_labels"].tolist() == found.labels.tolist()
    found.save_npz(tmp_path / "set.npz")
    with np.load(tmp_path / "set.npz") as archive:
        assert archive["dialogue_ids"].tolist() == found.ids
        assert archive["snapshot"].item() == found.snapshot() != found.training_set.snapshot()
        for name in ("index", "lengths", "speakers", "targets"):
            np.testing.assert_array_equal(archive[f"dialogue_{name}"], getattr(found, name))
        np.testing.assert_array_equal(archive["text"], found.training_set.features["text"])
    frame = found.to_polars()
    assert frame["utterance_id"].to_list() == found.training_set.ids
    by_turn = frame.filter(dialogue_id="c/a").sort("dialogue_turn")
    assert by_turn["utterance_id"].to_list() == ["c/a0", "c/a2", "c/a4", "c/a10"]
    assert by_turn["dialogue_speaker"].to_list() == [0, 1, 2, 0]
    assert frame.filter(utterance_id="c/b1")["dialogue_speaker"].to_list() == [None]
    assert frame.filter(~pl.col("target"))["utterance_id"].to_list() == ["c/a4"]


def test_a_snapshot_moves_with_order_speakers_and_targets(store):
    before = store.pull(["text"], by="dialogue", join="outer").snapshot()
    assert store.pull(["text"], by="dialogue", join="outer").snapshot() == before
    for changed in (
        [(*row[:2], 1, *row[3:]) if row[0] == "c/a10" else row for row in TURNS],
        [(*row[:3], "ann", *row[4:]) if row[0] == "c/a2" else row for row in TURNS],
        [(*row[:4], "joy", row[5]) if row[0] == "c/a4" else row for row in TURNS],
    ):
        store.write_manifest("c", manifest(changed))
        assert store.pull(["text"], by="dialogue", join="outer").snapshot() != before
    # Another number for the same place changes nothing.
    store.write_manifest("c", manifest([(*r[:2], 99, *r[3:]) if r[0] == "c/a10" else r for r in TURNS]))
    assert store.pull(["text"], by="dialogue", join="outer").snapshot() == before


def test_without_turns_the_start_orders_and_without_both_nobody_knows(tmp_path):
    rows = pl.DataFrame(
        {
            "utterance_id": ["c/1", "c/2", "c/3"],
            "dialogue_id": ["c/a"] * 3,
            "start_s": [9.0, 1.5, 1.5],
            "end_s": [10.0, 2.0, 2.5],
        }
    )
    assert dialogues_of(plain_set(rows)).index.tolist() == [[1, 2, 0]]
    with pytest.raises(
        BadInputError, match="'c/1': dialogue 'c/a' has several .* neither a turn nor a start"
    ):
        dialogues_of(plain_set(rows.drop("start_s", "end_s")))
    # One turn number among three orders nothing; the starts do.
    assert dialogues_of(plain_set(rows.with_columns(turn=pl.Series([0, None, None])))).index.tolist() == [
        [1, 2, 0]
    ]
    alone = rows.drop("start_s", "end_s").with_columns(dialogue_id=pl.Series(["c/a", "c/b", None]))
    assert dialogues_of(plain_set(alone)).lengths.tolist() == [1, 1, 1]


def test_dialogues_numbered_anew_in_each_split_are_told_and_two_corpora_may_share_a_number():
    rows = pl.DataFrame(
        {
            "utterance_id": ["c/train1", "c/train2", "c/test1"],
            "split": ["train", "train", "test"],
            "dialogue_id": ["1"] * 3,
            "turn": [0, 1, 0],
        }
    )
    with pytest.raises(
        BadInputError, match="'c/test1' and 'c/train1' have the same turn of dialogue '1'.*split"
    ):
        dialogues_of(plain_set(rows))
    other = conform(pl.DataFrame({"utterance_id": ["d/1"], "dialogue_id": ["1"], "turn": [0]}), "d")
    both = pl.concat([conform(rows.head(2), "c"), other])
    found = dialogues_of(plain_set(both))
    assert found.ids == ["1", "1"]
    assert found.index.tolist() == [[0, 1], [2, -1]]


def test_nothing_asked_for_is_no_dialogue(store):
    found = store.pull(["text"], by="dialogue", ids=[])
    assert (len(found), found.index.shape, found.labels.shape) == (0, (0, 0), (0, 0))
    assert found.gather("text")[0].shape == (0, 0, WIDTH)
    assert found.to_polars().height == 0
    with pytest.raises(UnknownNameError, match="by 'speaker'; allowed: dialogue, utterance"):
        store.pull(["text"], by="speaker")


def test_meld_dialogues(samples: Path) -> None:
    rows = conform(reader("meld").read(samples / "data" / "meld"), "meld")
    labels = scheme("seven").map(rows).is_not_null().to_numpy().astype(np.int64) - 1
    found = dialogues_of(plain_set(rows, labels))
    # By the corpus's own counts (CORPORA: MELD), and a grouping done with dictionaries.
    splits = Counter(name.split("/")[1] for name in found.ids)
    assert splits == {"train": 1038, "dev": 114, "test": 280}
    assert found.targets.sum() == found.lengths.sum() == 13_708
    by_hand: dict[str, list[tuple[int, str, str]]] = {}
    for row in rows.iter_rows(named=True):
        who = row["speaker_id"] or f"raw {row['speaker_raw']}"
        by_hand.setdefault(row["dialogue_id"], []).append((row["turn"], row["utterance_id"], who))
    gaps = Counter()
    for at, name in enumerate(found.ids):
        turns = sorted(by_hand[name])
        block = found.index[at][: found.lengths[at]]
        assert [found.training_set.ids[row] for row in block] == [turn[1] for turn in turns]
        first = list(dict.fromkeys(turn[2] for turn in turns))
        assert found.speakers[at][: len(turns)].tolist() == [first.index(turn[2]) for turn in turns]
        gaps[name.split("/")[1]] += [turn[0] for turn in turns] != list(range(len(turns)))
    assert gaps == {"train": 72, "dev": 2, "test": 2}
