"""Batches of a fusion model from a training set: utterances by slot, or whole dialogues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from feature_repo.conversations import Dialogues
from feature_repo.errors import BadInputError
from feature_repo.steps import Steps
from feature_repo.training_set import TrainingSet
from trainers.examples import Examples
from trainers.fusion.conversation import DialogueBatch
from trainers.fusion.device_steps import DeviceSteps, fits_device
from trainers.fusion.inputs import SlotInput
from trainers.fusion.slots import Slot

if TYPE_CHECKING:
    from feature_repo.store import Store

# Vectors that say who or how, not what happens at a moment: they stand on every step (papers/000 III-B3d).
_EVERY_STEP = ("speaker", "speech")


def slots_of(store: Store, data: TrainingSet) -> tuple[Slot, ...]:
    """The slots of what was pulled: text before the others, as it sets the steps where a row has it."""
    recipes = {name: store.recipe(view) for name, view in data.views.items()}
    slots = [
        Slot(name, recipe.width, recipe.layout == "pooled" and recipe.modality in _EVERY_STEP)
        for name, recipe in recipes.items()
    ]
    return tuple(sorted(slots, key=lambda slot: recipes[slot.name].modality != "text"))


class UtteranceExamples(Examples):
    """An utterance each, as a mapping of slot to ``SlotInput``.

    Pooled slots are whole tensors on the device. Sequences are gathered from the mirror batch by batch on a CPU; on a
    GPU they lie on it whole while they are no more than a quarter of its free memory.

    Args:
        data: pulled.
        slots: which of its slots the model reads; all by default.
        device: the model's.
        labels: int64 ``[rows]``; the training set's own by default.
        weights: float32 ``[rows]`` on the device.

    Raises:
        BadInputError: the training set has none of the slots.
    """

    rows_at_once = 256

    def __init__(
        self,
        data: TrainingSet,
        slots: Sequence[Slot],
        device: str | torch.device = "cpu",
        *,
        labels: npt.NDArray[np.int64] | None = None,
        weights: Tensor | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.labels = torch.from_numpy(data.labels if labels is None else labels).to(self.device)
        self.weights = weights
        names = [slot.name for slot in slots if slot.name in data.features]
        if not names:
            raise BadInputError(
                f"pulled {', '.join(data.features)}; allowed: one or more of {', '.join(s.name for s in slots)}"
            )
        self._present = {name: torch.from_numpy(data.present[name]) for name in names}
        self._pooled: dict[str, Tensor] = {}
        self._steps: dict[str, Steps | DeviceSteps] = {}
        self._lengths: dict[str, Tensor] = {}
        for name in names:
            value = data.features[name]
            if isinstance(value, Steps):
                self._steps[name] = (
                    DeviceSteps(value, self.device) if fits_device(value, self.device) else value
                )
                self._lengths[name] = torch.from_numpy(value.lengths.astype(np.int64))
            else:
                self._pooled[name] = torch.from_numpy(value).to(self.device)
        if self._lengths:
            self.cost = torch.stack(list(self._lengths.values())).amax(0).numpy()
        self._count = len(data)

    def __len__(self) -> int:
        """Utterances."""
        return self._count

    def arguments(self, which: Tensor) -> tuple[Any, ...]:
        """The batch by slot; a sequence that no row of the batch has is left out, as the model takes it for absent."""
        batch = {}
        for name, present in self._present.items():
            there = present[which]
            if name in self._pooled:
                values = self._pooled[name][which.to(self.device)]
                batch[name] = SlotInput(values, there.to(self.device))
                continue
            lengths = self._lengths[name][which]
            if int(lengths.max()) == 0:
                continue
            values, _ = self._steps[name].gather(which.numpy(), device=self.device)
            batch[name] = SlotInput(values.float(), there.to(self.device), lengths.to(self.device))
        return (batch,)

    def rows(self, which: Tensor) -> Tensor:
        """Themselves."""
        return which

    def holding(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Themselves; on the CPU, where batches are assembled."""
        return torch.from_numpy(rows)

    def vectors(self, name: str, rows: npt.NDArray[np.int64]) -> Tensor:
        """All vectors of a slot that these rows have, ``[any, width]``: a sequence gives each of its steps."""
        there = rows[self._present[name].numpy()[rows]]
        if name in self._pooled:
            return self._pooled[name][torch.from_numpy(there).to(self.device)]
        values, mask = self._steps[name].gather(there, device=self.device)
        found: Tensor = values[mask].float()
        return found


