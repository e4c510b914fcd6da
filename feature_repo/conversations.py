"""A training set as conversations: which of its rows are the turns of each dialogue, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.archive import write_archive
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.steps import Steps
from feature_repo.training_set import TrainingSet
from feature_repo.turn_order import in_turn_order

if TYPE_CHECKING:
    import torch

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Dialogues:
    """Conversations over the rows of a training set; ``d`` dialogues, the longest of ``t`` turns.

    A turn is a place in a dialogue, not the corpus's number: where utterances are absent the others move up.

    Attributes:
        training_set: the utterances; those that are context alone are among them.
        ids: dialogue ids, in the order in which the training set names them first.
        index: int64 ``[d, t]``: row of the training set, -1 behind the dialogue's last turn.
        lengths: int64 ``[d]``, at least 1.
        speakers: int64 ``[d, t]``: who speaks, numbered from 0 in the order of their first turns in the dialogue; -1
            where nobody is named, and behind the last turn.
        targets: bool ``[d, t]``: the turns to learn from and to score on, which have a label and passed the verdict.
    """

    training_set: TrainingSet
    ids: list[str]
    index: Ints
    lengths: Ints
    speakers: Ints
    targets: Bools

    def __len__(self) -> int:
        """Dialogues."""
        return len(self.ids)

    @cached_property
    def mask(self) -> Bools:
        """Bool ``[d, t]``: where there is a turn."""
        return self.index >= 0

    @cached_property
    def labels(self) -> Ints:
        """int64 ``[d, t]``: the target's class, -1 everywhere else."""
        return np.where(self.targets, self.training_set.labels[self.index], -1)

    def rows(self, which: npt.ArrayLike | None = None) -> Ints:
        """Rows of the training set ``[b, t]`` of some dialogues, padded with -1 to the longest of them.

        Args:
            which: integers ``[b]``, dialogues in any order; all by default.
        """
        return self.cut(self.index, which)

    def cut(self, values: npt.NDArray[Number], which: npt.ArrayLike | None = None) -> npt.NDArray[Number]:
        """What ``index``, ``speakers``, ``targets``, ``labels`` or ``mask`` say of some dialogues.

        Args:
            values: ``[d, t]``, one of those.
            which: integers ``[b]``, dialogues in any order; all by default.

        Returns:
            ``[b, t]`` of as many turns as the longest of them has.
        """
        chosen = np.arange(len(self)) if which is None else np.asarray(which, np.int64)
        longest = int(self.lengths[chosen].max(initial=0))
        return values[chosen, :longest]

    @overload
    def gather(
        self, slot: str, which: npt.ArrayLike | None = None
    ) -> tuple[npt.NDArray[np.float32], Bools]: ...

    @overload
    def gather(
        self, slot: str, which: npt.ArrayLike | None = None, *, device: str | torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]: ...

    def gather(
        self, slot: str, which: npt.ArrayLike | None = None, *, device: str | torch.device | None = None
    ) -> tuple[Any, Any]:
        """Pooled features of a batch of dialogues.

        Args:
            slot: a pooled slot of the training set.
            which: integers ``[b]``, dialogues in any order; all by default.
            device: give torch tensors on this device, not arrays.

        Returns:
            (float32 ``[b, t, width]``, zeros where there is nothing; bool ``[b, t]``: where there is a value). Padded
            to the longest dialogue of the batch.

        Raises:
            UnknownNameError: no such slot.
            BadInputError: the slot is a sequence.
        """
        features = self.training_set.features
        if slot not in features:
            raise UnknownNameError("slot", slot, features)
        values = features[slot]
        if isinstance(values, Steps):
            raise BadInputError(
                f"slot {slot!r} is a sequence: gather its steps by rows, "
                f"`training_set.features[{slot!r}].gather(dialogues.rows(which)[mask])`"
            )
        block = self.rows(which)
        there = block >= 0
        present = there.copy()
        present[there] = self.training_set.present[slot][block[there]]
        found = np.zeros((*block.shape, values.shape[1]), np.float32)
        found[present] = values[block[present]]
        if device is None:
            return found, present
        import torch  # takes seconds; a pull to NumPy needs none of it

        return torch.from_numpy(found).to(device), torch.from_numpy(present).to(device)

    def __repr__(self) -> str:
        """How many dialogues of which training set; the numbers themselves would fill a notebook."""
        return f"Dialogues({len(self):,} of at most {self.lengths.max(initial=0):,} turns; {self.training_set!r})"

    def batch(self, which: npt.ArrayLike, device: str | torch.device = "cpu") -> dict[str, torch.Tensor]:
        """Some dialogues as tensors, padded to the longest of them: a loader's ``collate_fn``.

        As in ``DataLoader(range(len(dialogues)), 8, shuffle=True, collate_fn=dialogues.batch)``. Sequences are not
        among them: see :meth:`gather`.

        Args:
            which: integers ``[b]``, dialogues in any order.
            device: where the tensors shall be.

        Returns:
            Each pooled slot ``[b, t, width]`` and ``<slot>_present`` ``[b, t]``; ``dialogue_mask, _targets`` (bool),
            ``_speakers`` and ``_labels`` (int64), each ``[b, t]``.
        """
        import torch  # takes seconds; a pull to NumPy needs none of it

        batch: dict[str, torch.Tensor] = {}
        for slot in self.training_set.pooled:
            batch[slot], batch[f"{slot}_present"] = self.gather(slot, which, device=device)
        for name in ("mask", "targets", "speakers", "labels"):
            cut = np.ascontiguousarray(self.cut(getattr(self, name), which))
            batch[f"dialogue_{name}"] = torch.from_numpy(cut).to(device)
        return batch

    def tensors(self, device: str | torch.device = "cpu") -> dict[str, torch.Tensor]:
        """The training set's tensors, and ``dialogue_index, _lengths, _speakers, _targets, _labels``."""
        import torch  # takes seconds; a pull to NumPy needs none of it

        arrays = self._arrays() | {"dialogue_labels": self.labels}
        return self.training_set.tensors(device) | {
            name: torch.from_numpy(array).to(device) for name, array in arrays.items()
        }

    def snapshot(self) -> str:
        """SHA-256 of what the numbers depend on: the training set's snapshot, the index, speakers and targets."""
        state = hashlib.sha256(self.training_set.snapshot().encode())
        state.update(str(self.index.shape).encode())
        for array in (self.index, self.speakers, self.targets):
            state.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        return state.hexdigest()

    def to_polars(self) -> pl.DataFrame:
        """The training set's frame with ``dialogue_id, dialogue_turn, dialogue_speaker`` and ``target``."""
        at, turn = np.nonzero(self.mask)
        placed = np.argsort(self.index[at, turn])
        at, turn = at[placed], turn[placed]
        speakers = pl.Series(self.speakers[at, turn])
        return self.training_set.to_polars().with_columns(
            dialogue_id=pl.Series(self.ids, dtype=pl.String).gather(at),
            dialogue_turn=pl.Series(turn, dtype=pl.Int64),
            dialogue_speaker=pl.select(pl.when(speakers >= 0).then(speakers)).to_series(),
            target=pl.Series(self.targets[at, turn]),
        )

    def save_npz(self, path: str | Path) -> None:
        """The training set's archive with ``dialogue_ids, _index, _lengths, _speakers`` and ``_targets``.

        Its ``snapshot`` is the dialogues'.

        Raises:
            StoreWriteError: the file can't be written; an older one is as it was.
        """
        own = {"dialogue_ids": np.array(self.ids, dtype=np.str_), "snapshot": np.array(self.snapshot())}
        write_archive(path, self.training_set.arrays() | own | self._arrays())

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "dialogue_index": self.index,
            "dialogue_lengths": self.lengths,
            "dialogue_speakers": self.speakers,
            "dialogue_targets": self.targets,
        }


