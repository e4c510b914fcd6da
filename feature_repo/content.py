"""Content keys: a hash of what an extractor reads for one utterance (DESIGN section 2)."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Literal

import polars as pl

from feature_repo.context import TextReading
from feature_repo.errors import UnknownNameError
from feature_repo.recipe import Recipe
from feature_repo.reference_clips import face_decisions, reference_clips

# utterance_id, content_key: one row per utterance, or speaker, that the recipe applies to
WantedKeys = pl.DataFrame
LiveKeys = Callable[
    [str], pl.DataFrame
]  # fingerprint of an input recipe -> its live (utterance_id, content_key)

# 128 bits: two of 10^9 contents collide with a chance below 10^-20.
_KEY_BYTES = 16
_READ = "manifest:"  # begins names that no column of a manifest or of a row has


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
    media = [
        None if uri is None else _media_key(uri, digest, start, end)
        for uri, digest, start, end in manifest.select(
            "media_uri", "media_digest", "start_s", "end_s"
        ).iter_rows()
    ]
    return manifest.with_columns(_text_keys(manifest["text"]), pl.Series("media_key", media, pl.String))


def _text_keys(texts: pl.Series) -> pl.Series:
    keys = [None if text is None else content_key("text", text) for text in texts]
    return pl.Series("text_key", keys, pl.String)


def subjects(recipe: Recipe, manifest: pl.DataFrame) -> pl.DataFrame:
    """(utterance_id, corpus) of what the recipe's rows may be about, in the manifest's order.

    For a recipe about speakers these are the speakers of the manifest's rows, their ids in ``utterance_id``.
    """
    if recipe.entity == "utterance":
        return manifest.select("utterance_id", "corpus")
    speakers = manifest.select(pl.col("speaker_id").alias("utterance_id"), "corpus").drop_nulls()
    return speakers.unique("utterance_id", keep="first", maintain_order=True)


def empty_live_keys() -> pl.DataFrame:
    """What ``LiveKeys`` gives for an optional input without a table."""
    return pl.DataFrame(schema={"utterance_id": pl.String, "content_key": pl.String})


def wanted_keys(
    recipe: Recipe,
    manifest: pl.DataFrame,
    live_keys: LiveKeys,
    speaker_inputs: Collection[str] = (),
    reviews: pl.DataFrame | None = None,
) -> WantedKeys:
    """The content key that every utterance's live row should have, for the utterances that the recipe applies to.

    An utterance without text is not applicable to a recipe that reads the text, one without media not to a media
    recipe, one in a language that the recipe does not know to neither, one of a corpus that an imported recipe's
    setting ``corpora`` does not name not to that recipe, and one that lacks an input row not to a derived recipe. Two
    kinds of input may lack: a speaker's table, which is joined by the utterance's speaker, and those that the recipe
    names in its setting ``optional_inputs``. A speaker's row, whose id stands in ``utterance_id`` too, is wanted where
    at least one clip is chosen for it (:func:`~feature_repo.reference_clips.reference_clips`).

    Args:
        recipe: what would be computed.
        manifest: rows with the manifest's columns, content keys included (:func:`with_content_keys`); all of a
            speaker's for a recipe about speakers, all of a dialogue's for one that reads the turns before.
        live_keys: gives the live (utterance_id, content_key) of an input recipe by fingerprint.
        speaker_inputs: fingerprints of those inputs that are about speakers.
        reviews: what people decided, as ``Store.reviews`` reads it; only a recipe about speakers asks for it.

    Raises:
        UnknownNameError: the recipe reads a column that the manifest does not have.
        BadInputError: the recipe reads the turns before, and nobody knows the order of a dialogue's.
    """
    for name in recipe.manifest_columns:
        if name not in manifest.columns:
            raise UnknownNameError("manifest column", name, manifest.columns)
    rows = manifest
    reading = TextReading.of(recipe)
    if recipe.reads == "text" and not reading.plain:
        # Before a language is looked at: what was said before is read whatever its language.
        rows = rows.with_columns(text_key=_text_keys(reading.texts(rows)))
    if recipe.languages:
        rows = rows.filter(pl.col("language").is_null() | pl.col("language").is_in(recipe.languages))
    if "text" in recipe.manifest_columns:
        rows = rows.filter(pl.col("text").is_not_null())
    if recipe.reads == "rows":
        if not reading.plain:
            heard = _heard_keys(recipe, manifest, live_keys(recipe.inputs[0]), reading)
            return rows.select("utterance_id").join(heard, on="utterance_id", maintain_order="left")
        return _derived_keys(recipe, rows, live_keys, speaker_inputs)
    if recipe.reads == "speaker":
        return _speaker_keys(recipe, rows, live_keys(recipe.inputs[0]), reviews)
    if recipe.reads == "id":
        rows = rows.filter(pl.col("corpus").is_in(list(recipe.settings["corpora"]))).select("utterance_id")
        keys = [content_key("id", utterance_id) for utterance_id in rows["utterance_id"]]
        return rows.with_columns(content_key=pl.Series(keys, dtype=pl.String))
    column = "text_key" if recipe.reads == "text" else "media_key"
    wanted = rows.filter(pl.col(column).is_not_null())
    if not recipe.manifest_columns:
        return wanted.select("utterance_id", pl.col(column).alias("content_key"))
    keys = [
        content_key("with", row[0], *map(repr, row[1:]))
        for row in wanted.select(column, *recipe.manifest_columns).iter_rows()
    ]
    return wanted.select("utterance_id", pl.Series("content_key", keys, pl.String))


def _media_key(uri: str, digest: str | None, start_s: float | None, end_s: float | None) -> str:
    # A missing file has no digest: its fault is filed under where it was looked for, and a file that appears there
    # later has a digest and so another key.
    source = ("digest", digest) if digest else ("absent", uri)
    return content_key("media", *source, repr(start_s), repr(end_s))


def _derived_keys(
    recipe: Recipe, rows: pl.DataFrame, live_keys: LiveKeys, speaker_inputs: Collection[str]
) -> WantedKeys:
    optional = {*speaker_inputs, *recipe.settings.get("optional_inputs", ())}
    read = rows.select("utterance_id", "speaker_id", *_read(recipe))
    columns: list[str] = []
    for index, fingerprint in enumerate(recipe.inputs):
        subject, key = f"subject_{index}", f"key_{index}"
        columns += [subject, key]
        whose = "speaker_id" if fingerprint in speaker_inputs else "utterance_id"
        live = live_keys(fingerprint).select(
            pl.col("utterance_id").alias(subject), pl.col("content_key").alias(key)
        )
        how: Literal["left", "inner"] = "left" if fingerprint in optional else "inner"
        read = read.with_columns(pl.col(whose).alias(subject))
        read = read.join(live, on=subject, how=how, maintain_order="left")
    values = [name for name in read.columns if name.startswith(_READ)]
    count = len(columns)
    keys = [
        content_key("rows", *_input_parts(recipe.inputs, row[:count]), *map(repr, row[count:]))
        for row in read.select(*columns, *values).iter_rows()
    ]
    return read.select("utterance_id", pl.Series("content_key", keys, pl.String))


def _heard_keys(
    recipe: Recipe, manifest: pl.DataFrame, live: pl.DataFrame, reading: TextReading
) -> WantedKeys:
    """The keys of dialogues' transcripts: each stands for its words where :class:`TextReading` puts them together."""
    (transcript,) = recipe.inputs
    words = live.select("utterance_id", text="content_key")
    heard = manifest.drop("text").join(words, on="utterance_id", how="left", maintain_order="left")
    read = reading.texts(heard)
    keys = [None if text is None else content_key("heard", transcript, text) for text in read]
    return heard.select("utterance_id", content_key=pl.Series(keys, dtype=pl.String)).drop_nulls()


