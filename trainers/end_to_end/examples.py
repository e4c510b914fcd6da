"""Batches of sounds and texts, as the encoders read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainers.end_to_end.recordings import Recordings
from trainers.examples import Examples

Sound = npt.NDArray[np.float32]
INT16_SCALE = 32767  # as the extractor `waveform` stores full scale


@dataclass(frozen=True)
class RecordingBatch:
    """What was said in a batch of utterances, and how.

    Attributes:
        sounds: float32 ``[samples]`` at 16 kHz each; None where an utterance has none.
        texts: None where an utterance has none.
    """

    sounds: Sequence[Sound | None]
    texts: Sequence[str | None]


class RecordingExamples(Examples):
    """An utterance each, as a :class:`RecordingBatch`.

    Args:
        recordings: sounds and texts of a training set.
        labels: int64 ``[rows]``.
        device: the model's.
        weights: float32 ``[rows]`` on the device.
    """

    rows_at_once = 32

    def __init__(
        self,
        recordings: Recordings,
        labels: npt.NDArray[np.int64],
        device: str | torch.device = "cpu",
        *,
        weights: Tensor | None = None,
    ) -> None:
        self.labels = torch.from_numpy(labels).to(device)
        self.weights = weights
        self._recordings = recordings
        if recordings.like_lengths:
            self.cost = recordings.lengths

    def __len__(self) -> int:
        """Utterances."""
        return len(self.labels)

    def arguments(self, which: Tensor) -> tuple[Any, ...]:
        """The sounds and texts of these utterances."""
        rows = which.tolist()
        texts = [self._recordings.texts[row] for row in rows]
        return (RecordingBatch([self.sound(row) for row in rows], texts),)

    def rows(self, which: Tensor) -> Tensor:
        """Themselves."""
        return which

    def holding(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Themselves; on the CPU, where batches are assembled."""
        return torch.from_numpy(rows)

    def sound(self, row: int) -> Sound | None:
        """The sound of a row, float32 ``[samples]``; None where there is none that can be read."""
        if not self._recordings.heard[row]:
            return None
        stored = self._recordings.sounds.row(row)[: self._recordings.lengths[row], 0]
        return stored.astype(np.float32) / np.float32(INT16_SCALE)
