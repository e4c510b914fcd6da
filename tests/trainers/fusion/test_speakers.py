"""Roles and same-speaker marks, against plain loops."""

import numpy as np
import torch

from trainers.fusion.speakers import OTHER, SAME, UNKNOWN, same_speaker, speaker_roles


def _random() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(-1, 5, size=(40, 9)), random.integers(1, 10, size=40)


def test_roles_are_in_the_order_of_first_words() -> None:
    speakers, turns = _random()
    made = speaker_roles(torch.from_numpy(speakers), torch.from_numpy(turns), 3)
    for dialogue, count in enumerate(turns):
        seen: list[int] = []
        expected = []
        for turn, speaker in enumerate(speakers[dialogue].tolist()):
            if turn >= count or speaker < 0:
                expected.append(3)
                continue
            if speaker not in seen:
                seen.append(speaker)
            expected.append(min(seen.index(speaker), 2))
        assert made[dialogue].tolist() == expected


def test_turns_are_by_the_same_speaker_another_or_nobody_knows() -> None:
    speakers, turns = _random()
    made = same_speaker(torch.from_numpy(speakers), torch.from_numpy(turns))
    for dialogue, count in enumerate(turns):
        who = [int(speaker) if turn < count else -1 for turn, speaker in enumerate(speakers[dialogue])]
        for one, first in enumerate(who):
            for other, second in enumerate(who):
                expected = SAME if one == other else UNKNOWN if min(first, second) < 0 else OTHER
                if first == second and first >= 0:
                    expected = SAME
                assert made[dialogue, one, other] == expected
