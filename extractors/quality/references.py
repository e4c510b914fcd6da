"""Reference faces: per speaker the mean of their own faces over a sample of their clips (papers/000 III-D1b and d)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from extractors.quality.identity import Candidates, find_identity
from extractors.quality.stored_faces import BATCH, FaceBatch, Numbers, read_faces
from feature_repo.outcome import Features
from feature_repo.recipe import ColumnType, Recipe
from feature_repo.reference_clips import CLIPS, face_decisions, reference_clips

if TYPE_CHECKING:
    from extractors.quality.derivation import Derived
    from feature_repo.store import Store

# Frames with a face that one clip gives at most, spread over it: half a minute shows who is in it, and an hour that was
# cut wrongly would otherwise compare tens of thousands of faces with each other.
FRAMES = 30
COLUMNS: dict[str, ColumnType] = {
    "clips": "int",
    "supporting": "int",
    "faces": "int",
    "candidates": "int",
    "cohesion": "float",
    "margin": "float",
    "used_utterance": "texts",
    "used_face": "floats",
}


class ReferenceDerivation:
    """Finds each speaker among the faces of their clips and averages them.

    A face that a reviewer rejected is no candidate. One that a reviewer kept is the speaker's, which decides between
    people and is never an outlier.

    Args:
        faces: recipe of the faces.
        same_person: cosine from which two faces are one person's, the embedder's threshold.
        clips: clips a speaker at most; the paper's 15.
        told: provenance of the faces' view.
    """

    name = slot = "reference"

    def __init__(
        self, faces: Recipe, same_person: float, clips: int = CLIPS, told: Mapping[str, str] | None = None
    ) -> None:
        self._faces = faces
        self._same_person = same_person
        self._told = dict(told or {})
        sampled = {} if clips == CLIPS else {"clips": clips}
        self._recipe = Recipe(
            modality="reference",
            extractor=faces.extractor,
            code_version=1,
            reads="speaker",
            layout="pooled",
            width=faces.width,
            settings={"same_person": float(same_person), **sampled},
            inputs=(faces.fingerprint,),
            manifest_columns=("picture",),
            columns=COLUMNS,
            entity="speaker",
        )

    def recipes(self) -> Mapping[str, Recipe]:
        """Slot to recipe."""
        return {self.slot: self._recipe}

    def provenance(self) -> dict[str, str]:
        """What was told of the faces."""
        return self._told

    def compute(self, store: Store, missing: Mapping[str, Sequence[str]]) -> Derived:
        """Yield the reference of each missing speaker."""
        view, speakers = self._recipe.view, missing.get(self._recipe.view, ())
        if not speakers:
            return
        reviews = store.reviews.read()
        live = store.table(self._faces.view).live_keys()
        clips = reference_clips(self._recipe, store.manifest(), live, reviews)
        decisions = face_decisions(self._faces.fingerprint, reviews)
        for chosen in _by_speaker(clips.filter(pl.col("speaker_id").is_in(list(speakers)))):
            faces = read_faces(store, self._faces.view, chosen)
            usable, kept = _decided(faces, decisions)
            usable &= faces.allowed
            first = 0
            for (speaker,), rows in chosen.group_by("speaker_id", maintain_order=True):
                those = range(first, first + rows.height)
                first += rows.height
                yield view, str(speaker), self.reference(faces, those, usable, kept)

    def reference(self, faces: FaceBatch, clips: range, usable: Numbers, kept: Numbers) -> Features:
        """One speaker's reference, or a nothing that says why there is none.

        Args:
            faces: the faces of several speakers' clips.
            clips: which of its rows are this speaker's.
            usable: bool ``[faces]``: may be the speaker, as far as picture and reviewer say.
            kept: bool ``[faces]``: a reviewer said that it is the speaker.
        """
        every = slice(int(faces.offsets[clips.start]), int(faces.offsets[clips.stop]))
        at = np.flatnonzero(usable[every]) + every.start
        at = at[_spread(faces, at) | kept[at]]
        candidates = Candidates(
            faces.embeddings[at], faces.row[at], faces.frame[at], faces.share[at], kept[at]
        )
        found = find_identity(candidates, self._same_person)
        known = {"clips": len(clips), "candidates": len(at)}
        if found is None:
            why = "no face in" if every.stop == every.start else "no face that may be the speaker's in"
            count = f"{len(clips)} clip{'s' if len(clips) > 1 else ''}"
            return Features(None, f"{why} {count}", {**known, "supporting": 0, "faces": 0})
        used = at[found.used]
        columns = {
            **known,
            "supporting": found.supporting,
            "faces": len(used),
            "cohesion": found.cohesion,
            "margin": found.margin,
            "used_utterance": [faces.ids[row] for row in faces.row[used]],
            "used_face": used - faces.offsets[faces.row[used]],
        }
        return Features(found.reference, columns=columns)


def _by_speaker(clips: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The clips, sorted by speaker, in slices of whole speakers."""
    ends = clips["speaker_id"].rle_id().to_numpy()
    start = 0
    while start < clips.height:
        stop = min(start + BATCH, clips.height)
        while stop < clips.height and ends[stop] == ends[stop - 1]:
            stop += 1
        yield clips[start:stop]
        start = stop


def _decided(faces: FaceBatch, decisions: pl.DataFrame) -> tuple[Numbers, Numbers]:
    """(bool ``[faces]`` not rejected, bool ``[faces]`` kept) by the reviewer."""
    usable, kept = np.ones(len(faces.row), bool), np.zeros(len(faces.row), bool)
    place = {utterance_id: row for row, utterance_id in enumerate(faces.ids)}
    for utterance_id, face, decision in decisions.iter_rows():
        row = place.get(utterance_id)
        if row is None or face >= faces.offsets[row + 1] - faces.offsets[row]:
            continue  # of a clip that is not sampled, or of a row that has been computed anew since
        (usable if decision == "reject" else kept)[faces.offsets[row] + face] = decision == "keep"
    return usable, kept


def _spread(faces: FaceBatch, at: Numbers) -> Numbers:
    """Which of these faces lie in at most ``FRAMES`` frames a clip, spread evenly over its frames with a face."""
    chosen = np.ones(len(at), bool)
    for row, count in zip(*np.unique(faces.row[at], return_counts=True), strict=True):
        if count > FRAMES:
            own = np.flatnonzero(faces.row[at] == row)
            frames, which = np.unique(faces.frame[at[own]], return_inverse=True)
            taken = np.unique(np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round())
            chosen[own] = np.isin(which, taken)
    return chosen
