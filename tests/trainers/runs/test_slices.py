"""Slices of the test rows, by hand on two small dialogues, and MELD's repeated texts on its real annotations."""

import json
from pathlib import Path

import polars as pl
import pytest
import typer
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from typer.testing import CliRunner

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError
from feature_repo.labels import EMOTIONS
from feature_repo.manifest import conform
from feature_repo.store import Store, init_store
from tests.trainers.planted_runs import planted_run
from trainers.runs.command import runs as runs_command
from trainers.runs.comparison import intervals
from trainers.runs.predictions import predictions_of
from trainers.runs.run import finished_runs
from trainers.runs.slices import Slice, slices

APP = typer.Typer()
APP.command()(runs_command)

# dialogue, turn, who, what is said, emotion, start, end, split
ROWS = [
    ("d1", 0, "ann", "Hello there", "joy", 0.0, 1.0, "test"),
    ("d1", 1, "bob", "Well", "joy", 1.0, 4.0, "test"),
    ("d1", 3, "ann", "one two three four five six", "anger", 4.0, 9.0, "test"),  # turn 2 is absent
    ("d1", 4, "bob", "Hello", None, 9.0, 9.5, "test"),  # no label: not tested, but a turn before others
    ("d1", 5, "bob", "  Yes   sir ", "joy", 9.5, 11.5, "test"),
    ("d2", 0, "cat", "", "neutral", None, None, "test"),
    ("d2", 1, None, "Well", "neutral", None, None, "test"),
    ("d2", 2, "cat", "Well", "neutral", None, None, "test"),
    ("d3", 0, "ann", "Well", "joy", None, None, "train"),
    ("d3", 1, "eve", "hello", "joy", None, None, "train"),
]
COLUMNS = ("dialogue_id", "turn", "speaker_id", "text", "emotion", "start_s", "end_s", "split")


