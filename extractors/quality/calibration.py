"""Thresholds read off a corpus: where the similarities of what belongs together, and of what does not, part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.errors import BadInputError

Numbers = npt.NDArray[Any]

FARS = (0.01, 0.001)  # false acceptance rates at which a threshold is told


@dataclass(frozen=True)
class Pairs:
    """Similarities of pairs that belong together, and of pairs that do not.

    Attributes:
        genuine: ``[n]``.
        impostor: ``[m]``.
        note: what was left out, in words.
    """

    genuine: Numbers
    impostor: Numbers
    note: str = ""


@dataclass(frozen=True)
class Calibration:
    """What the two distributions say of a threshold; a pair is accepted when its similarity reaches it.

    Attributes:
        eer: equal error rate, 0 to 1; 0 where no impostor reaches a genuine pair.
        eer_threshold: where it is reached; the middle of the gap where the distributions part.
        at_far: false acceptance rate to (threshold, rate of genuine pairs that are refused there).
        recommended: the middle of the gap where the distributions part, else the threshold at the false acceptance
            rate that was asked for: a stranger's face in the training set is worse than a lost utterance. To three
            digits, at most 1.
    """

    eer: float
    eer_threshold: float
    at_far: Mapping[float, tuple[float, float]]
    recommended: float


def calibrated(pairs: Pairs, far: float = FARS[0]) -> Calibration:
    """Error rates and thresholds of two distributions.

    Args:
        pairs: the distributions.
        far: false acceptance rate of what is recommended where they overlap, one of ``FARS``.

    Raises:
        BadInputError: one of them is empty.
    """
    genuine, impostor = np.sort(pairs.genuine), np.sort(pairs.impostor)
    if not len(genuine) or not len(impostor):
        lacking = "pairs that belong together" if not len(genuine) else "pairs that do not belong together"
        raise BadInputError(
            f"there are no {lacking} to read a threshold off{': ' if pairs.note else ''}{pairs.note}"
        )
    at_far = {}
    for rate in FARS:
        # The highest impostor that must stay below: of 1000 impostors ten may pass at 1 %.
        highest = impostor[len(impostor) - 1 - int(rate * len(impostor) + 1e-9)]
        threshold = float(np.nextafter(highest, np.inf))
        at_far[rate] = threshold, float((genuine < threshold).mean())
    parted = genuine[0] > impostor[-1]
    if parted:
        eer, threshold = 0.0, float((genuine[0] + impostor[-1]) / 2)
    else:
        cuts = np.unique(np.concatenate([genuine, impostor]))
        accepted = 1 - np.searchsorted(impostor, cuts, "left") / len(impostor)
        refused = np.searchsorted(genuine, cuts, "left") / len(genuine)
        best = int(np.argmin(np.abs(accepted - refused)))
        eer, threshold = float((accepted[best] + refused[best]) / 2), float(cuts[best])
    # Rounded down it would let pass whom the rate keeps out.
    recommended = round(threshold, 3) if parted else min(math.ceil(at_far[far][0] * 1000) / 1000, 1.0)
    return Calibration(eer, threshold, at_far, recommended)


def histogram(pairs: Pairs, threshold: float, rows: int = 20, width: int = 30) -> list[str]:
    """The two distributions side by side as text, top down; the bin that holds the threshold is marked.

    Args:
        pairs: similarities.
        threshold: what is marked.
        rows: bins.
        width: characters of the longest bar of each side.
    """
    both = np.concatenate([pairs.genuine, pairs.impostor, [threshold]])
    edges = np.linspace(both.min(), both.max() + 1e-6, rows + 1)
    own, other = (np.histogram(side, edges)[0] for side in (pairs.genuine, pairs.impostor))
    lines = [f"{'similarity':>13}  {'do not belong together':<{width}}  belong together"]
    for at in range(rows):
        bars = ["█" * int(np.ceil(width * side[at] / max(side.max(), 1))) for side in (other, own)]
        mark = "<- threshold" if edges[at] <= threshold < edges[at + 1] else ""
        lines.append(
            f"{edges[at]:6.2f}-{edges[at + 1]:6.2f}  {bars[0]:<{width}}  {bars[1]:<{width}}  {mark}".rstrip()
        )
    return lines
