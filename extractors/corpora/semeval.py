"""SemEval-2018 Task 1: tweets with the intensity of an emotion (EI-reg) or with every emotion (E-c) (CORPORA: text)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.delimited import Delimited, parse_delimited, require_columns
from extractors.corpora.reader import no_files, option
from extractors.corpora.registry import register_reader
from extractors.corpora.text_repair import decode_strict
from feature_repo.errors import BadInputError
from feature_repo.label_bridge import bridge_labels

SPLITS = ("train", "dev", "test")
DIMENSIONS = ("anger", "fear", "joy", "sadness")
EMOTIONS = (
    *("anger", "anticipation", "disgust", "fear", "joy", "love"),
    *("optimism", "pessimism", "sadness", "surprise", "trust"),
)
INTENSITY = ("ID", "Tweet", "Affect Dimension", "Intensity Score")
# English files: EI-reg-En-anger-train.txt, 2018-EI-reg-En-anger-dev.txt, 2018-E-c-En-test-gold.txt; older copies write
# EI-reg-en_anger_train.txt.
_FILES = {
    "EI-reg": re.compile(
        r"(?:2018-)?EI-reg-En[-_](anger|fear|joy|sadness)[-_](train|dev|test)(-gold)?\.txt", re.IGNORECASE
    ),
    "E-c": re.compile(r"(?:2018-)?E-c-En[-_]()(train|dev|test)(-gold)?\.txt", re.IGNORECASE),
}
_WITHHELD = "NONE"  # stands for every label in the test files that were given out before the evaluation
# The files write a tweet's line breaks as these two characters.
_BREAK = "\\n"


@dataclass(frozen=True)
class SemEvalOptions:
    """What the SemEval-2018 reader can be told."""

    task: Literal["EI-reg", "E-c"] = option(
        "EI-reg", "EI-reg: one emotion and its intensity; E-c: any of eleven emotions"
    )
    intensity: float = option(0.5, "EI-reg: smallest intensity that counts, from 0 to 1")
    shared: Literal["keep", "drop"] = option(
        "keep", "EI-reg: a tweet that counts for several emotions is one row for each, or counts for none"
    )


@register_reader(
    "semeval",
    layout="EI-reg-En-{anger,fear,joy,sadness}-{train,dev,test-gold}.txt or E-c-En-{train,dev,test-gold}.txt, anywhere",
    licence="NRC terms of use: cite, do not redistribute",
    redistributable=False,
    options=SemEvalOptions,
)
def read_semeval(folder: Path, corpus: str, options: SemEvalOptions) -> pl.DataFrame:
    """One row per line of the task's English files; E-c has 6,838 / 886 / 3,259.

    The files are found anywhere below the folder. Where the test's labels were withheld and the gold file is absent,
    its rows have no emotion. The emotion of an EI-reg row is its dimension where the intensity reaches the threshold,
    that of an E-c row the one of our seven classes that it has. One tweet may be a row of several EI-reg dimensions:
    ids are ``semeval/<split>/<dimension>/<tweet>``, and ``semeval/<split>/<tweet>`` for E-c.

    Raises:
        BadInputError: no file of the task, two files of the same split, or a row that can't be read.
        UnknownNameError: a column is missing.
    """
    found = _files(folder, options.task)
    if not found:
        raise no_files(
            f"SemEval-2018 {options.task}", [folder / _example(options.task, name) for name in SPLITS]
        )
    read = _intensities if options.task == "EI-reg" else _emotions
    frame = pl.concat(
        [read(path, corpus, dimension, split) for (split, dimension), path in sorted(found.items())]
    )
    policies = {"intensity": str(options.intensity)}
    bridged = bridge_labels("semeval", frame["label_raw"].to_list(), policies)
    frame = frame.with_columns(bridged.emotion, bridged.label_note, language=pl.lit("en"))
    if options.task == "EI-reg" and options.shared == "drop":
        frame = _without_shared(frame)
    return frame.drop("tweet")


def _files(folder: Path, task: str) -> dict[tuple[str, str], Path]:
    """(split, dimension) to its file; a test's gold file goes before the one without labels."""
    found: dict[tuple[str, str], tuple[bool, Path]] = {}
    for path in sorted(folder.rglob("*.txt")):
        match = _FILES[task].fullmatch(path.name)
        if match is None:
            continue
        key, gold = (match[2].lower(), match[1].lower()), match[3] is not None
        known = found.get(key)
        if known is not None and known[0] == gold:
            raise BadInputError(f"SemEval-2018 {task}: {known[1]} and {path} are both the {key[0]} file")
        if known is None or gold:
            found[key] = gold, path
    return {key: path for key, (_, path) in found.items()}


