"""Training on some corpora or lists, by saved splits, with a corpus left out, and by quality, through ``train``."""

import dataclasses
from typing import Any

import polars as pl
import pytest

from feature_repo.errors import UnknownNameError
from feature_repo.selections import NamedSelection
from feature_repo.splits import SavedSplit
from tests.trainers.conftest import Planted, toy_rows
from trainers.config import AdapterConfig
from trainers.fusion.config import ConversationConfig
from trainers.runs.groups import group_runs
from trainers.runs.held_out import held_out_scores
from trainers.runs.run import Run, finished_runs
from trainers.runs.tables import scores_table
from trainers.train import Trained, train

FAST = AdapterConfig(max_epochs=2, lr=0.01)


def _train(planted: Planted, **given: Any) -> Trained:
    options: dict[str, Any] = {"config": FAST, "protocol": "official", **given}
    return train(planted.store, ("text",), **options)


def _parts(run: Run) -> dict[str, set[str]]:
    return {
        str(part): set(rows["utterance_id"])
        for (part,), rows in run.parts().group_by("part", maintain_order=True)
    }


def _two_corpora(planted: Planted) -> None:
    """`toy` and `ravdess`, the same rows under other names and speakers, without an official split."""
    rows = toy_rows()
    extra = rows.head(120).with_columns(
        pl.col("utterance_id", "dialogue_id", "speaker_id").str.replace("toy/", "ravdess/"),
        corpus=pl.lit("ravdess"),
        split=pl.lit("all"),
    )
    for name in extra["utterance_id"]:
        planted.vectors[name] = planted.vectors[name.replace("ravdess/", "toy/")]
    planted.store.write_manifest("ravdess", extra)
    planted.write_rows(rows)


def _split(planted: Planted, shift: int) -> SavedSplit:
    ids = planted.store.manifest()["utterance_id"].to_list()
    parts = ["train", "train", "validation", "test"]
    rows = pl.DataFrame(
        {
            "utterance_id": ids,
            "corpus": [name.partition("/")[0] for name in ids],
            "part": [parts[(place + shift) % 4] for place in range(len(ids))],
        }
    )
    return SavedSplit("mine", rows, {"rules": {"toy": "random"}})


def test_a_saved_split_says_who_trains_and_its_digest_is_in_the_key(planted: Planted) -> None:
    planted.store.splits.save(_split(planted, 0))
    (run,) = _train(planted, protocol="split:mine").runs
    expected = planted.store.splits.load("mine")
    assert _parts(run) == {part: set(expected.ids(part)) for part in ("train", "validation", "test")}
    assert run.record["protocol"] == "split:mine"
    assert run.record["split"] == expected.digest
    planted.store.splits.save(_split(planted, 1))
    (other,) = _train(planted, protocol="split:mine").runs
    assert other.key != run.key
    assert other.record["group"] != run.record["group"]
    planted.store.splits.save(_split(planted, 0))
    assert _train(planted, protocol="split:mine").trained == 0
    with pytest.raises(UnknownNameError, match="split 'yours'; allowed: mine"):
        _train(planted, protocol="split:yours")


def test_only_the_corpora_of_a_split_are_pulled(planted: Planted) -> None:
    planted.store.splits.save(_split(planted, 0))
    _two_corpora(planted)
    done = _train(planted, protocol="split:mine")
    assert done.runs[0].record["corpora"] == ["toy"]
    assert done.plan.left_out == {}


def test_some_corpora_train_and_all_are_tested(planted: Planted) -> None:
    _two_corpora(planted)
    whole = {"protocol": "leave-corpus-out", "only_folds": (0,)}
    (run,) = _train(planted, **whole, train_corpora=("toy",)).runs
    assert run.record["tested"] == "ravdess"
    assert run.record["train_corpora"] == ["toy"]
    (acted,) = _train(planted, protocol="leave-corpus-out", only_folds=(1,), train_corpora=("acted",)).runs
    assert acted.record["train_corpora"] == ["ravdess"]
    assert acted.key != run.key


