"""A run: one seed of one fold, in one folder under ``runs/``, written once and found again by its key."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.files import FileLayer
from feature_repo.recipe import digest
from trainers.metrics import Scores

RUNS = "runs"
# Raised whenever the same settings on the same rows would give other numbers; a golden test says when.
CODE_VERSION = 1
_KEY_DIGITS = 12
_RECORD = "run.json"
_CONFIG = "config.yaml"
_EPOCHS = "epochs.csv"
_PARTS = "parts.parquet"
_PREDICTIONS = "predictions.parquet"
_CHECKPOINT = "model.safetensors"


def run_key(identity: Mapping[str, Any]) -> str:
    """12 hexadecimal digits that depend on everything that decides a run's numbers.

    Args:
        identity: resolved settings, protocol, fold, seed, views and snapshot digest, as plain JSON data; the
            trainer's code version is added here.
    """
    return digest({**identity, "code_version": CODE_VERSION})[:_KEY_DIGITS]


def ids_digest(ids: pl.Series) -> str:
    """SHA-256 of a set of utterance ids, whatever their order."""
    return digest(sorted(ids.to_list()))


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        files: the store's file layer.
        record: what ``run.json`` holds: key, seed, protocol, fold, snapshot, training ids' digest, views, scores.
    """

    files: FileLayer
    record: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The run's key, which names its folder."""
        return str(self.record["key"])

    @property
    def test(self) -> Scores:
        """Scores on the test rows."""
        return Scores(np.array(self.record["confusion"], np.int64), tuple(self.record["classes"]))

    def parts(self) -> pl.DataFrame:
        """Which utterance was in which part: ``utterance_id, speaker_id, part`` (train, validation, test)."""
        return pl.read_parquet(io.BytesIO(self._read(_PARTS)))

    def predictions(self) -> pl.DataFrame:
        """Test rows: ``utterance_id, fold, true, predicted``, then ``p_<class>``, the probability of each class."""
        return pl.read_parquet(io.BytesIO(self._read(_PREDICTIONS)))

    def epochs(self) -> pl.DataFrame:
        """Losses and validation scores per epoch."""
        return pl.read_csv(io.BytesIO(self._read(_EPOCHS)))

    def config(self) -> dict[str, Any]:
        """What ``config.yaml`` holds: the trainer, its data, and each setting with its source or ``assumed``."""
        import yaml  # only a run's detail needs it

        loaded: dict[str, Any] = yaml.safe_load(self._read(_CONFIG))
        return loaded

    def checkpoint(self) -> bytes:
        """The trained parameters in the safetensors format."""
        return self._read(_CHECKPOINT)

    def _read(self, name: str) -> bytes:
        try:
            return self.files.read(f"{RUNS}/{self.key}/{name}")
        except FileNotFoundError:
            raise BadInputError(
                f"run {self.key} has lost its {name}; remove runs/{self.key} and train it again"
            ) from None


def finished_run(files: FileLayer, key: str) -> Run | None:
    """The finished run of this key; None when it was never run, or not to its end.

    Raises:
        BadInputError: its ``run.json`` is unreadable.
    """
    try:
        record = json.loads(files.read(f"{RUNS}/{key}/{_RECORD}"))
        return Run(files, {**record, "key": record["key"]})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{files.url(f'{RUNS}/{key}/{_RECORD}')} is unreadable: {error}") from error


def finished_runs(files: FileLayer) -> list[Run]:
    """All finished runs, oldest first."""
    found = [finished_run(files, key) for key in files.list_folders(RUNS)]
    return sorted((run for run in found if run), key=lambda run: (run.record["created"], run.key))


def find_run(files: FileLayer, name: str) -> Run:
    """The finished run of a key, or of a beginning that only one key has.

    Raises:
        UnknownNameError: none or several keys begin so.
    """
    keys = [key for key in files.list_folders(RUNS) if key.startswith(name)] if name else []
    # An unfinished run has a folder too, with what it would go on from.
    found = [run for run in (finished_run(files, key) for key in keys) if run is not None]
    if len(found) != 1:
        raise UnknownNameError("finished run", name, [run.key for run in finished_runs(files)])
    return found[0]


def write_run(
    files: FileLayer,
    record: Mapping[str, Any],
    *,
    config: Mapping[str, Any],
    epochs: pl.DataFrame,
    parts: pl.DataFrame,
    predictions: pl.DataFrame,
    checkpoint: bytes,
) -> Run:
    """Write a run's folder; ``run.json`` comes last, so that an unfinished folder is never taken for a run.

    Raises:
        StoreWriteError: the disk is full or read-only.
    """
    import yaml

    folder = f"{RUNS}/{record['key']}"
    files.write(
        f"{folder}/{_CONFIG}", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True).encode()
    )
    files.write(f"{folder}/{_EPOCHS}", epochs.write_csv().encode())
    for name, frame in ((_PARTS, parts), (_PREDICTIONS, predictions)):
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        files.write(f"{folder}/{name}", buffer.getvalue())
    files.write(f"{folder}/{_CHECKPOINT}", checkpoint)
    files.write(f"{folder}/{_RECORD}", (json.dumps(record, indent=2) + "\n").encode())
    return Run(files, record)