def _example(task: str, split: str) -> str:
    middle = "anger-" if task == "EI-reg" else ""
    return f"{task}-En-{middle}{split}{'-gold' if split == 'test' else ''}.txt"


def _table(path: Path, columns: tuple[str, ...]) -> Delimited:
    # Tweets hold lone double quotes: a quote means nothing here.
    table = parse_delimited(path, decode_strict(path), delimiter="\t", quoted=False)
    require_columns(path, table.frame.columns, columns)
    return table


def _frame(table: Delimited, ids: list[str], split: str, labels: list[str | None]) -> pl.DataFrame:
    tweets = [name.strip() for name in table.frame["ID"]]
    return pl.DataFrame(
        {
            "utterance_id": ids,
            "split": [split] * len(ids),
            "text": [" ".join(text.replace(_BREAK, " ").split()) for text in table.frame["Tweet"]],
            "label_raw": labels,
            "tweet": tweets,
        },
        schema=dict.fromkeys(("utterance_id", "split", "text", "label_raw", "tweet"), pl.String),
    )


def _intensities(path: Path, corpus: str, dimension: str, split: str) -> pl.DataFrame:
    table = _table(path, INTENSITY)
    labels: list[str | None] = []
    for row, (named, score) in enumerate(table.frame.select(INTENSITY[2:]).iter_rows()):
        if named.strip().lower() != dimension:
            raise BadInputError(f"{table.where(row)}: Affect Dimension {named!r} in a file of {dimension!r}")
        labels.append(None if score.strip() == _WITHHELD else f"{dimension}={_score(table, row, score)}")
    ids = [f"{corpus}/{split}/{dimension}/{name.strip()}" for name in table.frame["ID"]]
    return _frame(table, ids, split, labels)


def _score(table: Delimited, row: int, text: str) -> str:
    try:
        inside = 0 <= float(text) <= 1
    except ValueError:
        inside = False
    if not inside:
        raise BadInputError(f"{table.where(row)}: Intensity Score {text!r} is not a number from 0 to 1")
    return text.strip()


def _emotions(path: Path, corpus: str, dimension: str, split: str) -> pl.DataFrame:
    table = _table(path, ("ID", "Tweet", *EMOTIONS))
    labels = [_marked(table, row, marks) for row, marks in enumerate(table.frame.iter_rows(named=True))]
    return _frame(table, [f"{corpus}/{split}/{name.strip()}" for name in table.frame["ID"]], split, labels)


def _marked(table: Delimited, row: int, marks: Mapping[str, str]) -> str | None:
    """The emotions that are marked, joined by commas; empty where none is, None where the labels were withheld."""
    given = {marks[name].strip() for name in EMOTIONS}
    if given == {_WITHHELD}:
        return None
    if odd := given - {"0", "1"}:
        raise BadInputError(f"{table.where(row)}: {sorted(odd)[0]!r} where an emotion has 0 or 1")
    return ",".join(name for name in EMOTIONS if marks[name].strip() == "1")


def _without_shared(frame: pl.DataFrame) -> pl.DataFrame:
    counted = pl.col("emotion").drop_nulls().n_unique().over("tweet")
    groups = pl.col("emotion").drop_nulls().unique().sort().implode().list.join(", ").over("tweet")
    several = pl.col("emotion").is_not_null() & (counted > 1)
    note = pl.format("several groups ({}), dropped by policy shared=drop", groups)
    return frame.with_columns(
        emotion=pl.when(~several).then("emotion"),
        label_note=pl.when(several).then(note).otherwise("label_note"),
    )
