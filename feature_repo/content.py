"""Content keys: a hash of what an extractor reads for one utterance (DESIGN section 2)."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

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


def wanted_keys(recipe: Recipe, manifest: pl.DataFrame, live_keys: LiveKeys) -> WantedKeys:
    """The content key that every utterance's live row should have, for the utterances that the recipe applies to.

    An utterance without text is not applicable to a text recipe, one without media not to a media recipe, one in a
    language that the recipe does not know to neither, and one that lacks an input row not to a derived recipe.

    Args:
        recipe: what would be computed.
        manifest: rows with the manifest's columns.
        live_keys: gives the live (utterance_id, content_key) of an input recipe by fingerprint.
    """
    rows = manifest
    if recipe.languages:
        rows = rows.filter(pl.col("language").is_null() | pl.col("language").is_in(recipe.languages))
    if recipe.reads == "text":
        return _text_keys(rows)
    if recipe.reads == "media":
        return _media_keys(rows)
    return _derived_keys(rows, recipe.inputs, live_keys)


def _frame(ids: Sequence[str], keys: Sequence[str]) -> WantedKeys:
    return pl.DataFrame(
        {"utterance_id": ids, "content_key": keys},
        schema=dict.fromkeys(("utterance_id", "content_key"), pl.String),
    )


def _text_keys(rows: pl.DataFrame) -> WantedKeys:
    rows = rows.filter(pl.col("text").is_not_null())
    return _frame(rows["utterance_id"].to_list(), [content_key("text", text) for text in rows["text"]])


def _media_keys(rows: pl.DataFrame) -> WantedKeys:
    rows = rows.filter(pl.col("media_uri").is_not_null())
    keys = []
    for uri, digest, start, end in rows.select("media_uri", "media_digest", "start_s", "end_s").iter_rows():
        # A missing file has no digest: its fault is filed under where it was looked for, and a file that appears
        # there later has a digest and so another key.
        source = ("digest", digest) if digest else ("absent", uri)
        keys.append(content_key("media", *source, repr(start), repr(end)))
    return _frame(rows["utterance_id"].to_list(), keys)


def _derived_keys(rows: pl.DataFrame, inputs: Sequence[str], live_keys: LiveKeys) -> WantedKeys:
    joined = rows.select("utterance_id")
    columns = []
    for index, fingerprint in enumerate(inputs):
        columns.append(f"input_{index}")
        live = live_keys(fingerprint).select("utterance_id", pl.col("content_key").alias(columns[-1]))
        joined = joined.join(live, on="utterance_id", how="inner", maintain_order="left")
    keys = [
        content_key(
            "rows",
            *(
                part
                for fingerprint, key in zip(inputs, row[1:], strict=True)
                for part in (fingerprint, row[0], key)
            ),
        )
        for row in joined.select("utterance_id", *columns).iter_rows()
    ]
    return _frame(joined["utterance_id"].to_list(), keys)


def media_facts(row: Mapping[str, object]) -> dict[str, str | int | float | None]:
    """What the manifest knows of a row's media, for a fault's facts."""
    return {name: row[name] for name in ("media_uri", "media_size", "start_s", "end_s")}  # type: ignore[misc]