class DialogueExamples(Examples):
    """A dialogue each, as a ``DialogueBatch`` of pooled slots.

    Args:
        dialogues: pulled by dialogue.
        slots: which slots the model reads.
        device: the model's.
        weights: float32 ``[rows]`` on the device.

    Raises:
        BadInputError: a slot that is a sequence.
    """

    rows_at_once = 64

    def __init__(
        self,
        dialogues: Dialogues,
        slots: Sequence[Slot],
        device: str | torch.device = "cpu",
        *,
        weights: Tensor | None = None,
    ) -> None:
        data = dialogues.training_set
        self.device = torch.device(device)
        self.labels = torch.from_numpy(target_labels(dialogues)).to(self.device)
        self.weights = weights
        self.cost = dialogues.lengths
        self._index = torch.from_numpy(dialogues.index)
        self._lengths = torch.from_numpy(dialogues.lengths)
        self._speakers = torch.from_numpy(dialogues.speakers)
        self._pooled: dict[str, Tensor] = {}
        self._present: dict[str, Tensor] = {}
        for slot in slots:
            if slot.name not in data.features:
                continue
            value = data.features[slot.name]
            if isinstance(value, Steps):
                raise BadInputError(
                    f"slot {slot.name!r} is a sequence; a conversation's turns are pooled views, one vector each"
                )
            self._pooled[slot.name] = torch.from_numpy(value).to(self.device)
            self._present[slot.name] = torch.from_numpy(data.present[slot.name]).to(self.device)

    def __len__(self) -> int:
        """Dialogues."""
        return len(self._lengths)

    def arguments(self, which: Tensor) -> tuple[Any, ...]:
        """The padded batch, as long as its longest dialogue."""
        rows = self.rows(which).to(self.device)
        there, row = rows >= 0, rows.clamp(min=0)
        values, present = {}, {}
        for name, features in self._pooled.items():
            has = there & self._present[name][row]
            present[name] = has
            values[name] = torch.where(has[..., None], features[row], 0.0)
        speakers = self._speakers[which, : rows.shape[1]].to(self.device)
        return (DialogueBatch(values, present, self._lengths[which].to(self.device), speakers),)

    def rows(self, which: Tensor) -> Tensor:
        """Rows of the turns ``[b, longest]``, -1 behind a dialogue's last turn."""
        return self._index[which, : int(self._lengths[which].max())]

    def holding(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """The dialogues with a turn among the rows; on the CPU, where batches are assembled."""
        among = np.zeros(len(self.labels) + 1, bool)  # the last for -1
        among[rows] = True
        return torch.from_numpy(np.flatnonzero(among[self._index.numpy()].any(1)))

    def vectors(self, name: str, rows: npt.NDArray[np.int64]) -> Tensor:
        """The vectors of a slot that these rows have, ``[any, width]``."""
        where = torch.from_numpy(rows).to(self.device)
        return self._pooled[name][where[self._present[name][where]]]


def target_labels(dialogues: Dialogues) -> npt.NDArray[np.int64]:
    """Per row of the training set its class, -1 where it is context alone: int64 ``[rows]``."""
    labels = np.full(len(dialogues.training_set), -1, np.int64)
    rows = dialogues.index[dialogues.targets]
    labels[rows] = dialogues.training_set.labels[rows]
    return labels
