"""What a model is fitted on: examples that give it batches, and the rows of the training set that they are about."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Examples(ABC):
    """Examples of one training set, an utterance or a dialogue each.

    Attributes:
        labels: int64 ``[rows of the training set]``, class indices; -1 where nothing is to be learned or scored.
        weights: float32 of the same shape, weight of each row in the training loss; None weighs all alike.
        cost: int64 ``[examples]``, steps of each, so that batches hold examples of like length; None where all have
            one shape.
        rows_at_once: examples that a pass without gradients takes; bounds memory and changes no number.
    """

    labels: Tensor
    weights: Tensor | None = None
    cost: npt.NDArray[np.int64] | None = None
    rows_at_once: int

    @abstractmethod
    def __len__(self) -> int:
        """Examples."""

    @abstractmethod
    def arguments(self, which: Tensor) -> tuple[Any, ...]:
        """What the model takes, of the examples of these numbers ``[b]``."""

    @abstractmethod
    def rows(self, which: Tensor) -> Tensor:
        """Their rows of the training set ``[b]``, or ``[b, turns]`` with -1 where there is no turn.

        The model gives a row of logits for each.
        """

    @abstractmethod
    def holding(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Numbers of the examples that these rows are in, ascending, as :meth:`arguments` takes them."""

    def batch(self, which: Tensor) -> tuple[tuple[Any, ...], Tensor]:
        """:meth:`arguments` and :meth:`rows`."""
        return self.arguments(which), self.rows(which)

    def targets(self, rows: Tensor) -> Tensor:
        """Labels of rows, -1 where the row is -1."""
        rows = rows.to(self.labels.device)
        labels = self.labels[rows]
        # Rows without dialogues around them are all there; looking costs a kernel in each step.
        return labels if rows.dim() == 1 else torch.where(rows >= 0, labels, -1)


class TensorExamples(Examples):
    """Utterances whose inputs are whole tensors: a batch is an index selection.

    Args:
        inputs: tensors ``[rows, ...]`` on one device, the model's arguments.
        labels: int64 ``[rows]`` on that device; without, nothing is a target.
        weights: float32 ``[rows]``.
    """

    rows_at_once = 8192

    def __init__(
        self, inputs: Sequence[Tensor], labels: Tensor | None = None, weights: Tensor | None = None
    ) -> None:
        first = inputs[0]
        self.inputs = list(inputs)
        self.labels = (
            torch.full((len(first),), -1, dtype=torch.int64, device=first.device)
            if labels is None
            else labels
        )
        self.weights = weights

    def __len__(self) -> int:
        """Rows."""
        return len(self.inputs[0])

    def arguments(self, which: Tensor) -> tuple[Any, ...]:
        """The rows of every input."""
        return tuple(tensor[which] for tensor in self.inputs)

    def rows(self, which: Tensor) -> Tensor:
        """Themselves."""
        return which

    def holding(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Themselves, on the device."""
        return torch.from_numpy(rows).to(self.labels.device)
