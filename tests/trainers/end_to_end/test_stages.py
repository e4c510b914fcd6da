"""Stage 1 from stored features and with the encoders in the loop are the same training; stage 2 goes on from either."""

from typing import Any

import numpy as np
import pytest

from tests.trainers.end_to_end.planted_recordings import Recordings
from trainers.config import TrainingConfig, resolve
from trainers.models import model_config
from trainers.runs.run import Run
from trainers.train import train

SMALL = {"width": 16, "depth": 1, "heads": 2, "max_epochs": 3, "batch_size": 16, "lr": 1e-3}


def settings(model: str, recordings: Recordings | None = None, **given: Any) -> TrainingConfig:
    own = recordings.settings if recordings else {}
    return resolve(model_config(model), values={**SMALL, **own, **given})


def stage_1(recordings: Recordings, **given: Any) -> Run:
    config = settings("token-transformer", **given)
    return train(recordings.store, ["speech", "text"], config=config, protocol="official").runs[0]


def end_to_end(recordings: Recordings, *, join: Any = None, start: Any = (), **given: Any) -> Run:
    config = settings("end-to-end", recordings, **given)
    done = train(
        recordings.store, ["audio_steps"], config=config, protocol="official", join=join, start=start
    )
    return done.runs[0]


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_frozen_encoders_in_the_loop_give_the_losses_of_stored_features(
    recordings: Recordings, join: str
) -> None:
    given = {"modality_dropout": 0.2, "dropout": 0.1, "ema": 0.5, "clip_norm": 1.0}
    stored = train(
        recordings.store,
        ["speech", "text"],
        config=settings("token-transformer", **given),
        protocol="official",
        join=join,  # type: ignore[arg-type]
    ).runs[0]
    looped = end_to_end(recordings, encoders="frozen", join=join, **given)
    for column in ("train_loss", "validation_loss"):
        np.testing.assert_allclose(looped.epochs()[column], stored.epochs()[column], rtol=1e-5)
    assert looped.epochs()["uar"].to_list() == stored.epochs()["uar"].to_list()
    assert looped.predictions()["utterance_id"].equals(stored.predictions()["utterance_id"])
    columns = [name for name in stored.predictions().columns if name.startswith("p_")]
    np.testing.assert_allclose(
        looped.predictions().select(columns).to_numpy(),
        stored.predictions().select(columns).to_numpy(),
        rtol=1e-3,
        atol=1e-6,
    )
    assert looped.record["rows"] == stored.record["rows"]
    assert looped.record["parameters"] == stored.record["parameters"]
