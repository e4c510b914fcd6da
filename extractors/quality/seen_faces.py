"""The stored faces of a few utterances with what they were matched to, and their frames read again, for the eye."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_repo.records import live_rows

if TYPE_CHECKING:
    from extractors.protocol import Frame
    from feature_repo.store import Store

SAME_TIME_S = 1e-3  # a stored time is a float32
# View of faces to the view of matches that says how like the speaker they are.
PAIRS = {"faces_steps": "match", "offsets_steps": "offsetmatch"}
_STEPS = ("time_s", "x", "y", "width", "height", "score")


@dataclass(frozen=True)
class StoredFace:
    """One stored face.

    Attributes:
        view: its view.
        index: its place in the utterance's row.
        time_s: seconds from the utterance's start.
        x, y, width, height: pixels of the upright frame.
        score: the detector's confidence.
        similarity: cosine to the speaker's reference; None without one.
    """

    view: str
    index: int
    time_s: float
    x: float
    y: float
    width: float
    height: float
    score: float
    similarity: float | None


@dataclass(frozen=True)
class Sighting:
    """What was seen in one utterance.

    Attributes:
        times: seconds of the frames that were looked at, those of the offset search last.
        faces: all stored faces.
    """

    times: tuple[float, ...]
    faces: tuple[StoredFace, ...]

    def at(self, time_s: float) -> list[StoredFace]:
        """The faces of the frame at a time."""
        return [face for face in self.faces if abs(face.time_s - time_s) < SAME_TIME_S]


def seen_faces(store: Store, views: Mapping[str, str], ids: Sequence[str]) -> dict[str, Sighting]:
    """What was seen in each of these utterances; one that was never looked at is left out.

    Args:
        store: the store.
        views: slot to view; those of faces and matches are read as far as they are there.
        ids: the utterances.
    """
    found: dict[str, Sighting] = {}
    for slot, match in PAIRS.items():
        if slot not in views:
            continue
        rows = live_rows(store, views[slot], ids, ["frame_times", *_STEPS])
        cosines: dict[str, list[float] | None] = {}
        if match in views:
            known = live_rows(store, views[match], ids, ["similarities"])
            cosines = dict(known.select("utterance_id", "similarities").iter_rows())
        for row in rows.iter_rows(named=True):
            name = row["utterance_id"]
            similarities = cosines.get(name) or []
            faces = []
            for index, step in enumerate(zip(*(row[step] or () for step in _STEPS), strict=True)):
                like = similarities[index] if index < len(similarities) else None
                facts = dict(zip(_STEPS, step, strict=True))
                faces.append(StoredFace(view=views[slot], index=index, similarity=like, **facts))
            before = found.get(name, Sighting((), ()))
            # Of the offset search only the frames with a face are worth a picture.
            times = row["frame_times"] or () if slot == "faces_steps" else {face.time_s for face in faces}
            found[name] = Sighting((*before.times, *sorted(times)), (*before.faces, *faces))
    return found


def frames_of(row: Mapping[str, Any], times: Iterable[float]) -> list[Frame]:
    """The frames of an utterance at some times, one pass over its clip.

    Args:
        row: the manifest's ``media_uri, start_s, end_s``.
        times: seconds from the utterance's start.

    Raises:
        MediaError: a subclass that tells why there are no frames.
    """
    from extractors.frames import frames_at  # its decoder loads ffmpeg

    return frames_at(row["media_uri"], row["start_s"], row["end_s"], sorted(set(times)))


def spread(times: Sequence[float], count: int, always: Iterable[float] = ()) -> list[float]:
    """At most so many of the times, evenly spread, with those that are always wanted among them; ascending."""
    wanted = list(dict.fromkeys(always))[:count]
    others = [time for time in times if all(abs(time - one) >= SAME_TIME_S for one in wanted)]
    room = min(count - len(wanted), len(others))
    places = sorted({round(place) for place in np.linspace(0, len(others) - 1, room)})
    return sorted([*wanted, *(others[place] for place in places)])
