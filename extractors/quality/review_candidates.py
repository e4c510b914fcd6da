"""What a reviewer is asked: which faces a speaker's reference is made of, and which utterances look wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from feature_repo.records import live_rows, live_values
from feature_repo.reference_clips import reference_clips

if TYPE_CHECKING:
    from feature_repo.store import Store

# One row a face of a sampled clip, then one row an utterance; as review.csv has them.
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "speaker_id": pl.String,
    "number": pl.Int32,
    "utterance_id": pl.String,
    "view": pl.String,
    "face": pl.Int32,
    "time_s": pl.Float32,
    "similarity": pl.Float32,
    "used": pl.String,
    "decision": pl.String,
    "comment": pl.String,
}
_STEPS = ("time_s", "x", "y", "width", "height")


def face_candidates(store: Store, reference: str, speakers: Sequence[str] | None = None) -> pl.DataFrame:
    """Every face of the clips that the speakers' references are sampled from.

    Args:
        store: the store.
        reference: the view of references.
        speakers: only these; None is all.

    Returns:
        The columns of ``COLUMNS``, then the box ``x, y, width, height`` and the manifest's ``media_uri, start_s,
        end_s``. ``number`` counts a speaker's faces from 1, ``similarity`` is the cosine to the reference as it is,
        ``used`` is ``yes`` for a face that it was made of, ``decision`` what a reviewer said before.
    """
    recipe = store.recipe(reference)
    (faces_view,) = store.inputs_of(recipe).values()
    manifest, reviews = store.manifest(), store.reviews.read()
    clips = reference_clips(recipe, manifest, store.table(faces_view).live_keys(), reviews)
    if speakers is not None:
        clips = clips.filter(pl.col("speaker_id").is_in(list(speakers)))
    ids = clips["utterance_id"].to_list()
    rows = live_rows(store, faces_view, ids, list(_STEPS)).filter(pl.col("n") > 0)
    faces = (
        clips.select("speaker_id", "utterance_id", "media_uri", "start_s", "end_s")
        .join(rows.select("utterance_id", *_STEPS), on="utterance_id", maintain_order="left")
        .with_columns(face=pl.int_ranges(pl.col("time_s").list.len(), dtype=pl.Int32))
        .explode("face", *_STEPS)
        .sort("speaker_id", maintain_order=True)
    )
    used = _used(store, reference)
    decided = reviews.filter(view=faces_view).select("utterance_id", "face", "decision", "comment")
    return (
        faces.with_columns(
            view=pl.lit(faces_view), similarity=_similarities(store, reference, faces_view, faces)
        )
        .join(used, on=["speaker_id", "utterance_id", "face"], how="left", maintain_order="left")
        .join(decided, on=["utterance_id", "face"], how="left", maintain_order="left")
        .with_columns(
            number=pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("speaker_id"),
            used=pl.col("used").fill_null("no"),
        )
        .select(*COLUMNS, "x", "y", "width", "height", "media_uri", "start_s", "end_s")
    )


def doubtful_utterances(
    store: Store,
    matches: Sequence[str],
    similarity_at: float,
    speakers: Sequence[str] | None = None,
    most: int = 20,
) -> pl.DataFrame:
    """Utterances in whose frames the speaker was not found, the least like first.

    Args:
        store: the store.
        matches: the views of matches; the best of them counts, as in the verdict.
        similarity_at: cosine from which a face is the speaker's.
        speakers: only these; None is all.
        most: utterances a speaker.

    Returns:
        The columns of ``COLUMNS``; ``number``, ``view``, ``face``, ``time_s`` and ``used`` are null.
    """
    manifest = store.manifest().filter(pl.col("speaker_id").is_not_null())
    if speakers is not None:
        manifest = manifest.filter(pl.col("speaker_id").is_in(list(speakers)))
    ids = manifest["utterance_id"].to_list()
    found = pl.concat(
        live_rows(store, view, ids, ["similarity"]).select("utterance_id", "similarity") for view in matches
    )
    found = found.group_by("utterance_id").agg(pl.col("similarity").max())
    reviews = store.reviews.read().filter(pl.col("view").is_null())
    like = pl.col("similarity")
    rows = (
        manifest.select("speaker_id", "utterance_id")
        .join(found, on="utterance_id", maintain_order="left")
        .join(
            reviews.select("utterance_id", "decision", "comment"),
            on="utterance_id",
            how="left",
            maintain_order="left",
        )
        .filter(like.is_null() | (like < similarity_at) | pl.col("decision").is_not_null())
        .sort("speaker_id", "similarity", "utterance_id", nulls_last=True)
        .filter(pl.int_range(pl.len()).over("speaker_id") < most)
    )
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in COLUMNS.items()
    )


def _used(store: Store, reference: str) -> pl.DataFrame:
    rows = live_rows(store, reference, columns=["used_utterance", "used_face"])
    return (
        rows.select(pl.col("utterance_id").alias("speaker_id"), "used_utterance", "used_face")
        .explode("used_utterance", "used_face")
        .drop_nulls()
        .select(
            "speaker_id",
            pl.col("used_utterance").alias("utterance_id"),
            pl.col("used_face").cast(pl.Int32).alias("face"),
            used=pl.lit("yes"),
        )
    )


def _similarities(store: Store, reference: str, faces_view: str, faces: pl.DataFrame) -> pl.Series:
    """Each face's cosine to its speaker's reference; null where there is none."""
    references: dict[str, Any] = live_values(store, reference, faces["speaker_id"].unique().to_list())
    values: dict[str, Any] = live_values(store, faces_view, faces["utterance_id"].unique().to_list())
    cosines = [
        float(np.dot(values[utterance][face], references[speaker])) if speaker in references else None
        for speaker, utterance, face in faces.select("speaker_id", "utterance_id", "face").iter_rows()
    ]
    return pl.Series("similarity", cosines, pl.Float32)
