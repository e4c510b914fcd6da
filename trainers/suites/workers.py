"""Pieces of a suite trained in several processes: what each tells, and what becomes of one that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from feature_repo.errors import AffectStoreError
from trainers.experiments.experiment import Experiment

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from feature_repo.store import Store
    from trainers.config import TrainingConfig
    from trainers.train import Progress

# Epochs of a small model are told this often at most, in seconds.
_TOLD_EVERY = 0.1
# (what is trained, its settings) -> the training's callbacks
OnTraining = Callable[[str, "TrainingConfig"], "Progress | None"]


@dataclass(frozen=True)
class Piece:
    """What one process trains at a time: one seed of a variant, all of its folds.

    Attributes:
        variant: its name.
        experiment: what is trained, with all of the variant's seeds.
        seed: the one that this piece is of.
        adapt: adapter to be trained for every slot but text's.
    """

    variant: str
    experiment: Experiment
    seed: int
    adapt: str | None = None


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    piece: Piece | None = None
    progress: Progress | None = None


class Workers:
    """Spawned processes that train pieces into the store, from where the caller reads the finished runs.

    A piece's failure is told and kills nothing else; of a process that dies, another takes the place. Leaving the block
    ends all of them at once: a run that is under way goes on where it was when it is asked for again. They also end
    when this process does.

    Args:
        count: processes at most.
        store: the store.
        device: where the models are.
        on_training: told ``(what, settings)`` before each training; its callbacks are called here, in this process.
    """

    def __init__(
        self, count: int, store: Store, *, device: str = "cpu", on_training: OnTraining | None = None
    ) -> None:
        self.count, self.store, self.device, self.on_training = count, store, device, on_training
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """The block in which pieces are trained."""
        try:
            yield
        finally:
            for worker in self._workers:
                worker.process.terminate()
            for worker in self._workers:
                worker.process.join()
                worker.connection.close()
            self._workers.clear()

    @property
    def has_room(self) -> bool:
        """Whether another piece would be begun at once."""
        return self.busy < self.count

    @property
    def busy(self) -> int:
        """Pieces that are under way."""
        return sum(worker.piece is not None for worker in self._workers)

    def begin(self, piece: Piece) -> None:
        """Give a piece to a process that has none."""
        worker = next((each for each in self._workers if each.piece is None), None) or self._new()
        worker.piece, worker.progress = piece, None
        worker.connection.send(piece)

    def next_ended(self) -> tuple[Piece, str | None]:
        """Wait until a piece has ended.

        Returns:
            The piece, and what went wrong; None where it was trained.
        """
        while True:
            ready = wait([worker.connection for worker in self._workers if worker.piece is not None])
            for worker in [each for each in self._workers if each.connection in ready]:
                if ended := self._heard(worker):
                    return ended

    def _new(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        threads = max(1, (os.cpu_count() or 1) // self.count)
        arguments = (theirs, self.store.root, str(self.store.cache), self.device, threads)
        process = self._context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()  # else its end would never be seen
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _heard(self, worker: _Worker) -> tuple[Piece, str | None] | None:
        piece = worker.piece
        assert piece is not None
        try:
            kind, told = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            self._workers.remove(worker)
            return piece, (
                f"its process ended with exit code {worker.process.exitcode}; -9 mostly means that memory ran out:"
                " take fewer workers"
            )
        if kind in ("trained", "failed"):
            worker.piece = None
            return piece, told
        if kind == "training":
            worker.progress = self.on_training(*told) if self.on_training else None
        elif worker.progress is not None:
            _relay(worker.progress, self.store, kind, told)
        return None


def _relay(progress: Progress, store: Store, kind: str, told: Any) -> None:
    from trainers.runs.run import Run

    if kind == "begin" and progress.on_begin:
        progress.on_begin(*told)
    elif kind == "epoch" and progress.on_epoch:
        progress.on_epoch(told)
    elif kind == "end" and progress.on_end:
        record, trained = told
        progress.on_end(Run(store.files, record), trained)


def _serve(connection: Connection, root: str, cache: str, device: str, threads: int) -> None:
    """A process's life: pieces come, words go, until there is nobody to tell."""
    # Ctrl-C reaches every process of a terminal; the one that asked decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def leave() -> None:
        parent.join()
        os._exit(1)  # it was killed, and nobody wants the result

    threading.Thread(target=leave, daemon=True).start()
    from pathlib import Path

    from feature_repo.files import FileLayer
    from feature_repo.store import Store

    if "OMP_NUM_THREADS" not in os.environ:
        import torch  # seconds

        torch.set_num_threads(threads)
    store = Store(FileLayer(root), Path(cache))
    while True:
        try:
            piece: Piece = connection.recv()
        except EOFError:
            return
        try:
            train_piece(store, piece, device, lambda kind, told: connection.send((kind, told)))
        except AffectStoreError as error:
            connection.send(("failed", str(error)))
        except Exception:  # whatever it is, the other pieces go on
            connection.send(("failed", traceback.format_exc().strip()))
        else:
            connection.send(("trained", None))


def train_piece(store: Store, piece: Piece, device: str, tell: Callable[[str, Any], None]) -> None:
    """Train what a piece asks for, telling each step in plain data.

    Args:
        store: the store.
        piece: the piece.
        device: where the models are.
        tell: called with ``training``, ``begin``, ``epoch`` or ``end``, and what :class:`trainers.train.Progress` would
            be told, records in place of runs.
    """
    from trainers.experiments.training import train_experiment
    from trainers.suites.adapted_slots import with_adapted_slots

    asked = piece.experiment
    if piece.adapt:
        asked = with_adapted_slots(
            store,
            asked,
            piece.adapt,
            device=device,
            on_training=lambda what, config: _told(f"{piece.variant}, {what}", config, tell),
        )
    progress = _told(piece.variant, asked.config(), tell)
    train_experiment(store, replace(asked, seeds=(piece.seed,)), device=device, progress=progress)


def _told(what: str, config: TrainingConfig, tell: Callable[[str, Any], None]) -> Progress:
    from trainers.runs.run import Run
    from trainers.train import Progress
    from trainers.training_loop import Epoch

    last = 0.0
    tell("training", (what, config))

    def on_begin(seed: int, fold: int, key: str, identity: Mapping[str, Any]) -> None:
        tell("begin", (seed, fold, key, dict(identity)))

    def on_epoch(epoch: Epoch) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= _TOLD_EVERY:
            last = now
            tell("epoch", epoch)

    def on_end(run: Run, trained: bool) -> None:
        tell("end", (dict(run.record), trained))

    return Progress(on_begin, on_epoch, on_end)


def pieces_of(variant: str, experiment: Experiment, adapt: str | None) -> Sequence[Piece]:
    """A variant's pieces, one per seed."""
    return [Piece(variant, experiment, seed, adapt) for seed in experiment.seeds]
