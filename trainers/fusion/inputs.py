"""What a batch of a fusion model is, and its first layer: scaling, modality dropout, clean zeros where nothing is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.fusion.masks import masked_mean, step_mask
from trainers.fusion.modality_dropout import drop_modalities
from trainers.fusion.slots import Slot, checked_slots

# What varies less in training carries nothing; dividing by it would only raise noise.
_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True)
class SlotInput:
    """One slot's part of a batch.

    Attributes:
        values: ``[rows, width]`` pooled, or ``[rows, steps, width]`` padded.
        present: bool ``[rows]``; a row's values mean nothing where it is false.
        lengths: int64 ``[rows]``, steps of each row, for sequences; a row of length 0 is as good as absent.
    """

    values: Tensor
    present: Tensor
    lengths: Tensor | None = None

    def rows(self, index: Tensor | slice) -> SlotInput:
        """The same of some rows."""
        lengths = None if self.lengths is None else self.lengths[index]
        return SlotInput(self.values[index], self.present[index], lengths)

    def to(self, device: torch.device | str) -> SlotInput:
        """The same on a device."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        return SlotInput(self.values.to(device), self.present.to(device), lengths)


@dataclass(frozen=True)
class Sequences:
    """A batch as the layers see it: every slot a padded sequence, zeros wherever nothing is.

    Attributes:
        values: one ``[rows, steps, width]`` per slot, in the order of the slots.
        lengths: int64 ``[rows, slots]``, 0 where a slot is absent.
    """

    values: tuple[Tensor, ...]
    lengths: Tensor

    @property
    def present(self) -> Tensor:
        """Bool ``[rows, slots]``."""
        return self.lengths > 0

    def pooled(self) -> tuple[Tensor, ...]:
        """Mean over the steps, one ``[rows, width]`` per slot, zeros where absent."""
        return tuple(
            masked_mean(values, lengths)
            for values, lengths in zip(self.values, self.lengths.unbind(1), strict=True)
        )


class SlotInputs(nn.Module):
    """Bring a batch to sequences, scaled by what training rows show; in training mode, drop modalities.

    A slot that the batch doesn't name is absent in every row.

    Args:
        slots: what the model reads.
        modality_dropout: chance of dropping a present slot of a row in training; never all of them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, slots: Sequence[Slot], modality_dropout: float = 0.0) -> None:
        super().__init__()
        self.slots = checked_slots(slots)
        self.widths = [slot.width for slot in self.slots]
        self.modality_dropout = modality_dropout
        # Buffers, so that a checkpoint holds them and new rows are scaled as training did.
        self.register_buffer("mean", torch.zeros(sum(self.widths)))
        self.register_buffer("deviation", torch.ones(len(self.slots)))

    def scale_by(self, name: str, vectors: Tensor) -> None:
        """Centre a slot's later values by the mean of these vectors, and divide them by one deviation.

        One deviation for the slot keeps its features' proportions, as the adapter's ``view`` scaling does. A model
        that isn't told reads values as they are.

        Args:
            name: the slot.
            vectors: ``[any, width]`` of training rows, of sequences their steps without padding.

        Raises:
            UnknownNameError: no such slot.
        """
        names = [slot.name for slot in self.slots]
        if name not in names:
            raise UnknownNameError("slot", name, names)
        index = names.index(name)
        start = sum(self.widths[:index])
        self.mean[start : start + self.widths[index]] = vectors.mean(0)
        deviation = vectors.var(0, correction=0).mean().sqrt()
        self.deviation[index] = torch.where(deviation > _LEAST_DEVIATION, deviation, 1.0)

    def forward(self, batch: Mapping[str, SlotInput]) -> Sequences:
        """The batch as sequences; see :func:`check_batch` for what is not looked at here.

        Raises:
            UnknownNameError: a slot that the model doesn't read.
            BadInputError: no slot at all, or values of another shape than their slot has.
        """
        _check_shapes(self.slots, batch)
        some = next(iter(batch.values())).present
        lengths = torch.stack([_lengths(batch.get(slot.name), some) for slot in self.slots], dim=1)
        if self.training and self.modality_dropout > 0:
            lengths = lengths * drop_modalities(lengths > 0, self.modality_dropout)
        values = [
            self._values(batch.get(slot.name), slot, index, lengths[:, index])
            for index, slot in enumerate(self.slots)
        ]
        return Sequences(tuple(values), lengths)

    def _values(self, given: SlotInput | None, slot: Slot, index: int, lengths: Tensor) -> Tensor:
        if given is None:
            return self.mean.new_zeros(len(lengths), 1, slot.width)
        values = given.values[:, None] if given.values.dim() == 2 else given.values
        scaled = (values - torch.split(self.mean, self.widths)[index]) / self.deviation[index]
        # Chosen, not multiplied by a mask: what stands in padding or in an absent row may be anything, even NaN.
        return torch.where(step_mask(lengths, values.shape[1])[..., None], scaled, 0.0)


def check_batch(slots: Sequence[Slot], batch: Mapping[str, SlotInput]) -> None:
    """Check what the models themselves don't, since looking at values on a GPU waits for it.

    For batches as they are assembled, on the CPU.

    Raises:
        UnknownNameError: a slot that is not among ``slots``.
        BadInputError: no slot, a wrong shape, a length outside 0 to the padded steps, a value that is not finite where
            a slot is present, or a row without any slot.
    """
    _check_shapes(slots, batch)
    some = next(iter(batch.values())).present
    anything = torch.zeros_like(some)
    for name, given in batch.items():
        lengths = _lengths(given, some)
        steps = given.values.shape[1] if given.values.dim() == 3 else 1
        if len(lengths) and (int(lengths.min()) < 0 or int(lengths.max()) > steps):
            raise BadInputError(
                f"slot {name!r} has lengths up to {int(lengths.max())}; allowed: 0 to {steps}"
            )
        values = given.values.reshape(len(lengths), steps, -1)
        if not bool(torch.isfinite(values[step_mask(lengths, steps)]).all()):
            raise BadInputError(f"slot {name!r} has a value that is not finite in a row where it is present")
        anything = anything | (lengths > 0)
    if not bool(anything.all()):
        rows = torch.nonzero(~anything).flatten().tolist()
        raise BadInputError(
            f"{len(rows)} rows have no slot, the first is row {rows[0]}; allowed: one slot or more in every row"
        )


def _lengths(given: SlotInput | None, some: Tensor) -> Tensor:
    if given is None:
        return torch.zeros(some.shape, dtype=torch.int64, device=some.device)
    return given.present.long() if given.lengths is None else given.lengths * given.present


def _check_shapes(slots: Sequence[Slot], batch: Mapping[str, SlotInput]) -> None:
    widths = {slot.name: slot.width for slot in slots}
    if not batch:
        raise BadInputError(f"a batch without a slot; allowed: one or more of {', '.join(widths)}")
    rows = next(iter(batch.values())).present.shape
    for name, given in batch.items():
        if name not in widths:
            raise UnknownNameError("slot", name, list(widths))
        shape = given.values.shape
        padded = given.values.dim() == 3
        fits = len(shape) in (2, 3) and shape[-1] == widths[name] and shape[:1] == rows
        if not fits or given.present.shape != rows or padded != (given.lengths is not None):
            raise BadInputError(
                f"slot {name!r} has values {list(shape)}, present {list(given.present.shape)} and"
                f" {'no ' if given.lengths is None else ''}lengths; allowed: [rows, {widths[name]}], or"
                f" [rows, steps, {widths[name]}] with lengths, of the same {rows[0]} rows in all slots"
            )
