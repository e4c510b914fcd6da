"""Runs of seconds: stage 1 on stored features, and the model with its encoders in the loop."""

from typing import Any

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
