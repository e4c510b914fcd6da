"""What a training pulls for its model: rows, utterances by slot, or dialogues, with what may be learned from each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch

from feature_repo.conversations import Dialogues
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.selection import Selection
from feature_repo.slot_requests import asked_views
from feature_repo.training_set import TrainingSet
from trainers.end_to_end.config import EndToEndConfig
from trainers.examples import Examples, TensorExamples
from trainers.fusion.examples import DialogueExamples, UtteranceExamples, slots_of, target_labels
from trainers.fusion.slots import Slot
from trainers.models import Reads

if TYPE_CHECKING:
    from feature_repo.store import Store
    from trainers.end_to_end.recordings import Recordings

Join = Literal["inner", "outer"]
# Sequences are scaled by so many training rows at most, evenly spaced: their steps are many and much alike.
_ROWS_TO_SCALE_BY = 4096


@dataclass(frozen=True)
class Request:
    """What to pull.

    Attributes:
        slots: slots or views, as ``pull`` takes them.
        reads: what the model takes.
        join: ``inner`` or ``outer``, see ``pull``.
        corpora: only these; all if empty.
        labels: label scheme.
        profile: that says which view a slot means.
        verdict: name of a stored verdict.
        encoders: settings of an end-to-end model, which say what is read beside the slots.
    """

    slots: Sequence[str]
    reads: Reads
    join: Join
    corpora: tuple[str, ...] = ()
    labels: str = "seven"
    profile: str | None = None
    verdict: str | None = None
    encoders: EndToEndConfig | None = None

    def views(self, store: Store) -> dict[str, str]:
        """Name to view, in the order of the slots.

        Raises:
            UnknownNameError: a slot, view or profile that does not exist.
            BadInputError: no slot, one named twice, or two views of one slot.
        """
        if not self.slots or len(set(self.slots)) != len(self.slots):
            raise BadInputError(f"slots {', '.join(self.slots) or '(none)'}: name one or more, each once")
        return asked_views(store, self.slots, self.profile)

    def pull(self, store: Store, views: Mapping[str, str]) -> TrainingData:
        """The data of these views.

        Raises:
            UnknownNameError: a corpus, label scheme or verdict that does not exist.
            BadInputError: a sequence where the model takes vectors.
        """
        if self.join not in ("inner", "outer"):
            raise UnknownNameError("join", self.join, ("inner", "outer"))
        if self.reads == "rows" and self.join == "outer":
            raise BadInputError("join 'outer': an adapter needs every view of a row; allowed: inner")
        where = Selection(corpora=self.corpora)
        named = dict(views)
        if self.reads == "dialogues":
            dialogues = store.pull(
                named, where=where, join=self.join, labels=self.labels, verdict=self.verdict, by="dialogue"
            )
            rows = dialogues.training_set
            targets = target_labels(dialogues)
            context = int(((targets < 0) & (rows.labels >= 0)).sum())
            return TrainingData(
                rows,
                slots_of(store, rows),
                targets,
                dialogues.snapshot(),
                dialogues,
                {"removed by the verdict, kept as context": context},
            )
        if self.encoders is not None:
            # The texts are no slot: which rows have all, or any, is told behind the pull.
            rows = store.pull(named, where=where, join="outer", labels=self.labels, verdict=self.verdict)
            return self._recordings(store, rows, self.encoders)
        rows = store.pull(named, where=where, join=self.join, labels=self.labels, verdict=self.verdict)
        if self.reads == "rows":
            for slot in rows.steps:
                raise BadInputError(f"slot {slot!r} is a sequence; an adapter takes pooled views")
            slots = tuple(Slot(name, value.shape[1]) for name, value in rows.pooled.items())
            return TrainingData(rows, slots, rows.labels, rows.snapshot())
        anything = np.logical_or.reduce(list(rows.present.values()))
        return TrainingData(
            rows,
            slots_of(store, rows),
            np.where(anything, rows.labels, -1),
            rows.snapshot(),
            left_out={"no slot": int((~anything & (rows.labels >= 0)).sum())},
        )

    def _recordings(self, store: Store, rows: TrainingSet, config: EndToEndConfig) -> TrainingData:
        # The encoders' libraries take seconds to import.
        from trainers.end_to_end.encoder_pair import encoder_slots, find_encoders
        from trainers.end_to_end.recordings import read_recordings

        recordings = read_recordings(store, rows, find_encoders(config), config)
        present = list(recordings.present.values())
        there = (np.logical_and if self.join == "inner" else np.logical_or).reduce(present)
        reason = "no sound or no text" if self.join == "inner" else "neither sound nor text"
        return TrainingData(
            rows,
            encoder_slots(recordings.encoders),
            np.where(there, rows.labels, -1),
            recordings.snapshot(rows),
            left_out={reason: int((~there & (rows.labels >= 0)).sum())},
            recordings=recordings,
        )


@dataclass(frozen=True)
class TrainingData:
    """What was pulled, for one model.

    Attributes:
        rows: the training set.
        slots: what the model reads, in its order.
        labels: int64 ``[rows]``, -1 where the row is no target.
        snapshot: digest of what the numbers depend on.
        dialogues: the rows as conversations, for a model that reads those.
        left_out: rows that are no target although they have a label, by reason.
        recordings: the rows as sounds and texts, for a model that reads those.
    """

    rows: TrainingSet
    slots: tuple[Slot, ...]
    labels: npt.NDArray[np.int64]
    snapshot: str
    dialogues: Dialogues | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    recordings: Recordings | None = None

    @property
    def encoders(self) -> dict[str, str]:
        """Digests of the weights that the model begins its encoders with, by slot; empty for other models."""
        found = {} if self.recordings is None else self.recordings.encoders
        return {slot: encoder.digest for slot, encoder in found.items()}

    def examples(self, reads: Reads, device: str) -> Examples:
        """The examples on a device.

        Args:
            reads: what the model takes.
            device: the model's.

        Raises:
            BadInputError: a sequence where a conversation takes vectors.
        """
        if self.dialogues is not None:
            return DialogueExamples(self.dialogues, self.slots, device)
        if self.recordings is not None:
            from trainers.end_to_end.examples import RecordingExamples  # with it come the encoders' modules

            return RecordingExamples(self.recordings, self.labels, device)
        if reads == "utterances":
            return UtteranceExamples(self.rows, self.slots, device, labels=self.labels)
        # In the order that the caller asked for, which is the order of the model's inputs.
        features = np.concatenate([self.rows.pooled[slot.name] for slot in self.slots], axis=1)
        labels = torch.from_numpy(self.labels).to(device)
        return TensorExamples([torch.from_numpy(features).to(device)], labels)


def scaling_rows(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The training rows that inputs are scaled by: all, or 4,096 evenly spaced ones."""
    if len(rows) <= _ROWS_TO_SCALE_BY:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _ROWS_TO_SCALE_BY).astype(np.int64)]
