"""The steps of an utterance: its slots side by side on every step (papers/000 III-B3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainers.fusion.alignment import align
from trainers.fusion.inputs import Sequences
from trainers.fusion.masks import masked_mean, step_mask
from trainers.fusion.slots import Slot, checked_slots


class StepConcatenation(nn.Module):
    """Concatenate the slots step by step; the width is the sum of theirs, whichever a row has.

    A row's steps are those of the first slot, in the order given, that it has as a sequence: the tokens where there is
    text, else the frames. Other sequences are aligned to them by even split; the vector of a slot that is on every
    step, of a sequence its mean, is repeated. A row that has such vectors alone has one step.

    A slot that a row lacks is zeros, plus a vector per slot that starts at zero and, unless told otherwise, is
    learned. So rows with all slots, and any row of an untrained model, read exactly as zeros in the gap would make
    them, while training can tell "there is no face" from "the face's features are zero".

    Args:
        slots: the inputs, those that may set the steps in order of preference.
        learned: whether absent slots have a learned vector.
    """

    def __init__(self, slots: Sequence[Slot], *, learned: bool = True) -> None:
        super().__init__()
        self.slots = checked_slots(slots)
        self.width = sum(slot.width for slot in self.slots)
        self.absent = nn.ParameterList(
            [nn.Parameter(torch.zeros(slot.width)) for slot in self.slots] if learned else []
        )

    def forward(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """The steps ``[rows, steps, width]``, zeros in the padding, and their number int64 ``[rows]``."""
        clocks = [index for index, slot in enumerate(self.slots) if not slot.every_step]
        # Padded to the longest that the shapes allow: to know the longest row would wait for a GPU.
        longest = max((sequences.values[index].shape[1] for index in clocks), default=1)
        counts = torch.zeros_like(sequences.lengths[:, 0])
        for index in clocks:
            counts = torch.where(counts > 0, counts, sequences.lengths[:, index])
        counts = counts.clamp(min=1)
        parts = []
        for index, (slot, values) in enumerate(zip(self.slots, sequences.values, strict=True)):
            lengths = sequences.lengths[:, index]
            if slot.every_step:
                part = masked_mean(values, lengths)[:, None].expand(-1, longest, -1)
            elif index == clocks[0]:
                # Where it is present it sets the steps itself, and where it isn't it is zeros.
                part = nn.functional.pad(values, (0, 0, 0, longest - values.shape[1]))
            else:
                part = align(values, lengths, counts, longest)
            if len(self.absent):
                part = torch.where((lengths > 0)[:, None, None], part, self.absent[index])
            parts.append(part)
        steps = torch.cat(parts, dim=2)
        return torch.where(step_mask(counts, longest)[..., None], steps, 0.0), counts
