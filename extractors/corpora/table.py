"""A corpus of the user's own: one table, its columns named after the manifest's or mapped to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from extractors.corpora.delimited import require_columns
from extractors.corpora.reader import option
from extractors.corpora.registry import register_reader
from extractors.corpora.table_file import TableFile, read_table_file
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.labels import EMOTIONS
from feature_repo.manifest import MANIFEST_SCHEMA, SPLITS

# What the store or the reader fills itself.
_NOT_MAPPED = ("corpus", "label_note", "media_digest", "media_size", "media_mtime_ns")
TARGETS = tuple(name for name in MANIFEST_SCHEMA if name not in _NOT_MAPPED)
_LABELS = {"emotion", "label_raw", "sentiment", "rater_counts"}
_PREFIXED = ("utterance_id", "dialogue_id", "speaker_id")
_SPLIT_NAMES = {
    **{"training": "train", "val": "dev", "valid": "dev", "validation": "dev", "development": "dev"},
    **{"testing": "test", "eval": "test", "evaluation": "test"},
}
_NUMBERS: dict[pl.DataType | type[pl.DataType], Callable[[Any], int | float]] = {
    pl.Int32: lambda value: _whole(value),
    pl.Float32: float,
    pl.Float64: float,
}
DROP = "drop"


@dataclass(frozen=True)
class TableOptions:
    """What the reader of a user's own table can be told."""

    map: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"help": "manifest column = column of the table; columns of the same name need no mapping"},
    )
    label: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"help": f"label in the table = emotion, or {DROP}; the emotions' own names need none"},
    )
    media: str = option("", "folder that relative media paths start from; by default the table's own")
    language: str = option("", "ISO 639-1 code of the texts, where no column says it")
    encoding: str = option("utf-8", "encoding of CSV, TSV and JSON Lines")
    unlabelled: bool = option(False, "leave labels unread, for a table that is to be predicted")


@register_reader(
    "table",
    layout="one .csv, .tsv, .jsonl or .parquet file with one row per utterance; name its columns with --map",
    licence="your own data",
    options=TableOptions,
    renamed=True,
)
def read_table(folder: Path, corpus: str, options: TableOptions) -> pl.DataFrame:
    """One row per row of the table.

    Ids (utterance, dialogue, speaker) get the corpus's name in front where they lack it. An empty text is an empty
    transcript; any other empty cell of a CSV is nothing. Labels that are not one of the seven emotions must be
    mapped, so that none is lost by a spelling.

    Raises:
        UnknownNameError: a manifest column or a column of the table that does not exist, or a label without an emotion.
        BadInputError: no ids, duplicate ids, a broken number, or a file that can't be read; the message names the line.
    """
    table = read_table_file(folder, options.encoding)
    mapping = _mapping(table, options.map)
    if "utterance_id" not in mapping:
        raise BadInputError(
            f"{table.path}: no column 'utterance_id'; name the one with the ids: --map utterance_id=COLUMN"
            f" (columns: {', '.join(table.frame.columns)})"
        )
    columns = {target: _column(table, target, source) for target, source in mapping.items()}
    for target in _PREFIXED:
        if target in columns:
            columns[target] = [_prefixed(value, corpus) for value in columns[target]]
    _check_ids(table, columns["utterance_id"])
    if "speaker_raw" in columns:
        columns.setdefault("speaker_id", [_prefixed(value, corpus) for value in columns["speaker_raw"]])
    elif "speaker_id" in columns:
        columns["speaker_raw"] = _column(table, "speaker_raw", mapping["speaker_id"])
    if "split" in columns:
        columns["split"] = [_split(table, row, value) for row, value in enumerate(columns["split"])]
    if "media_uri" in columns:
        base = Path(options.media).expanduser().absolute() if options.media else table.path.parent
        columns["media_uri"] = [_media(value, base) for value in columns["media_uri"]]
    if options.language:
        columns.setdefault("language", [options.language] * table.frame.height)
    if options.unlabelled:
        for name in _LABELS & set(columns):
            del columns[name]
    else:
        columns.update(_labels(columns, options.label))
    return pl.DataFrame(
        {
            name: pl.Series(values, dtype=MANIFEST_SCHEMA[name], strict=False)
            for name, values in columns.items()
        }
    )


