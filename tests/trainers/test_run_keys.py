"""Keys of runs that exist must not move: what came later is left out of them at its default."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.trainers.conftest import Planted
from trainers.config import AdapterConfig, TrainingConfig
from trainers.fusion.config import GatedFusionConfig
from trainers.train import train

_MLP, _GATED = AdapterConfig(max_epochs=1), GatedFusionConfig(max_epochs=1)
_FOLDS = {"protocol": "speaker-folds", "folds": 3, "only_folds": (1,)}


# Key, group and family as they were printed before runs could start from others or train on some corpora only.
@pytest.mark.parametrize(
    ("slots", "config", "asked", "key", "group", "family"),
    [
        (("text",), _MLP, {"protocol": "official"}, "5de6de1c55ee", "e39ed157573c", "37fec565b396"),
        (("text",), _MLP, _FOLDS, "59aaf27d6e17", "28a7806b0969", "4b51a3de3607"),
        (
            ("text", "speech"),
            _GATED,
            {"protocol": "official"},
            "a678973322d1",
            "dbb2c183c2e2",
            "8c0ba223baf8",
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
