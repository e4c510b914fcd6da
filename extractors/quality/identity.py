"""Who is the person seen in most of a speaker's clips: the speaker's faces among the faces of everyone in the picture.

The paper inspected the crops by hand (papers/000 III-D1b). Here a person is found as the identity that the most clips
support. Clips are counted, not faces: someone who is seen through one long clip is no evidence for the other clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[Any]

_ROUNDS = 10  # of growing an identity; it settles in two or three
# A face further below the identity's median cosine than three standard deviations (by the median absolute deviation,
# which 1.4826 scales to one) is an outlier; the least deviation keeps near-identical frames from rejecting each other.
_DEVIATIONS, _LEAST_DEVIATION = 3 * 1.4826, 0.02
_FEWEST = 4  # faces without which a median says nothing of outliers


@dataclass(frozen=True)
class Candidates:
    """Every face of a speaker's clips.

    Attributes:
        embeddings: float32 ``[n, width]``, L2-normalised.
        clip: int ``[n]``, ascending: which clip a face is of.
        frame: int ``[n]``: which frame, numbered over all clips.
        share: float ``[n]``: how much of the picture the face takes, 0 to 1.
        kept: bool ``[n]``: a reviewer said that this is the speaker.
    """

    embeddings: Vectors
    clip: Numbers
    frame: Numbers
    share: Numbers
    kept: Numbers


@dataclass(frozen=True)
class Identity:
    """One person among the candidates.

    Attributes:
        reference: float32 ``[width]``: L2-normalised mean of the used faces.
        used: int: indices of the candidates that were averaged, ascending, at most one a frame.
        supporting: how many clips those are of.
        cohesion: mean cosine of the used faces to the reference.
        margin: how much of the support is undisputed: 1 minus the next identity's supporting clips over this one's,
            at least 0; 1 where nobody else is seen, 0 where somebody else is seen in as many clips.
    """

    reference: Vectors
    used: Numbers
    supporting: int
    cohesion: float
    margin: float


@dataclass(frozen=True)
class _Person:
    reference: Vectors
    used: Numbers
    supporting: int
    size: float
    chosen: bool

    @property
    def rank(self) -> tuple[bool, int, int, float]:
        return self.chosen, self.supporting, len(self.used), self.size


def find_identity(candidates: Candidates, same_person: float) -> Identity | None:
    """The person seen in the most clips; None without a candidate.

    A face that a reviewer kept decides who it is. Else the identity of the most supporting clips is taken, of those the
    one seen in the most frames, then the one whose faces are larger: where only that told two people apart the margin
    is 0, and a reviewer should look.

    Args:
        candidates: the faces.
        same_person: cosine from which two faces are one person's, the embedder's threshold.
    """
    if len(candidates.embeddings) == 0:
        return None
    cosines = candidates.embeddings @ candidates.embeddings.T
    starts = np.flatnonzero(np.diff(candidates.clip, prepend=candidates.clip[0] - 1))
    free = np.ones(len(cosines), bool)
    people: list[_Person] = []
    if candidates.kept.any():
        seed = _direction(candidates.embeddings[candidates.kept])
        people.append(_grow(candidates, seed, free, same_person, candidates.kept))
        free &= ~_of(people[-1], candidates, same_person)
    nobody = np.zeros(len(cosines), bool)
    while free.any():
        seed_at, support = _seed(cosines, starts, free, same_person)
        ranked = sorted((person.supporting for person in people), reverse=True)
        # Whoever is left then changes neither who it is nor by how much. One of as many clips may be of more frames.
        if len(ranked) > 1 and support < ranked[0] and support <= ranked[1]:
            break
        people.append(_grow(candidates, candidates.embeddings[seed_at], free, same_person, nobody))
        free &= ~_of(people[-1], candidates, same_person)
        free[seed_at] = False
    best = max(people, key=lambda person: person.rank)
    rival = max((person.supporting for person in people if person is not best), default=0)
    cohesion = float((candidates.embeddings[best.used] @ best.reference).mean())
    margin = max(0.0, 1 - rival / best.supporting)
    return Identity(best.reference, best.used, best.supporting, cohesion, margin)


def best_of_each(group: Numbers, worth: Numbers) -> Numbers:
    """Per group the index of its greatest worth, in the order of the groups; the earliest of equals.

    Args:
        group: int ``[n]``.
        worth: float ``[n]``.
    """
    order = np.lexsort((-worth, group))
    first = np.ones(len(order), bool)
    first[1:] = np.diff(group[order]) != 0
    chosen: Numbers = order[first]
    return chosen


def _seed(cosines: Vectors, starts: Numbers, free: Numbers, same_person: float) -> tuple[int, int]:
    """The free face that is like a free face of the most clips, and how many; of equals the one nearest to them."""
    nearest = np.maximum.reduceat(np.where(free[:, None], cosines, -2), starts, axis=0)  # [clips, faces]
    alike = nearest >= same_person
    support = np.where(free, np.maximum(alike.sum(axis=0), 1), 0)
    closeness = np.where(alike, nearest, 0).sum(axis=0)
    at = int(np.lexsort((-closeness, -support))[0])
    return at, int(support[at])


def _grow(candidates: Candidates, seed: Vectors, free: Numbers, same_person: float, kept: Numbers) -> _Person:
    """The person around a direction: per frame the nearest like face, until that settles, then without outliers."""
    centre, members = seed, np.empty(0, np.intp)
    for _ in range(_ROUNDS):
        cosine = candidates.embeddings @ centre
        like = np.flatnonzero(kept | (free & (cosine >= same_person)))
        worth = (
            cosine[like] + 3.0 * kept[like]
        )  # a kept face is the frame's, whoever else is like the speaker
        again = np.sort(like[best_of_each(candidates.frame[like], worth)])
        if len(again) == 0 or np.array_equal(again, members):
            break
        members = again
        centre = _direction(candidates.embeddings[members])
    if len(members) == 0:  # a threshold above 1: the seed is like nobody, itself included
        members = np.array([int(np.argmax(np.where(free | kept, candidates.embeddings @ seed, -2)))])
    used = members[_typical(candidates.embeddings[members] @ centre) | kept[members]]
    return _Person(
        _direction(candidates.embeddings[used]),
        used,
        len(np.unique(candidates.clip[used])),
        float(candidates.share[used].mean()),
        bool(kept.any()),
    )


def _of(person: _Person, candidates: Candidates, same_person: float) -> Numbers:
    """Which candidates are this person's, outliers and second detections included."""
    found: Numbers = candidates.embeddings @ person.reference >= same_person
    found[person.used] = True
    return found


def _typical(cosine: Numbers) -> Numbers:
    """Which of the faces are no outliers, by their cosine to the centre."""
    if len(cosine) < _FEWEST:
        return np.ones(len(cosine), bool)
    middle = np.median(cosine)
    deviation = np.median(np.abs(cosine - middle))
    typical: Numbers = cosine >= middle - max(_DEVIATIONS * deviation, 3 * _LEAST_DEVIATION)
    return typical


def _direction(vectors: Vectors) -> Vectors:
    """The L2-normalised mean ``[width]``; the first vector where they cancel out."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    norm = np.linalg.norm(mean)
    direction: Vectors = (mean / norm if norm > 1e-6 else vectors[0]).astype(np.float32)
    return direction
