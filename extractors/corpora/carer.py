"""CARER: tweets with six emotions, published as Hugging Face's ``emotion`` (CORPORA: text corpora)."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from extractors.corpora.delimited import parse_delimited, require_columns
from extractors.corpora.reader import no_files
from extractors.corpora.registry import register_reader
from extractors.corpora.text_repair import decode_strict
from feature_repo.errors import BadInputError
from feature_repo.label_bridge import bridge_labels
from feature_repo.label_rules import RULES

# The published files' names of the manifest's splits.
SPLITS = {"train": ("train", "training"), "dev": ("validation", "val", "dev"), "test": ("test",)}
_FOLDERS = (".", "data", "split", "emotion")
_CODES = RULES["carer"].codes


@dataclass(frozen=True)
class CarerOptions:
    """The CARER reader has no options: love counts as joy, as in papers/003."""


@register_reader(
    "carer",
    layout="{train,validation,test} as .txt (text;label), .csv, .jsonl or .parquet (text, label)",
    licence="educational and research purposes only",
    options=CarerOptions,
)
def read_carer(folder: Path, corpus: str, options: CarerOptions) -> pl.DataFrame:
    """One row per tweet: 16,000 / 2,000 / 2,000 in the published files.

    A label is a name or the published code; ids are places in the file, since tweets have none. A few tweets stand in
    several splits, or twice with different labels: they are the corpus's own and stay.

    Raises:
        BadInputError: a split's file is missing, or a row is broken (named by file and row).
        UnknownNameError: a column is missing, or a label that the corpus does not have.
    """
    return pl.concat([_rows(_file(folder, split), corpus, split) for split in SPLITS])


def _file(folder: Path, split: str) -> Path:
    names = [f"{name}{ending}" for name in SPLITS[split] for ending in _READ]
    places = [folder / base / name for base in _FOLDERS for name in names]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        # Hugging Face numbers the parts of a split: train-00000-of-00001.parquet.
        numbered = sorted(
            path
            for base in _FOLDERS
            for name in SPLITS[split]
            for path in (folder / base).glob(f"{name}-[0-9]*-of-[0-9]*.parquet")
        )
        if len(numbered) > 1:
            raise BadInputError(
                f"CARER split {split!r}: {len(numbered)} parts, {numbered[0]} first; the corpus has one"
            )
        found = numbered[0] if numbered else None
    if found is None:
        raise no_files(f"CARER split {split!r}", [folder / name for name in names])
    return found


def _rows(path: Path, corpus: str, split: str) -> pl.DataFrame:
    texts, labels = _READ[path.suffix](path)
    names = [_CODES.get(label.strip(), label.strip().lower()) for label in labels]
    bridged = bridge_labels("carer", names)
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/{split}/{row}" for row in range(len(texts))],
            "split": [split] * len(texts),
            "text": [text.strip() for text in texts],
            "language": ["en"] * len(texts),
            "label_raw": names,
            "emotion": bridged.emotion,
            "label_note": bridged.label_note,
        },
        schema_overrides=dict.fromkeys(("utterance_id", "split", "text", "language", "label_raw"), pl.String),
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    # Not splitlines: a tweet may hold one of Unicode's other line ends.
    for number, line in enumerate(decode_strict(path).split("\n"), 1):
        yield number, line.rstrip("\r")


def _semicolons(path: Path) -> tuple[list[str], list[str]]:
    """``text;label`` lines; a tweet may hold a semicolon, a label none."""
    texts, labels = [], []
    for number, line in _lines(path):
        if line.strip():
            text, semicolon, label = line.rpartition(";")
            if not semicolon or not label.strip():
                raise BadInputError(f"{path}: line {number}: expected TEXT;LABEL, found {line!r}")
            texts.append(text)
            labels.append(label)
    return texts, labels


def _csv(path: Path) -> tuple[list[str], list[str]]:
    table = parse_delimited(path, decode_strict(path))
    require_columns(path, table.frame.columns, ("text", "label"))
    return table.frame["text"].to_list(), table.frame["label"].to_list()


def _jsonl(path: Path) -> tuple[list[str], list[str]]:
    rows: list[Any] = []
    for number, line in _lines(path):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise BadInputError(f"{path}: line {number}: {error}") from error
            if not isinstance(row, dict) or not isinstance(row.get("text"), str) or "label" not in row:
                raise BadInputError(f"{path}: line {number}: expected an object with 'text' and 'label'")
            rows.append(row)
    return [row["text"] for row in rows], [str(row["label"]) for row in rows]


def _parquet(path: Path) -> tuple[Sequence[str], Sequence[str]]:
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInputError(f"{path}: not a readable Parquet file: {error}") from error
    require_columns(path, frame.columns, ("text", "label"))
    frame = frame.select(pl.col("text", "label").cast(pl.String))
    empty = frame.with_row_index().filter(pl.any_horizontal(pl.all().is_null()))
    if empty.height:
        raise BadInputError(f"{path}: row {empty['index'][0]} has no text or no label")
    return frame["text"].to_list(), frame["label"].to_list()


_READ: dict[str, Callable[[Path], tuple[Sequence[str], Sequence[str]]]] = {
    ".txt": _semicolons,
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
