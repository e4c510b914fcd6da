"""A lazy handle of many utterances' sequences: nothing is read before a batch is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Steps:
    """Sequences ``[n, width]`` of the rows of a training set, in the mirror's memory maps.

    Attributes:
        width: numbers per step.
        dtype: stored number type.
        lengths: int32 ``[rows]``; 0 where there is no sequence.
        segments: the mapped values ``[steps, width]`` of each part.
        segment: int32 ``[rows]``: which of them holds the row.
        start: int64 ``[rows]``: its first step there.
    """

    width: int
    dtype: np.dtype[Any]
    lengths: npt.NDArray[np.int32]
    segments: tuple[Array, ...]
    segment: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Rows."""
        return len(self.lengths)

    def row(self, index: int) -> Array:
        """One sequence ``[n, width]``, a read-only view of the mirror.

        Raises:
            IndexError: no such row.
        """
        n = self.lengths[index]
        if n == 0:
            return np.empty((0, self.width), self.dtype)
        start = self.start[index]
        values: Array = self.segments[self.segment[index]][start : start + n]
        return values

    @overload
    def gather(
        self, index: npt.ArrayLike, max_steps: int | None = None
    ) -> tuple[Array, npt.NDArray[np.bool_]]: ...

    @overload
    def gather(
        self, index: npt.ArrayLike, max_steps: int | None = None, *, device: str | torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]: ...

    def gather(
        self, index: npt.ArrayLike, max_steps: int | None = None, *, device: str | torch.device | None = None
    ) -> tuple[Any, Any]:
        """A batch of sequences, padded with zeros to its longest.

        Args:
            index: integers ``[b]``, rows in any order, repeated as wanted.
            max_steps: longer sequences keep their first so many steps.
            device: give torch tensors on this device, not arrays.

        Returns:
            (values ``[b, n, width]``, mask bool ``[b, n]``: True where there is a step).

        Raises:
            IndexError: a row that is not there.
            BadInputError: ``max_steps`` below 1.
        """
        rows = _rows(index, len(self.lengths))
        lengths = self.lengths[rows].astype(np.int64)
        if max_steps is not None:
            if max_steps < 1:
                raise BadInputError(f"max_steps {max_steps}: must be at least 1")
            np.minimum(lengths, max_steps, out=lengths)
        longest = int(lengths.max(initial=0))
        values = np.zeros((len(rows), longest, self.width), self.dtype)
        self._copy(rows, lengths, values.reshape(-1, self.width), np.arange(len(rows)) * longest)
        mask = np.arange(longest) < lengths[:, None]
        if device is None:
            return values, mask
        import torch  # takes seconds; the rest of a pull needs none of it

        return torch.from_numpy(values).to(device), torch.from_numpy(mask).to(device)

    def flat(self, index: npt.ArrayLike | None = None) -> tuple[Array, npt.NDArray[np.int64]]:
        """The sequences one after another: (values ``[sum of n, width]``, offsets int64 ``[b + 1]``).

        Args:
            index: integers ``[b]``; all rows by default.
        """
        rows = np.arange(len(self)) if index is None else _rows(index, len(self.lengths))
        lengths = self.lengths[rows].astype(np.int64)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        values = np.empty((int(offsets[-1]), self.width), self.dtype)
        self._copy(rows, lengths, values, offsets[:-1])
        return values, offsets

    def take(self, index: npt.ArrayLike) -> Steps:
        """The handle of these rows alone, as lazy as this one."""
        rows = _rows(index, len(self.lengths))
        return Steps(
            self.width, self.dtype, self.lengths[rows], self.segments, self.segment[rows], self.start[rows]
        )

    def _copy(self, rows: Array, lengths: Array, out: Array, at: Array) -> None:
        """Put the first ``lengths[i]`` steps of row ``rows[i]`` to ``out[at[i]:]``."""
        # One contiguous copy each. Index arithmetic over all steps was measured slower at nearly every size (2 to 30
        # times for waveforms, whose steps are single numbers), and its indices outweigh the values.
        which, start = self.segment[rows].tolist(), self.start[rows].tolist()
        for number, first, n, to in zip(which, start, lengths.tolist(), at.tolist(), strict=True):
            if n:
                out[to : to + n] = self.segments[number][first : first + n]


def _rows(index: npt.ArrayLike | Sequence[int], count: int) -> npt.NDArray[np.int64]:
    rows = np.asarray(index)
    if rows.dtype == bool:
        if len(rows) != count:
            raise IndexError(f"a mask of {len(rows)} rows for {count}")
        rows = np.flatnonzero(rows)
    rows = rows.astype(np.int64, casting="same_kind") if rows.size else np.empty(0, np.int64)
    wrong = (rows < -count) | (rows >= count)
    if wrong.any():
        raise IndexError(f"row {rows[wrong][0]} of {count}")
    return np.where(rows < 0, rows + count, rows)
