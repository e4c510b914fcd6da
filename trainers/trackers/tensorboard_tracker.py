"""Curves for TensorBoard: a folder of event files per run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.trackers.tracking import scalars, test_scores

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from trainers.runs.run import Run
    from trainers.training_loop import Epoch


class TensorBoardTracker:
    """Writes ``<folder>/<key>/``; a run that goes on continues in its folder without a step told twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None
        self._begun: tuple[str, str, Mapping[str, Any]] | None = None

    def begin(self, key: str, name: str, parameters: Mapping[str, Any]) -> None:
        """Remember the run; its file is opened by the first epoch, which tells where it goes on."""
        self.close()
        self._begun = (key, name, parameters)

    def epoch(self, epoch: Epoch) -> None:
        """Write the epoch's scalars, so that whoever looks sees them at once."""
        writer = self._opened(epoch.number)
        for name, value in scalars(epoch).items():
            writer.add_scalar(name, value, epoch.number)
        writer.flush()

    def end(self, run: Run) -> None:
        """Write the test scores at the kept epoch, with the settings for the table of hyperparameters."""
        record = run.record
        # A run that was stopped after its last epoch has no epoch to tell: nothing that was written is taken back.
        writer = self._opened(int(record["epochs"]) + 1)
        assert self._begun is not None
        best = int(record["best_epoch"])
        writer.add_hparams(dict(self._begun[2]), test_scores(run), run_name=".", global_step=best)
        self.close()

    def close(self) -> None:
        """Close the run's file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        self._begun = None

    def where(self) -> str:
        """The command that shows it."""
        return f"tensorboard --logdir {self.folder}"

    def _opened(self, number: int) -> SummaryWriter:
        """The run's writer; opened now, what an earlier process wrote from this epoch on no longer counts."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # half a second beyond torch

            assert self._begun is not None
            key, name, parameters = self._begun
            folder = self.folder / key
            goes_on = number > 1 and folder.is_dir()
            self._writer = SummaryWriter(str(folder), purge_step=number if goes_on else 0)
            if not goes_on:
                rows = "\n".join(f"| {each} | {value} |" for each, value in parameters.items())
                self._writer.add_text("settings", f"**{name}**\n\n| setting | value |\n|---|---|\n{rows}", 0)
        return self._writer
