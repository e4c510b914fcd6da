"""Matching: how like the speaker's reference the faces of an utterance are (papers/000 III-D1d; DESIGN 8.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

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
from feature_repo.outcome import Features
from feature_repo.recipe import ColumnType, Recipe

if TYPE_CHECKING:
    from extractors.quality.derivation import Derived
    from feature_repo.store import Store

COLUMNS: dict[str, ColumnType] = {
    "frames": "int",
    "faced": "int",
    "faces": "int",
    "similarity": "float",
    "mean_similarity": "float",
    "similarities": "floats",
    "best_time_s": "float",
    "reference": "int",
}


class MatchDerivation:
    """Compares an utterance's faces with its speaker's reference; gives measures, and judges nothing.

    Args:
        faces: recipe of the faces.
        reference: recipe of the references made of them.
        modality: ``match`` over the sampled frames, ``offsetmatch`` over those around them.
        told: provenance of the faces' view.
    """

    def __init__(
        self,
        faces: Recipe,
        reference: Recipe,
        modality: Literal["match", "offsetmatch"] = "match",
        told: Mapping[str, str] | None = None,
    ) -> None:
        self.name = self.slot = modality
        self._faces, self._reference = faces.view, reference.view
        self._told = dict(told or {})
        self._recipe = Recipe(
            modality=modality,
            extractor=faces.extractor,
            code_version=1,
            reads="rows",
            layout="record",
            width=0,
            inputs=(faces.fingerprint, reference.fingerprint),
            manifest_columns=("picture",),
            columns=COLUMNS,
        )

    def recipes(self) -> Mapping[str, Recipe]:
        """Slot to recipe."""
        return {self.slot: self._recipe}

    def provenance(self) -> dict[str, str]:
        """What was told of the faces."""
        return self._told

    def compute(self, store: Store, missing: Mapping[str, Sequence[str]]) -> Derived:
        """Yield the record of each missing utterance."""
        view = self._recipe.view
        for rows in batches(store, missing.get(view, ())):
            faces = read_faces(store, self._faces, rows)
            references, whose = own_references(store, self._reference, rows["speaker_id"].to_list())
            found = measures(faces, cosines(faces, references, whose), whose >= 0)
            for utterance_id, known, columns in zip(faces.ids, faces.known, found, strict=True):
                there = Features(None, columns=columns)
                yield view, utterance_id, there if known else unread(utterance_id, self._faces)


def measures(faces: FaceBatch, cosine: Numbers, known: Numbers) -> Iterator[dict[str, Any]]:
    """Each utterance's record, in the columns of ``COLUMNS``.

    ``frames`` are the sampled ones, ``faced`` those with a face and ``faces`` all of them, where the picture may show
    the speaker. ``similarity`` is the best face's cosine, ``mean_similarity`` the mean over frames of the frame's best,
    both null without a face or a reference. ``similarities`` has every stored face's cosine, also of those in the
    other half of the picture.

    Args:
        faces: the faces of some utterances.
        cosine: ``[faces]``: to the speaker's reference.
        known: bool ``[rows]``: there is a reference.
    """
    allowed = np.flatnonzero(faces.allowed)
    of_frame = allowed[best_of_each(faces.frame[allowed], cosine[allowed])]  # frames ascend, so rows do
    rows = len(faces.ids)
    per_row = np.bincount(faces.row[allowed], minlength=rows)
    faced = np.bincount(faces.row[of_frame], minlength=rows)
    mean = np.bincount(faces.row[of_frame], weights=cosine[of_frame], minlength=rows) / np.maximum(faced, 1)
    best = np.full(rows, -1)
    best_faces = of_frame[best_of_each(faces.row[of_frame], cosine[of_frame])]
    best[faces.row[best_faces]] = best_faces
    for row in range(rows):
        there = bool(known[row]) and best[row] >= 0
        yield {
            "frames": int(faces.frames[row]),
            "faced": int(faced[row]),
            "faces": int(per_row[row]),
            "similarity": float(cosine[best[row]]) if there else None,
            "mean_similarity": float(mean[row]) if there else None,
            "similarities": cosine[faces.faces_of(row)] if known[row] else (),
            "best_time_s": float(faces.time_s[best[row]]) if there else None,
            "reference": int(known[row]),
        }


def unmatched(store: Store, faces: Recipe, match: Recipe, min_similarity: float) -> list[str]:
    """Utterances for which frames around the sampled ones are worth a look: no sampled frame shows the speaker.

    Left out are those whose speaker has no reference, since nothing could match, and pictures that are one whole face.

    Args:
        store: the store, matches up to date.
        faces: recipe of the faces.
        match: recipe of the matches.
        min_similarity: cosine from which a face is the speaker's.
    """
    from feature_repo.records import live_rows  # reads through Arrow, which stating recipes does not need

    found = live_rows(store, match.view, columns=["reference", "similarity"]).filter(
        (pl.col("reference") == 1)
        & (pl.col("similarity").is_null() | (pl.col("similarity") < min_similarity))
    )
    moving = live_rows(store, faces.view, columns=["whole"]).filter(pl.col("whole").fill_null(0) == 0)
    return found.join(moving, on="utterance_id", how="semi")["utterance_id"].sort().to_list()
