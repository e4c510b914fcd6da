"""Keys of runs that exist must not move: what came later is left out of them at its default."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest

from tests.trainers.conftest import Planted
from trainers.config import AdapterConfig, TrainingConfig
from trainers.fusion.config import GatedFusionConfig
from trainers.train import train

_MLP, _GATED = AdapterConfig(max_epochs=1), GatedFusionConfig(max_epochs=1)
_FOLDS = {"protocol": "speaker-folds", "folds": 3, "only_folds": (1,)}


# Key, group and family as they were printed when a run's key came to hold its parts.
@pytest.mark.parametrize(
    ("slots", "config", "asked", "key", "group", "family"),
    [
        (("text",), _MLP, {"protocol": "official"}, "b33d2cfa9870", "b7f10c74345e", "9fd19410ac99"),
        (("text",), _MLP, _FOLDS, "d086e80b0b60", "7e8671180725", "90609c2b6de4"),
        (
            ("text", "speech"),
            _GATED,
            {"protocol": "official"},
            "1c12514ce884",
            "2b6ba47b3b8e",
            "80c65b2486fa",
        ),
    ],
)
def test_keys_are_what_they_were(
    planted: Planted,
    slots: tuple[str, ...],
    config: TrainingConfig,
    asked: Mapping[str, Any],
    key: str,
    group: str,
    family: str,
) -> None:
    (run,) = train(planted.store, slots, config=config, **asked).runs
    assert (run.key, run.record["group"], run.record["family"]) == (key, group, family)


def test_other_parts_are_another_run(planted: Planted) -> None:
    rows = planted.store.manifest()
    asked: dict[str, Any] = {"config": _MLP, "protocol": "official"}
    (before,) = train(planted.store, ["text"], **asked).runs
    planted.write_rows(
        rows.with_columns(
            split=pl.when(pl.col("speaker_id") == "toy/s0").then(pl.lit("dev")).otherwise("split")
        )
    )
    moved = train(planted.store, ["text"], **asked)
    assert moved.trained == 1
    assert moved.runs[0].key != before.key
    planted.write_rows(rows)
    assert train(planted.store, ["text"], **asked).runs[0].key == before.key


def test_other_speakers_of_a_protocol_by_speaker_are_another_run(planted: Planted) -> None:
    rows = planted.store.manifest()
    asked: dict[str, Any] = {"config": _MLP, **_FOLDS}
    (before,) = train(planted.store, ["text"], **asked).runs
    one_more = pl.when(pl.col("utterance_id") < "toy/u020").then(pl.lit("toy/s9")).otherwise("speaker_id")
    planted.write_rows(rows.with_columns(speaker_id=one_more))
    moved = train(planted.store, ["text"], **asked)
    assert (moved.trained, moved.runs[0].key != before.key) == (1, True)