def _mapping(table: TableFile, asked: Mapping[str, str]) -> dict[str, str]:
    for target in asked:
        if target not in TARGETS:
            raise UnknownNameError("manifest column to map to", target, TARGETS)
    require_columns(table.path, table.frame.columns, list(asked.values()))
    return {name: name for name in TARGETS if name in table.frame.columns} | dict(asked)


def _column(table: TableFile, target: str, source: str) -> list[Any]:
    """The source column's values as the target's type: text stripped (but for ``text``), numbers parsed."""
    series = table.frame[source]
    blank_is_null = table.blank_is_null and target != "text"
    number = _NUMBERS.get(MANIFEST_SCHEMA[target])
    values: list[Any] = []
    for row, value in enumerate(series):
        if value is None or (isinstance(value, str) and not value.strip() and (blank_is_null or number)):
            values.append(None)
        elif isinstance(value, list | dict | pl.Series):
            raise BadInputError(f"{table.where(row)}: {source} holds several values; {target} wants one")
        elif number is None:
            values.append(str(value) if target == "text" else str(value).strip())
        else:
            try:
                values.append(number(value))
            except (TypeError, ValueError) as error:
                raise BadInputError(
                    f"{table.where(row)}: {source} {value!r} is not a number ({target})"
                ) from error
    return values


def _whole(value: Any) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def _prefixed(value: str | None, corpus: str) -> str | None:
    return value if value is None or value.startswith(f"{corpus}/") else f"{corpus}/{value}"


def _check_ids(table: TableFile, ids: Sequence[str | None]) -> None:
    first: dict[str, int] = {}
    for row, utterance in enumerate(ids):
        if not utterance:
            raise BadInputError(f"{table.where(row)}: no utterance id")
        if utterance in first:
            raise BadInputError(
                f"{table.where(row)}: utterance id {utterance!r} stands already at {table.where(first[utterance])}"
            )
        first[utterance] = row


def _split(table: TableFile, row: int, value: str | None) -> str | None:
    if value is None:
        return None
    name = _SPLIT_NAMES.get(value.lower(), value.lower())
    if name not in SPLITS:
        raise UnknownNameError(f"split at {table.where(row)}", value, [*SPLITS, *_SPLIT_NAMES])
    return name


def _media(value: str | None, base: Path) -> str | None:
    if not value:
        return None
    return value if "://" in value else str(base / Path(value).expanduser())


def _labels(columns: Mapping[str, list[Any]], mapped: Mapping[str, str]) -> dict[str, list[str | None]]:
    """The columns label_raw, emotion and label_note, from whichever of label_raw and emotion the table has."""
    for raw, emotion in mapped.items():
        if emotion not in (*EMOTIONS, DROP):
            raise UnknownNameError(f"emotion for label {raw!r}", emotion, [*EMOTIONS, DROP])
    source = columns.get("emotion", columns.get("label_raw"))
    if source is None:
        if mapped:
            raise BadInputError("labels are mapped but the table has none: --map label_raw=COLUMN")
        return {}
    by_label = {label: _emotion(label, mapped) for label in dict.fromkeys(source)}
    return {
        "label_raw": columns.get("label_raw", source),
        "emotion": [by_label[label][0] for label in source],
        "label_note": [by_label[label][1] for label in source],
    }


def _emotion(label: str | None, mapped: Mapping[str, str]) -> tuple[str | None, str | None]:
    if not label:
        return None, "unlabelled"
    emotion = mapped.get(label)
    if emotion == DROP:
        return None, f"{label}: dropped by --label"
    if emotion is not None:
        return emotion, None if emotion == label else f"{label} to {emotion} by --label"
    if label.lower() in EMOTIONS:
        return label.lower(), None
    raise UnknownNameError(
        "label (map it: --label LABEL=emotion, or LABEL=drop)", label, [*EMOTIONS, *mapped]
    )
