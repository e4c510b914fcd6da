"""Groups of speakers, each with about equal rows of every class: folds and splits deal people out so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt


def balanced_groups(
    counts: Mapping[str, npt.NDArray[np.int64]],
    groups: int,
    *,
    shares: Sequence[float] | None = None,
    order: Sequence[str] | None = None,
) -> list[list[str]]:
    """Speakers in groups of about equal rows per class: the largest first, each to where its classes are rarest.

    Args:
        counts: rows per class ``[classes]`` by speaker.
        groups: number of groups, at most the number of speakers; none stays empty.
        shares: how large each group is to be, beside the others; equal by default.
        order: the speakers in the order in which they are dealt out; by default the largest first, then by name.
    """
    total = np.maximum(sum(counts.values(), np.zeros(1, np.int64)), 1)
    wanted = np.ones(groups) if shares is None else np.asarray(shares, float)
    scale = wanted[0] / wanted
    filled = np.zeros((groups, len(total)))
    members: list[list[str]] = [[] for _ in range(groups)]
    empty = groups
    dealt = order or sorted(counts, key=lambda name: (-counts[name].sum(), name))
    for place, name in enumerate(dealt):
        share = counts[name] / total
        # What each group has of these classes, and half of what it would get, by what is wanted of it: Webster's
        # method, which gives small groups large speakers too, in proportion. Of equal groups what they have decides.
        # Rounded, so that sums in another order don't decide between equals; then the fewest speakers, then the first.
        has = (filled @ share * scale + (scale - 1) * (share @ share) / 2).tolist()
        among: Sequence[int] = range(groups)
        if empty >= len(dealt) - place:
            among = [group for group in among if not members[group]]
        group = min(among, key=lambda group: (round(has[group], 9), len(members[group]), group))
        empty -= not members[group]
        filled[group] += share
        members[group].append(name)
    return [sorted(group) for group in members]


def label_counts(
    names: npt.NDArray[np.object_], labels: npt.NDArray[np.int64], speakers: Sequence[str]
) -> dict[str, npt.NDArray[np.int64]]:
    """Rows per class ``[classes]`` by speaker.

    Args:
        names: the speaker of each row.
        labels: its class index, 0 or more.
        speakers: who is counted.
    """
    classes = int(labels.max()) + 1
    return {name: np.bincount(labels[names == name], minlength=classes) for name in speakers}
