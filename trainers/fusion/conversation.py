"""The conversation model: Mamba over the utterances of a dialogue, so that a turn is read in its context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from feature_repo.errors import BadInputError
from trainers.fusion.config import ConversationConfig
from trainers.fusion.inputs import SlotInput, SlotInputs
from trainers.fusion.mamba_stack import MambaStack
from trainers.fusion.masks import step_mask
from trainers.fusion.slots import Slot
from trainers.fusion.speakers import same_speaker, speaker_roles
from trainers.fusion.steps import StepConcatenation


@dataclass(frozen=True)
class DialogueBatch:
    """A padded batch of dialogues.

    Attributes:
        values: by slot, ``[dialogues, turns, width]``, one vector per utterance.
        present: by slot, bool ``[dialogues, turns]``: whether the turn has that vector. A turn may have none: it is
            still a turn that somebody said.
        turns: number of turns of each dialogue, int64 ``[dialogues]``, 1 or more.
        speakers: who speaks, int64 ``[dialogues, turns]``: any numbers that differ between the speakers of a dialogue,
            -1 where nobody knows.
    """

    values: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    turns: Tensor
    speakers: Tensor


class ConversationModel(nn.Module):
    """A linear layer on each turn's slots, who speaks, residual Mamba blocks over the turns, a linear head per turn.

    With ``context="past"`` a turn's logits depend on no later turn, its speaker's later words included; so a dialogue
    can be read as it unfolds.

    Args:
        slots: inputs; each is a vector per turn.
        classes: number of classes.
        config: settings.
    """

    def __init__(self, slots: Sequence[Slot], classes: int, config: ConversationConfig) -> None:
        super().__init__()
        self.speakers, self.roles = config.speakers, config.roles
        # Pooled utterance vectors, one step each.
        self.inputs = SlotInputs(slots, config.modality_dropout)
        self.steps = StepConcatenation(slots, learned=config.absent == "learned")
        self.projection = nn.Linear(self.steps.width, config.width)
        kinds = {"role": config.roles + 1, "same": 3, "none": 0}[config.speakers]
        self.speaker = nn.Embedding(kinds, config.width) if kinds else None
        self.blocks = MambaStack(
            config.width,
            config.depth,
            d_state=config.d_state,
            d_conv=config.d_conv,
            expand=config.expand,
            version=config.version,
            residual=True,
            both_directions=config.context == "both",
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, classes)

    def hidden(self, batch: DialogueBatch) -> Tensor:
        """A vector per turn in its context, ``[dialogues, turns, width]``; meaningless in the padding.

        Raises:
            UnknownNameError: a slot that the model doesn't read.
            BadInputError: shapes that do not fit.
        """
        turns = self.dropout(self._turns(batch))
        if self.speaker is None:
            return cast(Tensor, self.blocks(turns, batch.turns))
        if self.speakers == "role":
            roles = speaker_roles(batch.speakers, batch.turns, self.roles)
            return cast(Tensor, self.blocks(turns + self.speaker(roles), batch.turns))
        return self._per_turn(turns, batch)

    def forward(self, batch: DialogueBatch) -> Tensor:
        """Logits ``[dialogues, turns, classes]``; meaningless in the padding, which has no label either."""
        return cast(Tensor, self.head(self.dropout(self.hidden(batch))))

    def _turns(self, batch: DialogueBatch) -> Tensor:
        """Each turn by itself, ``[dialogues, turns, width]``."""
        dialogues, longest = batch.speakers.shape
        exists = step_mask(batch.turns, longest)
        rows = {}
        for name, values in batch.values.items():
            present = batch.present.get(name)
            if values.shape[:2] != exists.shape or present is None or present.shape != exists.shape:
                raise BadInputError(
                    f"slot {name!r} has values {list(values.shape)} and present"
                    f" {None if present is None else list(present.shape)}; allowed: the {dialogues} dialogues x"
                    f" {longest} turns of the speakers"
                )
            rows[name] = SlotInput(values.flatten(0, 1), (present & exists).flatten())
        steps, _ = self.steps(self.inputs(rows))
        return cast(Tensor, self.projection(steps[:, 0])).view(dialogues, longest, -1)

    def _per_turn(self, turns: Tensor, batch: DialogueBatch) -> Tensor:
        """A pass per turn, in which the others are told as by the same speaker or not."""
        assert self.speaker is not None
        dialogues, longest, width = turns.shape
        relation = same_speaker(batch.speakers, batch.turns)
        told = (turns[:, None] + self.speaker(relation)).flatten(0, 1)
        made = self.blocks(told, batch.turns.repeat_interleave(longest, output_size=len(told)))
        # Of the pass for turn t, what came out at turn t.
        return cast(Tensor, made.view(dialogues, longest, longest, width).diagonal(dim1=1, dim2=2).mT)
