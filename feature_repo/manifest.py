"""The manifest: one row per utterance, with ids, text, labels, split, media and span (DESIGN section 5)."""

import re

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError

# Column -> type, in the file's order; everything but the first four may be null. Ingest fills the media's digest, size
# and time, and the content keys of text and media.
MANIFEST_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "utterance_id": pl.String,
    "corpus": pl.String,
    "split": pl.String,
    "dialogue_id": pl.String,
    "turn": pl.Int32,
    "speaker_id": pl.String,
    "speaker_raw": pl.String,
    "text": pl.String,
    "language": pl.String,
    "label_raw": pl.String,
    "emotion": pl.String,
    "label_note": pl.String,
    "valence": pl.Float32,
    "arousal": pl.Float32,
    "dominance": pl.Float32,
    "sentiment": pl.String,
    "media_uri": pl.String,
    "media_digest": pl.String,
    "media_size": pl.Int64,
    "media_mtime_ns": pl.Int64,
    "start_s": pl.Float64,
    "end_s": pl.Float64,
    "rater_counts": pl.String,
    "text_key": pl.String,
    "media_key": pl.String,
    "picture": pl.String,
}
# It names a file, and begins every utterance id up to the first slash, which keeps ids unique over all corpora.
_CORPUS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
SPLITS = ("train", "dev", "test", "all")
_LATER = {"picture"}  # columns that manifests were written without
PICTURES = ("left", "right")  # the part of a split-screen picture that shows the speaker; null is the whole


def read_rows(stored: pl.DataFrame) -> pl.DataFrame:
    """A manifest file's rows in the manifest's columns; one that came after it was written is null.

    Raises:
        polars.exceptions.ColumnNotFoundError: another column is not there.
    """
    later = {name: pl.lit(None, MANIFEST_SCHEMA[name]).alias(name) for name in _LATER - set(stored.columns)}
    return stored.select(later.get(name, pl.col(name)) for name in MANIFEST_SCHEMA)


def conform(rows: pl.DataFrame, corpus: str) -> pl.DataFrame:
    """The rows with exactly the manifest's columns, types and order, sorted by utterance id.

    Absent columns become null. ``rater_counts`` is JSON text, rater label to count.

    Raises:
        UnknownNameError: a column that the manifest does not have.
        BadInputError: a corpus name that no file can have, null or duplicate ids, ids outside ``<corpus>/``, an
            unknown split or picture, a backward span, or values of a wrong type.
    """
    if not _CORPUS.fullmatch(corpus):
        raise BadInputError(
            f"corpus name {corpus!r}: letters, digits, '_', '-' and '.', a letter or digit first"
        )
    for name in rows.columns:
        if name not in MANIFEST_SCHEMA:
            raise UnknownNameError("manifest column", name, MANIFEST_SCHEMA)
    if "utterance_id" not in rows.columns:
        raise BadInputError(f"corpus {corpus!r}: there is no column 'utterance_id'")
    try:
        frame = rows.select(
            [
                (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
                for name, dtype in MANIFEST_SCHEMA.items()
            ]
        )
    except pl.exceptions.PolarsError as error:
        raise BadInputError(f"corpus {corpus!r}: a column has values of the wrong type: {error}") from error
    frame = frame.with_columns(pl.col("corpus").fill_null(corpus), pl.col("split").fill_null("all"))
    frame = frame.with_columns(pl.col("dialogue_id").fill_null(pl.col("utterance_id")))
    _check(frame, corpus)
    return frame.sort("utterance_id")


def _check(frame: pl.DataFrame, corpus: str) -> None:
    def refuse(bad: pl.DataFrame, reason: str) -> None:
        if bad.height:
            shown = ", ".join(repr(value) for value in bad["utterance_id"].head(3).to_list())
            more = f" and {bad.height - 3} more" if bad.height > 3 else ""
            raise BadInputError(f"corpus {corpus!r}: {reason}: {shown}{more}")

    column = pl.col("utterance_id")
    refuse(frame.filter(column.is_null() | (column == "")), "rows without an utterance id")
    refuse(
        frame.filter(column.is_duplicated()).unique("utterance_id", maintain_order=True),
        "duplicate utterance ids",
    )
    refuse(frame.filter(~column.str.starts_with(f"{corpus}/")), f"utterance ids must start with '{corpus}/'")
    refuse(frame.filter(pl.col("corpus") != corpus), "rows of another corpus")
    refuse(frame.filter(~pl.col("split").is_in(SPLITS)), f"unknown split; allowed: {', '.join(SPLITS)}")
    refuse(
        frame.filter(~pl.col("picture").is_in(PICTURES)), f"unknown picture; allowed: {', '.join(PICTURES)}"
    )
    refuse(frame.filter(pl.col("end_s") <= pl.col("start_s")), "spans that end before they start")
    refuse(frame.filter(pl.col("start_s") < 0), "spans that start before zero")
