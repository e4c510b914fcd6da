"""Which clips stand for a speaker: a fixed sample of those that nobody objected to (papers/000 III-D)."""

import hashlib

import polars as pl

from feature_repo.recipe import Recipe

CLIPS = 15  # papers/000 III-D: up to 15 clips of a speaker; the setting's default, so left out of a recipe
# What a reviewer says of an utterance that shows, or is, something else than the annotation says.
EXCLUDED = ("offscreen", "misaligned")


def reference_clips(
    recipe: Recipe, manifest: pl.DataFrame, live: pl.DataFrame, reviews: pl.DataFrame | None = None
) -> pl.DataFrame:
    """The clips that each speaker's row is computed from.

    They are the speaker's utterances with a live row in the input, without those that a reviewer marked ``offscreen``
    or ``misaligned``; of these the first ``clips`` (a setting, 15 by default) in the order of a hash of the utterance
    id, which is a sample that stays the same when others come or go.

    Args:
        recipe: a recipe about speakers.
        manifest: rows with the manifest's columns; all of a speaker's.
        live: live (utterance_id, content_key) of the recipe's input.
        reviews: decisions as ``Store.reviews`` reads them.

    Returns:
        The manifest's rows with ``content_key``, that of the clip's live row; by speaker, then in the sample's order.
        Speakers without such a clip have none.
    """
    limit = int(recipe.settings.get("clips", CLIPS))
    found = manifest.filter(pl.col("speaker_id").is_not_null())
    if reviews is not None:
        objected = reviews.filter(pl.col("view").is_null() & pl.col("decision").is_in(EXCLUDED))
        found = found.join(objected, on="utterance_id", how="anti", maintain_order="left")
    found = found.join(
        live.select("utterance_id", "content_key"), on="utterance_id", how="inner", maintain_order="left"
    )
    order = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in found["utterance_id"]]
    found = found.with_columns(pl.Series("order", order, pl.Binary)).sort("speaker_id", "order")
    return found.drop("order").filter(pl.int_range(pl.len()).over("speaker_id") < limit)


def face_decisions(fingerprint: str, reviews: pl.DataFrame) -> pl.DataFrame:
    """The decisions (utterance_id, face, decision) on faces of one view, in a fixed order.

    Args:
        fingerprint: that of the recipe whose faces are meant.
        reviews: decisions as ``Store.reviews`` reads them.
    """
    of_view = pl.col("view").str.ends_with(f"_{fingerprint[:8]}") & pl.col("face").is_not_null()
    return reviews.filter(of_view).select("utterance_id", "face", "decision").sort("utterance_id", "face")
