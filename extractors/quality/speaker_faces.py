"""The speaker's own face of every frame, the one the emotion model sees (papers/000 III-D1d)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from extractors.quality.identity import best_of_each
from extractors.quality.stored_faces import (
    FaceBatch,
    Numbers,
    batches,
    cosines,
    own_references,
    read_faces,
    unread,
)
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe

if TYPE_CHECKING:
    from extractors.quality.derivation import Derived
    from feature_repo.store import Store


@dataclass(frozen=True)
class Chosen:
    """At most one face a frame.

    Attributes:
        at: int: indices of the faces, ascending by utterance and time.
        starts: int ``[rows + 1]``: where each utterance's begin.
    """

    at: Numbers
    starts: Numbers

    def of(self, row: int) -> Numbers:
        """The faces of one utterance."""
        own: Numbers = self.at[int(self.starts[row]) : int(self.starts[row + 1])]
        return own


class SpeakerFaceDerivation:
    """Picks, per frame, the face that is most like the speaker's reference, if it is like enough.

    Where no sampled frame shows the speaker, the frames around them are taken. A picture that is one whole face is
    taken as it is. An utterance of nobody in particular takes the most confident face of each frame.

    Args:
        faces: recipe of the faces.
        reference: recipe of the references.
        offsets: recipe of the faces around the sampled frames; None where none are looked for.
        min_similarity: cosine from which a face is the speaker's.
        told: provenance of the faces' view.
    """

    name = slot = "face"

    def __init__(
        self,
        faces: Recipe,
        reference: Recipe,
        offsets: Recipe | None,
        min_similarity: float,
        told: Mapping[str, str] | None = None,
    ) -> None:
        self._faces, self._reference, self._offsets = faces, reference, offsets
        self._min_similarity = min_similarity
        self._told = dict(told or {})
        near = (offsets.fingerprint,) if offsets else ()

        def recipe(layout: str) -> Recipe:
            return Recipe(
                modality="face",
                extractor=faces.extractor,
                code_version=1,
                reads="rows",
                layout="steps" if layout == "steps" else "pooled",
                width=faces.width,
                settings={
                    "min_similarity": float(min_similarity),
                    **({"optional_inputs": near} if near else {}),
                },
                inputs=(faces.fingerprint, reference.fingerprint, *near),
                manifest_columns=("picture",),
                columns={"time_s": "step", "face": "step", "around": "int"} if layout == "steps" else {},
            )

        self._recipes = {made.slot: made for made in (recipe("pooled"), recipe("steps"))}
        self._pooled, self._steps = (made.view for made in self._recipes.values())  # hashed once, not per row

    def recipes(self) -> Mapping[str, Recipe]:
        """Slot to recipe: the mean over frames, and the frames."""
        return self._recipes

    def provenance(self) -> dict[str, str]:
        """What was told of the faces."""
        return self._told

    def compute(self, store: Store, missing: Mapping[str, Sequence[str]]) -> Derived:
        """Yield the speaker's face of each missing utterance, pooled and as a sequence."""
        wanted = {view: set(missing.get(view, ())) for view in (self._pooled, self._steps)}
        for rows in batches(store, sorted(set().union(*wanted.values()))):
            for utterance_id, outcomes in self._of(store, rows):
                for view, ids in wanted.items():
                    if utterance_id in ids:
                        yield view, utterance_id, outcomes[view]

    def _of(self, store: Store, rows: pl.DataFrame) -> list[tuple[str, dict[str, Outcome]]]:
        references, whose = own_references(store, self._reference.view, rows["speaker_id"].to_list())
        anyone = rows["speaker_id"].is_null().to_numpy()
        faces = read_faces(store, self._faces.view, rows)
        chosen = choose(faces, cosines(faces, references, whose), anyone, self._min_similarity)
        empty = np.diff(chosen.starts) == 0
        around, near = faces, chosen
        if self._offsets is not None and self._offsets.view in store.views():
            around = read_faces(store, self._offsets.view, rows)
            nobody = np.zeros(len(anyone), bool)
            near = choose(around, cosines(around, references, whose), nobody, self._min_similarity)
        found = []
        for row, utterance_id in enumerate(faces.ids):
            source, own = (around, near.of(row)) if empty[row] else (faces, chosen.of(row))
            outcomes: dict[str, Outcome]
            if not faces.known[row]:
                fault = unread(utterance_id, self._faces.view)
                outcomes = {self._pooled: fault, self._steps: fault}
            elif len(own):
                outcomes = self._features(source, row, own, bool(empty[row]))
            else:
                why = _absence(faces, row, bool(whose[row] >= 0), bool(anyone[row]))
                outcomes = {self._pooled: Features(None, why), self._steps: Features(None, why)}
            found.append((utterance_id, outcomes))
        return found

    def _features(self, faces: FaceBatch, row: int, own: Numbers, around: bool) -> dict[str, Outcome]:
        steps = faces.embeddings[own]
        mean = steps.mean(axis=0, dtype=np.float64)
        norm = np.linalg.norm(mean)
        pooled = (mean / norm).astype(np.float32) if norm > 0 else steps[0]
        columns = {"time_s": faces.time_s[own], "face": own - faces.offsets[row], "around": int(around)}
        return {self._pooled: Features(pooled), self._steps: Features(steps, columns=columns)}


def choose(faces: FaceBatch, cosine: Numbers, anyone: Numbers, min_similarity: float) -> Chosen:
    """The face of each frame that counts as the speaker's.

    Args:
        faces: the faces of some utterances.
        cosine: ``[faces]``: to the speaker's reference, below -1 without one.
        anyone: bool ``[rows]``: the most confident face will do, as no speaker is named.
        min_similarity: cosine from which a face is the speaker's.
    """
    unasked = (anyone | faces.whole)[faces.row]
    allowed = np.flatnonzero(faces.allowed & (unasked | (cosine >= min_similarity)))
    worth = np.where(unasked, faces.score, cosine)[allowed]
    at = allowed[best_of_each(faces.frame[allowed], worth)]
    counts = np.bincount(faces.row[at], minlength=len(faces.ids))
    at = at[np.lexsort((faces.time_s[at], faces.row[at]))]
    return Chosen(at, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]))


def _absence(faces: FaceBatch, row: int, known: bool, anyone: bool) -> str:
    """Why an utterance shows no speaker, in words."""
    if not faces.allowed[faces.faces_of(row)].any():
        return "no face in any frame"
    if not known and not anyone:
        return "no reference of the speaker"
    return "no face matches the speaker's reference"