def test_each_corpus_is_left_out_once(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    _two_corpora(planted)
    done = _train(planted, protocol="leave-corpus-out", seeds=(0, 1))
    assert [run.record["tested"] for run in done.runs] == ["ravdess", "toy"] * 2
    rows = planted.store.manifest()
    for run in done.runs:
        parts = _parts(run)
        assert parts["test"] == set(rows.filter(corpus=run.record["tested"])["utterance_id"])
        assert not any(
            name.startswith(run.record["tested"]) for part in ("train", "validation") for name in parts[part]
        )
        # The corpora have the same texts: `toy` trains with those of three speakers, `ravdess` with two of its three.
        texts = set(rows.filter(pl.col("utterance_id").is_in(list(parts["train"])))["text"])
        shared = sum(text in texts for text in rows.filter(corpus=run.record["tested"])["text"])
        assert run.record["test_texts_in_train"] == shared > 0
    scores_table(done)
    counted = sum(run.record["test_texts_in_train"] for run in done.runs[:2])
    assert f"{counted} of 360 test rows have a text that stands in train" in capsys.readouterr().out
    found = held_out_scores(done.runs)
    assert {corpus: sorted(seeds) for corpus, seeds in found.items()} == {"ravdess": [0, 1], "toy": [0, 1]}


def test_a_saved_list_trains_and_the_rest_stays(planted: Planted) -> None:
    (plain,) = _train(planted).runs
    ids = [f"toy/u{row:03}" for row in range(0, 200, 3)]  # one of them in three, and only neutral
    planted.store.selections.save(NamedSelection("neutral", ids))
    (run,) = _train(planted, train_on="neutral").runs
    before, after = _parts(plain), _parts(run)
    assert after["train"] == before["train"] & set(ids)
    assert (after["validation"], after["test"]) == (before["validation"], before["test"])
    assert set(run.predictions()["predicted"]) == {"neutral"}  # all that it has seen
    assert run.record["train_on"]["name"] == "neutral"
    groups = {group.name: group.settings() for group in group_runs(finished_runs(planted.store.files))}
    assert groups[run.record["group"]]["train_on"] == "neutral"
    planted.store.selections.save(NamedSelection("neutral", ids[:-1]))
    # The row that the list lost is no training row: the same rows train, of another list.
    assert _train(planted, train_on="neutral").runs[0].key != run.key
    with pytest.raises(UnknownNameError, match="selection or verdict 'nobody'"):
        _train(planted, train_on="nobody")


def test_of_a_dialogue_only_the_turns_of_the_list_train(planted: Planted) -> None:
    planted.write_rows(toy_rows().with_columns(turn=pl.int_range(pl.len(), dtype=pl.Int32) % 10))
    ids = [f"toy/u{row:03}" for row in range(0, 200, 3)]  # neutral turns, of every dialogue some
    planted.store.selections.save(NamedSelection("neutral", ids))
    config = ConversationConfig(max_epochs=12, lr=0.01, d_state=4)
    whole, some = (_train(planted, config=config, train_on=name).runs[0] for name in (None, "neutral"))
    assert whole.predictions()["predicted"].n_unique() == 3
    assert set(some.predictions()["predicted"]) == {"neutral"}  # all that it has learned
    assert some.record["rows"]["test"] == whole.record["rows"]["test"] == 80


def test_balanced_classes_lift_the_rare_one(planted: Planted) -> None:
    rows = toy_rows()
    # Of anger one training row in twenty stays; features of noise, so that only frequency speaks.
    number = pl.int_range(pl.len())
    rare = (pl.col("emotion") != "anger") | (pl.col("split") != "train") | (number % 60 == 2)
    planted.write_rows(rows.filter(rare))
    said = {}
    for balance in ("none", "balanced"):
        config = dataclasses.replace(FAST, class_balance=balance, max_epochs=10)
        (run,) = train(planted.store, ("speech",), config=config, protocol="official").runs
        said[balance] = run.predictions().select((pl.col("predicted") == "anger").mean()).item()
    assert said["none"] < 0.05
    assert said["balanced"] > 0.15


def test_balanced_corpora_are_weights_by_their_numbers_of_training_rows(planted: Planted) -> None:
    _two_corpora(planted)
    rows = planted.store.manifest(["ravdess"]).with_columns(split=pl.lit("train"))
    planted.store.write_manifest("ravdess", rows.head(30))
    losses = []
    # Of 150 training rows in two corpora 120 are toy's and 30 ravdess's: 150 / (2 * 120) and 150 / (2 * 30).
    for change in ({"corpus_balance": "balanced"}, {"corpus_weights": {"toy": 0.625, "ravdess": 2.5}}, {}):
        (run,) = _train(planted, config=dataclasses.replace(FAST, **change)).runs
        losses.append(run.epochs()["train_loss"].to_list())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)
