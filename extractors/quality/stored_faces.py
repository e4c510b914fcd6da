"""Stored faces of many utterances as flat arrays, so that they are compared in a few large products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.outcome import Fault
from feature_repo.records import live_rows, live_values

if TYPE_CHECKING:
    from feature_repo.store import Store

# Utterances read at once: of six faces of 512 numbers each they are 50 MB.
BATCH = 4096
_STEPS = ("time_s", "x", "width", "height", "score")
_ROWS = ("frame_times", "frame_width", "frame_height", "whole")

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class FaceBatch:
    """The faces of some utterances, one after another.

    Attributes:
        ids: the utterances, ``[rows]``.
        known: bool ``[rows]``: its row could be read whole; one that went to quarantine meanwhile could not.
        frames: int ``[rows]``: sampled frames of each, those without a face too.
        whole: bool ``[rows]``: the picture is the face, nothing was detected.
        offsets: int ``[rows + 1]``: where each utterance's faces begin.
        embeddings: float32 ``[faces, width]``, L2-normalised.
        row: int ``[faces]``: the utterance, as an index of ``ids``.
        frame: int ``[faces]``: the frame, numbered over the batch.
        time_s: float32 ``[faces]``: seconds from the utterance's start.
        score: float32 ``[faces]``: the detector's confidence.
        share: float ``[faces]``: how much of the picture the face takes, 0 to 1.
        allowed: bool ``[faces]``: in the part of the picture that shows the speaker.
    """

    ids: list[str]
    known: Numbers
    frames: Numbers
    whole: Numbers
    offsets: Numbers
    embeddings: Vectors
    row: Numbers
    frame: Numbers
    time_s: Numbers
    score: Numbers
    share: Numbers
    allowed: Numbers

    def faces_of(self, row: int) -> slice:
        """Where the faces of one utterance are."""
        return slice(int(self.offsets[row]), int(self.offsets[row + 1]))


def read_faces(store: Store, view: str, utterances: pl.DataFrame) -> FaceBatch:
    """The live faces of the utterances, in their order; one without a live row has no frame and no face.

    A face counts as the speaker's possible face when its centre lies in the half of a split-screen picture that the
    manifest's column ``picture`` names (papers/000 III-D2 with DESIGN 8.4: IEMOCAP shows two people side by side).

    Args:
        store: the store.
        view: a view of faces.
        utterances: ``utterance_id`` and ``picture``, no utterance twice.
    """
    ids = utterances["utterance_id"].to_list()
    facts = utterances.select("utterance_id", "picture").join(
        live_rows(store, view, ids, columns=[*_STEPS, *_ROWS]).drop("content_key", "note"),
        on="utterance_id",
        how="left",
        maintain_order="left",
    )
    values = live_values(store, view, ids)
    width = store.recipe(view).width
    counts = np.array([len(values[name]) if name in values else 0 for name in ids], np.int64)
    found = [values[name] for name in ids if name in values]
    facts = facts.with_columns(n=pl.col("n").cast(pl.Int64))
    faced = facts.filter(pl.Series(counts > 0, dtype=pl.Boolean))
    steps = faced.select(*_STEPS).explode(*_STEPS)
    row = np.repeat(np.arange(len(ids)), counts)
    time_s, left, wide, high, score = (steps[name].to_numpy().astype(np.float32) for name in _STEPS)
    frame_wide, frame_high = (
        facts[name].cast(pl.Float32).fill_null(1).to_numpy()[row] for name in ("frame_width", "frame_height")
    )
    of_right = left + wide / 2 >= frame_wide / 2
    picture = facts["picture"].fill_null("").to_numpy()[row]
    _, moment = np.unique(time_s, return_inverse=True)
    return FaceBatch(
        ids=ids,
        known=facts["n"].fill_null(-1).to_numpy() == counts,
        frames=facts["frame_times"].list.len().fill_null(0).to_numpy().astype(np.int64),
        whole=facts["whole"].fill_null(0).to_numpy() == 1,
        offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]),
        embeddings=np.concatenate(found) if found else np.empty((0, width), np.float32),
        row=row,
        frame=row * (len(steps) + 1) + moment,
        time_s=time_s,
        score=score,
        share=wide * high / np.maximum(frame_wide * frame_high, 1),
        allowed=np.where(picture == "left", ~of_right, np.where(picture == "right", of_right, True)),
    )


def own_references(store: Store, view: str, speakers: Sequence[str | None]) -> tuple[Vectors, Numbers]:
    """The references of these utterances' speakers.

    Args:
        store: the store.
        view: the view of references.
        speakers: who speaks, one entry an utterance; None is nobody in particular.

    Returns:
        (float32 ``[references, width]``, int ``[utterances]``: which of them is the utterance's, -1 without one).
    """
    names = sorted({speaker for speaker in speakers if speaker is not None})
    known = live_values(store, view, names)
    place = {name: index for index, name in enumerate(known)}
    vectors = np.stack(list(known.values())) if known else np.empty((0, store.recipe(view).width), np.float32)
    whose = [place.get(speaker, -1) if speaker is not None else -1 for speaker in speakers]
    return vectors, np.array(whose, np.int64)


def cosines(faces: FaceBatch, references: Vectors, whose: Numbers) -> Vectors:
    """Cosine of every face to its utterance's reference, ``[faces]``; -2, below every threshold, where there is none.

    Args:
        faces: the faces.
        references: float32 ``[references, width]``, L2-normalised.
        whose: int ``[rows]``: which of them is the utterance's, -1 without one.
    """
    found = np.full(len(faces.row), -2, np.float32)
    known = np.flatnonzero(whose[faces.row] >= 0)
    for chunk in np.array_split(known, max(1, len(known) // BATCH)):
        own = references[whose[faces.row[chunk]]]
        found[chunk] = np.clip(np.einsum("nd,nd->n", faces.embeddings[chunk], own), -1, 1)
    return found


def unread(utterance_id: str, view: str) -> Fault:
    """The fault of an utterance whose faces were there when the work was planned, and can't be read now."""
    return Fault(
        "extract", "FacesUnread", f"{utterance_id}: its faces in {view} can't be read; extract them again"
    )


def batches(store: Store, ids: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The manifest's (utterance_id, speaker_id, picture) of these utterances, so many at a time as memory allows."""
    rows = store.manifest().filter(pl.col("utterance_id").is_in(list(ids)))
    yield from rows.select("utterance_id", "speaker_id", "picture").iter_slices(BATCH)
