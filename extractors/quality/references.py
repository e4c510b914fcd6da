"""Reference faces: per speaker the mean of their own faces over a sample of their clips (papers/000 III-D1b and d)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from extractors.quality.identity import Candidates, find_identity
from extractors.quality.stored_faces import BATCH, FaceBatch, Numbers, read_faces, unread
from feature_repo.outcome import Features, Outcome
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


@dataclass(frozen=True)
class Sample:
    """A speaker's sampled faces.

    Attributes:
        speaker: who it is.
        clips: how many clips were looked at.
        faces: how many faces they have, whether or not they may be the speaker's.
        utterance: the utterance of each candidate.
        face: int: its place among that utterance's faces.
        candidates: the faces that may be the speaker's.
        unread: an utterance whose row could not be read; empty if there is none.
    """

    speaker: str
    clips: int
    faces: int
    utterance: list[str]
    face: Numbers
    candidates: Candidates
    unread: str


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
        view = self._recipe.view
        for sample in samples(store, self._recipe, self._faces, missing.get(view, ())):
            yield view, sample.speaker, self._reference(sample)

    def _reference(self, sample: Sample) -> Outcome:
        """One speaker's reference, or a nothing that says why there is none."""
        if sample.unread:
            return unread(sample.unread, self._faces.view)
        found = find_identity(sample.candidates, self._same_person)
        known = {"clips": sample.clips, "candidates": len(sample.utterance)}
        if found is None:
            why = "no face that may be the speaker's in" if sample.faces else "no face in"
            count = f"{sample.clips} clip{'s' if sample.clips > 1 else ''}"
            return Features(None, f"{why} {count}", {**known, "supporting": 0, "faces": 0})
        columns = {
            **known,
            "supporting": found.supporting,
            "faces": len(found.used),
            "cohesion": found.cohesion,
            "margin": found.margin,
            "used_utterance": [sample.utterance[at] for at in found.used],
            "used_face": sample.face[found.used],
        }
        return Features(found.reference, columns=columns)


def samples(
    store: Store, recipe: Recipe, faces: Recipe, speakers: Sequence[str] | None = None
) -> Iterator[Sample]:
    """The faces of the clips that stand for each speaker.

    Args:
        store: the store.
        recipe: a recipe of references.
        faces: the recipe of its faces.
        speakers: only these; all by default.
    """
    reviews = store.reviews.read()
    clips = reference_clips(recipe, store.manifest(), store.table(faces.view).live_keys(), reviews)
    if speakers is not None:
        clips = clips.filter(pl.col("speaker_id").is_in(list(speakers)))
    decisions = face_decisions(faces.fingerprint, reviews)
    for chosen in _by_speaker(clips):
        batch = read_faces(store, faces.view, chosen)
        usable, kept = _decided(batch, decisions)
        usable &= batch.allowed | kept  # a person's word goes over the halves of a picture
        first = 0
        for (speaker,), rows in chosen.group_by("speaker_id", maintain_order=True):
            yield _sample(str(speaker), batch, range(first, first + rows.height), usable, kept)
            first += rows.height


def _sample(speaker: str, faces: FaceBatch, clips: range, usable: Numbers, kept: Numbers) -> Sample:
    begin, end = int(faces.offsets[clips.start]), int(faces.offsets[clips.stop])
    at = np.flatnonzero(usable[begin:end]) + begin
    at = at[_spread(faces, at) | kept[at]]
    row = faces.row[at]
    return Sample(
        speaker,
        len(clips),
        end - begin,
        [faces.ids[place] for place in row],
        at - faces.offsets[row],
        Candidates(faces.embeddings[at], row, faces.frame[at], faces.share[at], kept[at]),
        next((faces.ids[place] for place in clips if not faces.known[place]), ""),
    )


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