def _input_parts(inputs: Sequence[str], row: Sequence[str | None]) -> list[str]:
    parts: list[str] = []
    for fingerprint, subject, key in zip(inputs, row[::2], row[1::2], strict=True):
        # Where there is no row it does not matter whose it would be.
        parts += (
            ("absent", fingerprint, "") if subject is None or key is None else (subject, fingerprint, key)
        )
    return parts


def _speaker_keys(
    recipe: Recipe, rows: pl.DataFrame, live: pl.DataFrame, reviews: pl.DataFrame | None
) -> WantedKeys:
    clips = reference_clips(recipe, rows, live, reviews).select(
        "speaker_id", "utterance_id", "content_key", *_read(recipe)
    )
    decided: dict[str, list[str]] = {}
    if reviews is not None:
        for utterance_id, *decision in face_decisions(recipe.inputs[0], reviews).iter_rows():
            decided.setdefault(utterance_id, []).extend(map(str, decision))
    read: dict[str, list[str]] = {}
    for speaker, utterance_id, key, *values in clips.iter_rows():
        decisions = decided.get(utterance_id, [])
        read.setdefault(speaker, []).extend(
            ("clip", utterance_id, key, *map(repr, values), str(len(decisions)), *decisions)
        )
    keys = [content_key("speaker", recipe.inputs[0], *parts) for parts in read.values()]
    return pl.DataFrame(
        {"utterance_id": list(read), "content_key": keys},
        {"utterance_id": pl.String, "content_key": pl.String},
    )


def _read(recipe: Recipe) -> list[pl.Expr]:
    """The manifest's columns that a derived row reads, under names of their own."""
    return [pl.col(name).alias(f"{_READ}{name}") for name in recipe.manifest_columns]