def _manifest() -> pl.DataFrame:
    rows = pl.DataFrame(ROWS, schema=COLUMNS, orient="row", infer_schema_length=None)
    return rows.with_columns(
        utterance_id=pl.format("toy/{}_{}", "dialogue_id", "turn"),
        corpus=pl.lit("toy"),
        label_raw="emotion",
        speaker_id=pl.format("toy/{}", "speaker_id"),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    made.write_manifest("toy", _manifest())
    tested = _manifest().filter(pl.col("emotion").is_not_null(), split="test").sort("utterance_id")
    predicted = {0: ["joy"] * 7, 1: tested["emotion"].to_list()}  # seed 1 is always right
    for seed, said in predicted.items():
        planted_run(
            made.files, f"run{seed}", ids=tested["utterance_id"].to_list(), true=tested["emotion"].to_list(),
            predicted=said, train=["toy/d3_0", "toy/d3_1"], seed=seed,
        )  # fmt: skip
    return made


def _found(store: Store) -> list[Slice]:
    return slices(finished_runs(store.files), store.manifest())


def _rows(found: list[Slice], what: str) -> dict[str, int]:
    return {one.name: one.rows for one in found if one.what == what}


def test_each_kind_of_slice_is_what_one_counts_by_hand(store: Store) -> None:
    found = _found(store)
    # d1_3 ann: joy before, anger now. d1_5 bob: his turn before has no label. d2_2 cat: neutral both times.
    assert _rows(found, "emotion of the same speaker's turn before") == {
        "shift": 1, "the same": 1, "no label before": 1, "no turn before": 4,
    }  # fmt: skip
    # d1_1 after d1_0 joy, d1_3 after d1_1; d1_5 after the unlabelled d1_4; d2_1 and d2_2 after neutral.
    assert _rows(found, "emotion of the turn before") == {
        "shift": 1, "the same": 3, "no label before": 1, "no turn before": 2,
    }  # fmt: skip
    # Places, not numbers: d1's are 1, 2, 3 and 5, d2's 1, 2 and 3.
    assert _rows(found, "turn of the dialogue") == {"1": 2, "2–3": 4, "4–6": 1}
    assert _rows(found, "words") == {"1–2": 5, "6–10": 1, "no text": 1}
    assert _rows(found, "seconds") == {"0–1": 1, "1–2": 1, "2–4": 1, "4–8": 1}
    # Ann is in train, and bob and cat are not; nobody is named in d2_1.
    assert _rows(found, "speaker") == {"also in train": 2, "not in train": 4, "nobody named": 1}
    # "Well" stands in train; "Hello there" is another text than "hello".
    assert _rows(found, "text") == {"also in train": 3, "not in train": 4}


def test_scores_are_means_over_the_seeds_on_the_slices_rows(store: Store) -> None:
    (also,) = [one for one in _found(store) if (one.what, one.name) == ("text", "also in train")]
    true, said = ["joy", "neutral", "neutral"], ["joy", "joy", "joy"]
    assert also.scores["accuracy"] == pytest.approx((accuracy_score(true, said) + 1) / 2)
    assert also.scores["uar"] == pytest.approx((balanced_accuracy_score(true, said) + 1) / 2)
    assert also.deviations["accuracy"] == pytest.approx((1 - 1 / 3) / 2**0.5)
    assert also.intervals is None  # three rows say nothing of others


def test_a_slice_of_enough_rows_has_the_bootstraps_interval(tmp_path: Path) -> None:
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    rows = pl.DataFrame(
        {
            "utterance_id": [f"toy/u{row:02}" for row in range(40)],
            "corpus": ["toy"] * 40,
            "text": ["short", "one two three"] * 20,
            "emotion": ["joy"] * 40,
        }
    )
    store.write_manifest("toy", rows)
    ids = rows["utterance_id"].to_list()
    run = planted_run(store.files, "a", ids=ids, true=["joy"] * 40, predicted=["joy"] * 25 + ["anger"] * 15)
    short, longer = slices([run], store.manifest())
    assert (short.name, short.rows, longer.name, longer.rows) == ("1–2", 20, "3–5", 20)
    even = predictions_of([run], "a").only(pl.Series(range(0, 40, 2)).to_numpy())
    assert short.intervals is not None
    assert short.intervals["accuracy"] == intervals(even)["accuracy"]
    low, high = short.intervals["accuracy"]
    assert low < short.scores["accuracy"] < high


def test_each_fold_is_held_against_its_own_training_rows(store: Store) -> None:
    ids = ["toy/d1_0", "toy/d1_1"]
    runs = [
        planted_run(
            store.files,
            f"f{fold}",
            ids=[ids[fold]],
            true=["joy"],
            predicted=["joy"],
            train=[ids[1 - fold]],
            fold=fold,
            folds=2,
        )
        for fold in (0, 1)
    ]
    # Of all rows together bob and ann would be in train.
    assert _rows(slices(runs, store.manifest()), "speaker") == {}
    whole = planted_run(
        store.files, "w", ids=ids, true=["joy"] * 2, predicted=["joy"] * 2, train=["toy/d1_3"]
    )
    assert _rows(slices([whole], store.manifest()), "speaker") == {"also in train": 1, "not in train": 1}


def test_rows_that_left_the_manifest_are_told(store: Store) -> None:
    with pytest.raises(BadInputError, match="7 test rows are no longer in the manifest, .*'toy/d1_0'"):
        slices(finished_runs(store.files), store.manifest().filter(split="train"))


def test_the_command_prints_them_and_tells_them_in_json(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feature_repo.console import console

    monkeypatch.setattr(console, "_width", 240)
    words = ["run1", "--slices", "--root", store.root]
    told = CliRunner().invoke(APP, words, catch_exceptions=False).output
    assert [line.split()[:5] for line in told.splitlines() if "also in train" in line] == [
        ["speaker", "also", "in", "train", "2"],
        ["text", "also", "in", "train", "3"],
    ]
    assert "words" in told
    found = json.loads(CliRunner().invoke(APP, [*words, "--json"], catch_exceptions=False).output)["run1"]
    assert {one["what"] for one in found} >= {"turn of the dialogue", "text"}
    with pytest.raises(BadInputError, match="--slices"):
        CliRunner().invoke(APP, ["--slices", "--root", store.root], catch_exceptions=False)


def test_331_of_melds_test_texts_also_stand_in_train(samples: Path, tmp_path: Path) -> None:
    manifest = conform(reader("meld").read(samples / "data" / "meld"), "meld")
    parts = {split: manifest.filter(split=split)["utterance_id"].to_list() for split in ("train", "test")}
    true = manifest.filter(split="test")["emotion"].to_list()
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    run = planted_run(
        store.files, "m", ids=parts["test"], true=true, predicted=["neutral"] * len(true), train=parts["train"],
        classes=EMOTIONS,
    )  # fmt: skip
    found = slices([run], manifest)
    assert _rows(found, "text") == {"also in train": 331, "not in train": 2279}
    speakers = manifest.filter(split="test")["speaker_id"]
    known = manifest.filter(split="train")["speaker_id"].drop_nulls().unique()
    assert _rows(found, "speaker") == {
        "also in train": int(speakers.is_in(known.implode()).sum()),
        "not in train": int((~speakers.drop_nulls().is_in(known.implode())).sum()),
        "nobody named": speakers.null_count(),
    }
    for what in ("emotion of the turn before", "turn of the dialogue"):
        assert sum(_rows(found, what).values()) <= 2610
