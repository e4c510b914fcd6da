"""Learned features are refused where they would be scored on what they were learned from."""

from typing import Any

import polars as pl
import pytest

from feature_repo.errors import BadInputError
from tests.trainers.conftest import Planted
from trainers.config import AdapterConfig
from trainers.embed import embed
from trainers.protocols.plan import LeakageError
from trainers.runs.lineage import upstream_runs
from trainers.runs.run import Run
from trainers.train import Trained, train

FAST = AdapterConfig(max_epochs=2)


def _train(planted: Planted, slot: str = "text", **given: Any) -> Trained:
    return train(planted.store, (slot,), **{"config": FAST, "protocol": "official", **given})


def _folds(planted: Planted, slot: str = "text", **given: Any) -> Trained:
    return _train(planted, slot, protocol="speaker-folds", folds=3, **given)


def _embedded(planted: Planted, run: Run) -> str:
    recipe, _ = embed(planted.store, run)
    return recipe.view


def test_plain_features_have_no_run_above(planted: Planted) -> None:
    assert upstream_runs(planted.store, [planted.text.view, planted.speech.view]) == []


def test_the_same_split_is_allowed_and_the_run_above_is_recorded(planted: Planted) -> None:
    (adapter,) = _train(planted).runs
    (above,) = _train(planted, _embedded(planted, adapter)).runs
    assert above.record["upstream"] == [adapter.key]


def test_another_fold_is_refused(planted: Planted) -> None:
    adapter = _folds(planted, only_folds=(0,)).runs[0]
    view = _embedded(planted, adapter)
    assert _folds(planted, view, only_folds=(0,)).trained == 1
    with pytest.raises(
        LeakageError, match=rf"run {adapter.key} were learned from \d+ utterance.* such as 'toy/u"
    ):
        _folds(planted, view, only_folds=(1,))


def test_a_fold_that_was_fitted_on_official_test_rows_is_refused(planted: Planted) -> None:
    for run in _folds(planted).runs:
        trained = run.parts().filter(pl.col("part") == "train")["utterance_id"]
        official_test = {f"toy/u{row:03}" for row in range(160, 240)}
        meets = bool(official_test & set(trained))
        view = _embedded(planted, run)
        if meets:
            with pytest.raises(LeakageError, match=run.key):
                _train(planted, view)


def test_what_was_selected_on_may_be_selected_on_again_but_not_scored(planted: Planted) -> None:
    rows = planted.store.manifest()
    (adapter,) = _train(planted).runs
    view = _embedded(planted, adapter)
    # The adapter's dev rows (speaker 3) become test rows; nothing that it was fitted on is scored.
    swapped = rows.with_columns(split=pl.col("split").replace({"dev": "test", "test": "dev"}))
    planted.write_rows(
        swapped.select("utterance_id", "corpus", "split", "speaker_id", "text", "label_raw", "emotion")
    )
    with pytest.raises(
        LeakageError, match=r"40 utterance\(s\) of this run's test rows.*validation rows there"
    ):
        _train(planted, view)


def test_where_speakers_are_promised_a_shared_speaker_is_refused(planted: Planted) -> None:
    adapter = _folds(planted, only_folds=(0,)).runs[0]
    view = _embedded(planted, adapter)
    trained = adapter.parts().filter(pl.col("part") == "train")
    # The trained utterances leave the manifest; others of the same speakers come in their place.
    rows = planted.store.manifest()
    renamed = rows.with_columns(
        utterance_id=pl.when(pl.col("utterance_id").is_in(trained["utterance_id"].implode()))
        .then(pl.col("utterance_id") + "x")
        .otherwise("utterance_id")
    ).select("utterance_id", "corpus", "split", "speaker_id", "text", "label_raw", "emotion")
    planted.vectors.update({f"{name}x": planted.vectors[name] for name in trained["utterance_id"]})
    planted.write_rows(renamed)
    embed(planted.store, adapter)
    with pytest.raises(LeakageError, match=r"\d+ speaker\(s\) of this run's"):
        _folds(planted, view, only_folds=(1,))


def test_a_run_two_steps_above_is_seen_even_when_the_view_between_is_gone(planted: Planted) -> None:
    adapter = _folds(planted, only_folds=(0,)).runs[0]
    middle = _embedded(planted, adapter)
    second = _folds(planted, middle, only_folds=(0,)).runs[0]
    top = _embedded(planted, second)
    planted.store.files.remove_folder(f"features/{middle}")
    planted.store.close_table(middle)
    assert {run.key for run in upstream_runs(planted.store, [top])} == {adapter.key, second.key}


def test_a_lost_run_is_refused_as_nobody_can_tell_what_it_saw(planted: Planted) -> None:
    (adapter,) = _train(planted).runs
    view = _embedded(planted, adapter)
    planted.store.files.remove(f"runs/{adapter.key}/run.json")
    with pytest.raises(BadInputError, match=f"{view} was learned in run {adapter.key}, whose folder is gone"):
        _train(planted, view)


def test_a_run_whose_ids_are_not_those_of_the_recipe_is_refused(planted: Planted) -> None:
    (adapter,) = _train(planted).runs
    view = _embedded(planted, adapter)
    parts = adapter.parts().with_columns(part=pl.lit("test"))
    path = planted.store.files.local_path(f"runs/{adapter.key}/parts.parquet")
    assert path is not None
    parts.write_parquet(path)
    with pytest.raises(BadInputError, match="not trained on the ids that its recipe names"):
        _train(planted, view)
