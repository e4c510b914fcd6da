"""Folds by speaker, subject and session: who is in which part, balance, determinism."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError
from feature_repo.splits import PARTS
from tests.trainers.protocols.manifests import manifest_of
from trainers.protocols.plan import LeakageError
from trainers.protocols.registry import plan_splits


def _ravdess_like() -> tuple[pl.DataFrame, np.ndarray]:
    """Eight speakers, 60 rows each, alike in labels."""
    return manifest_of([f"actor{actor}" for actor in range(8) for _ in range(60)]), np.tile(
        np.arange(60) % 7, 8
    )


@pytest.mark.parametrize("folds", [2, 3, 4, 8])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_speaker_folds_keep_speakers_apart_and_test_each_once(folds: int, share: float) -> None:
    manifest, labels = _ravdess_like()
    speakers = manifest["speaker_id"].to_numpy()
    plan = plan_splits("speaker-folds", manifest, labels, folds=folds, validation_share=share)
    assert plan.by_speaker
    assert [split.fold for split in plan.splits] == list(range(folds))
    for split in plan.splits:
        who = [set(speakers[rows]) for rows in split.parts().values()]
        assert sum(len(part) for part in who) == len(who[0] | who[1] | who[2]) == 8
        assert all(who)
        # Eight like speakers: no fold tests more than one speaker more than another.
        assert len(who[2]) in (8 // folds, -(-8 // folds))
    tested = np.concatenate([split.test for split in plan.splits])
    assert sorted(tested) == list(range(480))


def test_validation_speakers_are_the_share_and_change_with_the_fold() -> None:
    manifest, labels = _ravdess_like()
    speakers = manifest["speaker_id"].to_numpy()
    plan = plan_splits("speaker-folds", manifest, labels, folds=4, validation_share=0.2)
    validated = [sorted(set(speakers[split.validation])) for split in plan.splits]
    assert [len(who) for who in validated] == [1, 1, 1, 1]  # a fifth of six speakers
    assert all(one != other for one, other in pairwise(validated))


def test_folds_do_not_depend_on_the_order_of_rows() -> None:
    manifest, labels = _ravdess_like()
    order = np.random.default_rng(0).permutation(480)
    for one, other in zip(
        plan_splits("speaker-folds", manifest, labels).splits,
        plan_splits("speaker-folds", manifest[order.tolist()], labels[order]).splits,
        strict=True,
    ):
        for part in PARTS:
            assert sorted(order[other.parts()[part]]) == one.parts()[part].tolist()


def test_rows_without_speaker_or_label_are_in_no_part_and_counted() -> None:
    manifest = manifest_of(["a", "b", "c", None, "a", None])
    plan = plan_splits("speaker-folds", manifest, np.array([0, 0, 0, 0, -1, -1]), folds=3)
    for split in plan.splits:
        assert sorted(np.concatenate(list(split.parts().values()))) == [0, 1, 2]
    assert plan.left_out == {"no label in the scheme": 2, "no speaker": 1}


@pytest.mark.parametrize(("speakers", "folds"), [(2, 2), (3, 4), (5, 1)])
def test_too_few_speakers_or_folds_are_refused(speakers: int, folds: int) -> None:
    manifest = manifest_of([f"s{index}" for index in range(speakers)])
    with pytest.raises(BadInputError, match=f"{folds} folds of {speakers} speakers; allowed"):
        plan_splits("speaker-folds", manifest, np.zeros(speakers, np.int64), folds=folds)


def _sessions(dialogues: list[str | None], speakers: list[str | None] | None = None) -> pl.DataFrame:
    return manifest_of(speakers or [None] * len(dialogues)).with_columns(
        dialogue_id=pl.Series(dialogues, dtype=pl.String)
    )


def test_session_folds_test_each_session_once_and_select_on_the_next() -> None:
    manifest = _sessions(
        [
            "iemocap/Ses02F_impro01",
            "iemocap/Ses01M_script01_1",
            "iemocap/Ses03F_impro02",
            None,  # its speaker tells
            "iemocap/Ses01F_impro01",
            "iemocap/Ses03M_impro01",
        ],
        ["c/Ses02F", "c/Ses01M", "c/Ses03F", "c/Ses04M", "c/Ses01F", "c/Ses03F"],
    )
    plan = plan_splits("session-folds", manifest, np.array([0, 1, 0, 1, 0, -1]), folds=4)
    assert (plan.protocol, plan.by_speaker) == ("session-folds", True)
    assert [{part: rows.tolist() for part, rows in split.parts().items()} for split in plan.splits] == [
        {"train": [2, 3], "validation": [0], "test": [1, 4]},
        {"train": [1, 3, 4], "validation": [2], "test": [0]},
        {"train": [0, 1, 4], "validation": [3], "test": [2]},
        {"train": [0, 2], "validation": [1, 4], "test": [3]},
    ]
    assert plan.left_out == {"no label in the scheme": 1}


def test_session_folds_take_ids_without_a_corpus_in_front() -> None:
    plan = plan_splits(
        "session-folds", _sessions(["Ses01F_a", "Ses02F_a", "Ses03F_a"]), np.zeros(3, np.int64)
    )
    assert [split.test.tolist() for split in plan.splits] == [[0], [1], [2]]


@pytest.mark.parametrize("dialogue", ["meld/train/dia0", "Ses01/clips/dia0", "c/MySes01F", None])
def test_session_folds_name_a_row_without_a_session(dialogue: str | None) -> None:
    manifest = _sessions(["iemocap/Ses01F_a", "iemocap/Ses02F_a", "iemocap/Ses03F_a", dialogue])
    with pytest.raises(
        BadInputError, match="c/3 is of dialogue .* allowed .* official, speaker-folds, subject-folds"
    ):
        plan_splits("session-folds", manifest, np.zeros(4, np.int64))


def test_session_folds_ask_for_three_sessions() -> None:
    with pytest.raises(BadInputError, match=r"2 session\(s\) \(Ses01, Ses02\); allowed: 3 or more"):
        plan_splits("session-folds", _sessions(["a/Ses01F_a", "a/Ses02F_a"]), np.zeros(2, np.int64))


def test_a_speaker_of_two_sessions_is_leakage() -> None:
    manifest = _sessions(["a/Ses01F_a", "a/Ses02F_a", "a/Ses03F_a"], ["x", "y", "x"])
    with pytest.raises(LeakageError, match="speaker"):
        plan_splits("session-folds", manifest, np.zeros(3, np.int64))


def test_subject_folds_split_rows_without_a_speaker_as_persons_of_their_own() -> None:
    random = np.random.default_rng(0)
    speakers = [f"actor{actor}" for actor in range(8) for _ in range(10)] + [None] * 400
    labels = random.integers(0, 3, 480)
    manifest = manifest_of(speakers)
    names = manifest["speaker_id"].fill_null("").to_numpy()
    plan = plan_splits("subject-folds", manifest, labels, folds=4, validation_share=0.25)
    assert plan.by_speaker
    for split in plan.splits:
        parts = split.parts()
        assert sorted(np.concatenate(list(parts.values()))) == list(range(480))
        who = [set(names[rows]) - {""} for rows in parts.values()]
        assert sum(len(part) for part in who) == 8
        alone = {part: rows[names[rows] == ""] for part, rows in parts.items()}
        # A quarter tests, a quarter of the rest selects; class by class, one row more or less for each class.
        assert len(alone["test"]) == 100
        assert abs(len(alone["validation"]) - 75) <= 3
        for label in range(3):
            each = np.flatnonzero((labels == label) & (names == ""))
            assert abs(np.isin(each, alone["test"]).sum() - len(each) / 4) <= 1
    assert sorted(np.concatenate([split.test for split in plan.splits])) == list(range(480))


def test_subject_folds_of_stills_alone_and_in_any_order() -> None:
    manifest, labels = manifest_of([None] * 60), np.arange(60) % 2
    order = np.random.default_rng(1).permutation(60)
    plans = [
        plan_splits("subject-folds", manifest, labels, folds=3),
        plan_splits("subject-folds", manifest[order.tolist()], labels[order], folds=3),
    ]
    for one, other in zip(plans[0].splits, plans[1].splits, strict=True):
        assert {part: len(rows) for part, rows in one.parts().items()}["test"] == 20
        for part in PARTS:
            assert sorted(order[other.parts()[part]]) == one.parts()[part].tolist()


@pytest.mark.parametrize(("rows", "folds"), [(2, 3), (20, 1), (0, 3)])
def test_subject_folds_of_too_few_rows_are_refused(rows: int, folds: int) -> None:
    with pytest.raises(BadInputError, match="allowed: 2 or more folds"):
        plan_splits("subject-folds", manifest_of([None] * rows), np.zeros(rows, np.int64), folds=folds)