def dialogues_of(training_set: TrainingSet, passed: Sequence[bool] | Bools | None = None) -> Dialogues:
    """The conversations of a training set.

    Turns are in the order of the manifest's ``turn``, else of ``start_s``; numbers may be left out. Utterances without
    a dialogue are dialogues of one. A person without a ``speaker_id`` ("Joey and Chandler") goes by ``speaker_raw``.

    Args:
        training_set: the utterances.
        passed: bool ``[rows]``: the utterances that a verdict let through; the others are context alone.

    Raises:
        BadInputError: utterances of a dialogue of which nobody knows the order, or two of the same turn.
    """
    rows = in_turn_order(
        training_set.manifest.select(
            "utterance_id",
            "corpus",
            "dialogue_id",
            "turn",
            "start_s",
            person=pl.coalesce(pl.lit("id ") + pl.col("speaker_id"), pl.lit("raw ") + pl.col("speaker_raw")),
            row=pl.int_range(pl.len(), dtype=pl.Int64),
        )
    )
    ids = rows.filter(pl.col("place") == 0)["key"].to_list()
    first = pl.when(pl.col("person").is_not_null()).then(pl.col("place").min().over("dialogue", "person"))
    rows = rows.with_columns(first=first).with_columns(
        speaker=(pl.col("first").rank("dense").over("dialogue").cast(pl.Int64) - 1).fill_null(-1)
    )
    at, place, row = (rows[name].to_numpy() for name in ("dialogue", "place", "row"))
    lengths = np.bincount(at, minlength=len(ids)).astype(np.int64)
    shape = (len(ids), int(lengths.max(initial=0)))
    index, speakers = np.full(shape, -1, np.int64), np.full(shape, -1, np.int64)
    index[at, place], speakers[at, place] = row, rows["speaker"].to_numpy()
    wanted = training_set.labels >= 0
    if passed is not None:
        wanted = wanted & np.asarray(passed, bool)
    targets = np.zeros(shape, bool)
    targets[at, place] = wanted[row]
    return Dialogues(training_set, ids, index, lengths, speakers, targets)
