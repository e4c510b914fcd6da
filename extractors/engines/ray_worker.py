"""A worker of the Ray engine: an actor that holds the models and computes one block after another."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from extractors.engines.packing import Message, message_row, packed
from extractors.runner import Runner
from feature_repo.errors import AffectStoreError, BadInputError

if TYPE_CHECKING:
    import pyarrow as pa

    from extractors.protocol import Extractor
    from extractors.settings import Settings


@dataclass(frozen=True)
class WorkerJob:
    """What every worker of a run is told.

    Attributes:
        extractors: class and settings of each; a model is loaded where it is used, and never sent.
        views: the views that each extractor fills, as the driver knows them.
        device: ``auto``, ``cpu``, ``cuda``.
        decode_threads: files that a worker decodes side by side.
        version: of affectstore, as the driver has it.
        seen: some media files that the driver sees.
    """

    extractors: tuple[tuple[type[Extractor], Settings], ...]
    views: tuple[tuple[str, ...], ...]
    device: str
    decode_threads: int
    version: str
    seen: tuple[str, ...] = ()


class Worker:
    """Computes blocks for :class:`~extractors.engines.ray_engine.RayEngine`; constructed in an actor.

    It raises nothing: Ray would take an exception for something worth trying again. What makes a worker useless is
    told in its answers.

    Args:
        job: the run's.
    """

    def __init__(self, job: WorkerJob) -> None:
        self.job = job
        self.refusal = ""
        try:
            self._check_installation()
            extractors = [kind(settings) for kind, settings in job.extractors]
            self._check_recipes(extractors)
            self.runner = Runner(
                extractors, pl.DataFrame(), device=job.device, decode_threads=job.decode_threads
            )
        except Exception as error:
            self.refusal = _reason(error)

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The answers to rows (number, block)."""
        for number, data in zip(rows["number"].to_pylist(), rows["block"].to_pylist(), strict=True):
            try:
                if self.refusal:
                    raise BadInputError(self.refusal)
                self._check_media()
                yield from packed(number, self.runner.compute_block(pickle.loads(data)))
            except Exception as error:
                yield message_row(
                    Message(number, "refused", reason=f"node {socket.gethostname()}: {_reason(error)}")
                )

    def _check_installation(self) -> None:
        here = installed_version()
        if here != self.job.version:
            raise BadInputError(
                f"affectstore {here} is installed there and {self.job.version} here: install the same on every node"
            )

    def _check_recipes(self, extractors: list[Extractor]) -> None:
        for extractor, views in zip(extractors, self.job.views, strict=True):
            found = tuple(recipe.view for recipe in extractor.recipes().values())
            if found != views:
                raise BadInputError(
                    f"extractor {extractor.name!r} would fill {', '.join(found)} there and {', '.join(views)} here: "
                    "its weights or its code differ"
                )

    def _check_media(self) -> None:
        # Before each block: a mount that is gone would file a fault for every utterance.
        for path in self.job.seen:
            if not Path(path).is_file():
                raise BadInputError(
                    f"{path} is not there: media must lie at the same path on every node, on a disk that all share"
                )


def installed_version() -> str:
    """Version of the affectstore that this process runs."""
    try:
        return metadata.version("affectstore")
    except metadata.PackageNotFoundError:
        return "unknown"


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, AffectStoreError) else f"{type(error).__name__}: {error}"
