"""Who speaks, as small numbers: roles within a dialogue, and whether a turn is by the current speaker."""

import torch
from torch import Tensor

from trainers.fusion.masks import step_mask

# What :func:`same_speaker` gives.
OTHER, SAME, UNKNOWN = 0, 1, 2


def speaker_roles(speakers: Tensor, turns: Tensor, roles: int) -> Tensor:
    """Each turn's speaker as a number in the order of their first words in the dialogue.

    A name means nothing in another dialogue, a number does; and it depends on this turn and earlier ones only.

    Args:
        speakers: int64 ``[dialogues, turns]``, -1 where nobody knows.
        turns: number of turns, int64 ``[dialogues]``.
        roles: numbers there are; later speakers share the last.

    Returns:
        int64 of the same shape, 0 to ``roles - 1``, and ``roles`` where the speaker is unknown or the turn padding.
    """
    longest = speakers.shape[1]
    known = step_mask(turns, longest) & (speakers >= 0)
    same = (speakers[:, :, None] == speakers[:, None, :]) & known[:, :, None] & known[:, None, :]
    # The first of equal maxima is not promised on every device; the smallest index is.
    turn = torch.arange(longest, device=speakers.device)
    first = torch.where(same, turn, longest).amin(2).clamp(max=longest - 1)
    opens = known & (first == turn)
    role = (opens.long().cumsum(1) - 1).gather(1, first).clamp(max=roles - 1)
    return torch.where(known, role, roles)


def same_speaker(speakers: Tensor, turns: Tensor) -> Tensor:
    """For each turn, which turns its speaker said.

    Args:
        speakers: int64 ``[dialogues, turns]``, -1 where nobody knows.
        turns: number of turns, int64 ``[dialogues]``.

    Returns:
        int64 ``[dialogues, turns, turns]``: ``SAME``, ``OTHER``, or ``UNKNOWN`` where either speaker is unknown or
        either turn is padding; a turn is by the same speaker as itself.
    """
    known = step_mask(turns, speakers.shape[1]) & (speakers >= 0)
    both = known[:, :, None] & known[:, None, :]
    relation = torch.where(speakers[:, :, None] == speakers[:, None, :], SAME, OTHER)
    itself = torch.eye(speakers.shape[1], dtype=torch.bool, device=speakers.device)
    return torch.where(itself, SAME, torch.where(both, relation, UNKNOWN))
