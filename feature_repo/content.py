"""Content keys: a hash of what an extractor reads for one utterance (DESIGN section 2)."""

import hashlib
from collections.abc import Callable, Sequence

import polars as pl

from feature_repo.recipe import Recipe

WantedKeys = pl.DataFrame  # utterance_id, content_key: one row per utterance that the recipe applies to
LiveKeys = Callable[
    [str], pl.DataFrame
]  # fingerprint of an input recipe -> its live (utterance_id, content_key)

# 128 bits: two of 10^9 contents collide with a chance below 10^-20.
_KEY_BYTES = 16


def content_key(*parts: str) -> str:
    """32 hexadecimal digits that depend on the parts and on where one ends and the next begins."""
    state = hashlib.blake2b(digest_size=_KEY_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()


def with_content_keys(manifest: pl.DataFrame) -> pl.DataFrame:
    """The rows with ``text_key`` and ``media_key``, null where there is no text or no media.

    Ingest stores them, so that asking what is missing hashes nothing.
    """
    texts = [None if text is None else content_key("text", text) for text in manifest["text"]]
    media = [
        None if uri is None else _media_key(uri, digest, start, end)
        for uri, digest, start, end in manifest.select(
            "media_uri", "media_digest", "start_s", "end_s"
        ).iter_rows()
    ]
    keys = [pl.Series("text_key", texts, pl.String), pl.Series("media_key", media, pl.String)]
    return manifest.with_columns(keys)


def wanted_keys(recipe: Recipe, manifest: pl.DataFrame, live_keys: LiveKeys) -> WantedKeys:
    """The content key that every utterance's live row should have, for the utterances that the recipe applies to.

    An utterance without text is not applicable to a text recipe, one without media not to a media recipe, one in a
    language that the recipe does not know to neither, and one that lacks an input row not to a derived recipe.

    Args:
        recipe: what would be computed.
        manifest: rows with the manifest's columns, content keys included (:func:`with_content_keys`).
        live_keys: gives the live (utterance_id, content_key) of an input recipe by fingerprint.
    """
    rows = manifest
    if recipe.languages:
        rows = rows.filter(pl.col("language").is_null() | pl.col("language").is_in(recipe.languages))
    if recipe.reads == "rows":
        return _derived_keys(rows, recipe.inputs, live_keys)
    column = "text_key" if recipe.reads == "text" else "media_key"
    wanted = rows.select("utterance_id", pl.col(column).alias("content_key"))
    return wanted.filter(pl.col("content_key").is_not_null())


def _media_key(uri: str, digest: str | None, start_s: float | None, end_s: float | None) -> str:
    # A missing file has no digest: its fault is filed under where it was looked for, and a file that appears there
    # later has a digest and so another key.
    source = ("digest", digest) if digest else ("absent", uri)
    return content_key("media", *source, repr(start_s), repr(end_s))


def _derived_keys(rows: pl.DataFrame, inputs: Sequence[str], live_keys: LiveKeys) -> WantedKeys:
    joined = rows.select("utterance_id")
    columns = []
    for index, fingerprint in enumerate(inputs):
        columns.append(f"input_{index}")
        live = live_keys(fingerprint).select("utterance_id", pl.col("content_key").alias(columns[-1]))
        joined = joined.join(live, on="utterance_id", how="inner", maintain_order="left")
    keys = [
        content_key("rows", *(part for pair in zip(inputs, row[1:], strict=True) for part in (row[0], *pair)))
        for row in joined.select("utterance_id", *columns).iter_rows()
    ]
    return joined.select("utterance_id", pl.Series("content_key", keys, pl.String))
