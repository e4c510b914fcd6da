"""Runs for Weights & Biases: offline files, unless the user's ``WANDB_MODE`` says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.trackers.tracking import scalars, test_scores

if TYPE_CHECKING:
    from trainers.runs.run import Run
    from trainers.training_loop import Epoch

PROJECT = "affectstore"


class WandbTracker:
    """One W&B run per run, with the run's key as its id, so that a run that goes on is the same there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mode = os.environ.get("WANDB_MODE") or "offline"
        if self.mode == "offline":
            # Crashes of W&B itself would be reported to its makers.
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._run: Any = None

    def begin(self, key: str, name: str, parameters: Mapping[str, Any]) -> None:
        """Begin the run, or go on with the one of the same key."""
        self.close()
        import wandb  # seconds, and it starts a process

        self.folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            id=key,
            name=name,
            config=dict(parameters),
            dir=str(self.folder),
            mode=self.mode,
            # Offline, W&B knows no run to go on with; what both parts say is put together when they are synced.
            resume=None if self.mode == "offline" else "allow",
            settings=wandb.Settings(console="off", silent=True),
        )

    def epoch(self, epoch: Epoch) -> None:
        """Log the epoch's scalars; W&B leaves out steps that it has already."""
        self._run.log(scalars(epoch), step=epoch.number)

    def end(self, run: Run) -> None:
        """Put the test scores into the run's summary and finish it."""
        self._run.summary.update(test_scores(run) | {"best_epoch": int(run.record["best_epoch"])})
        self._finish(0)

    def close(self) -> None:
        """A run that has not ended was stopped."""
        self._finish(1)

    def where(self) -> str:
        """What sends the offline files to the user's account, or where it was sent."""
        if self.mode == "offline":
            return f"wandb sync {self.folder / 'wandb'}/offline-run-*"
        return f"W&B, {self.mode}"

    def _finish(self, exit_code: int) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            run.finish(exit_code=exit_code)
