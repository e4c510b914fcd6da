"""Planted records, sequences with columns, and speakers' tables, computed by a function whose numbers are known."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.reference_clips import reference_clips
from feature_repo.store import Store

EVERY_TYPE = {"seconds": "float", "count": "int", "words": "text", "ends": "floats", "parts": "texts"}
RECORD = Recipe("transcript", "letters", 1, "text", "record", 0, columns=EVERY_TYPE)
FACES = Recipe(
    "faces",
    "letters",
    1,
    "text",
    "steps",
    2,
    columns={"x": "step", "frame_times": "floats", "frame_width": "int"},
)
REFERENCE = Recipe(
    "reference",
    "mean",
    1,
    "speaker",
    "pooled",
    2,
    settings={"clips": 3},
    inputs=(FACES.fingerprint,),
    columns={"clips": "int", "used_utterance": "texts"},
    entity="speaker",
)
MATCH = Recipe(
    "match",
    "cosine",
    1,
    "rows",
    "record",
    0,
    inputs=(FACES.fingerprint, REFERENCE.fingerprint),
    columns={"faces": "int", "similarity": "float"},
)


def record_of(text: str) -> Features:
    """The record of a text; a nothing for an empty one, an unknown length for one that begins with a question mark."""
    words = text.split()
    columns: dict[str, Any] = {
        "seconds": None if text.startswith("?") else len(text) / 8,
        "count": len(words),
        "words": text,
        "ends": [len(word) / 4 for word in words],
        "parts": words,
    }
    return Features(None, columns=columns) if text else Features(None, "empty", {"count": 0, "ends": [0.5]})


def faces_of(text: str) -> Features:
    """One face ``[letter, 1]`` for each letter; a nothing, which knows its frames, for an empty text."""
    seen = {"frame_times": [0.5, 1.5], "frame_width": 640}
    if not text:
        return Features(None, "no face", seen)
    value = np.array([[ord(letter), 1] for letter in text], np.float32)
    return Features(value, columns={"x": [float(ord(letter)) for letter in text], **seen})


class Derivation:
    """Computes RECORD and FACES from the manifest's texts, and REFERENCE and MATCH from what is stored.

    A speaker's reference is the mean of the chosen clips' first faces, a match their distance.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[tuple[str, str]] = []

    def __call__(
        self, missing: Mapping[str, Sequence[str]]
    ) -> Generator[tuple[str, str, Outcome], None, None]:
        for view, ids in missing.items():
            for name in ids:
                self.asked.append((view, name))
                yield view, name, self.outcome(view, name)

    def outcome(self, view: str, name: str) -> Outcome:
        rows = {row["utterance_id"]: row for row in self.store.manifest().iter_rows(named=True)}
        if view == RECORD.view:
            return record_of(rows[name]["text"])
        if view == FACES.view:
            return faces_of(rows[name]["text"])
        first = {
            key: value[0] for key, value in stored(self.store, FACES, FACES.slot).items() if value is not None
        }
        if view == REFERENCE.view:
            keys = self.store.table(FACES.view).live_keys()
            chosen = reference_clips(REFERENCE, self.store.manifest(), keys, self.store.reviews.read())
            clips = chosen.filter(pl.col("speaker_id") == name)["utterance_id"]
            mine = sorted(key for key in clips if key in first)
            if not mine:
                return Features(None, "no face of theirs", {"clips": 0})
            mean = np.mean([first[key] for key in mine], axis=0, dtype=np.float32)
            return Features(mean, columns={"clips": len(mine), "used_utterance": mine})
        reference = stored(self.store, REFERENCE, REFERENCE.slot).get(rows[name]["speaker_id"])
        known = reference is not None and name in first
        similarity = float(abs(first[name][0] - reference[0])) if known else None
        return Features(None, columns={"faces": int(name in first), "similarity": similarity})


def stored(store: Store, recipe: Recipe, column: str) -> dict[str, Any]:
    """A column of the live rows, read from the files alone; steps as ``[n, width]``, a nothing as None."""
    newest: dict[str, dict[str, Any]] = {}
    for name in store.files.list_files(f"features/{recipe.view}"):
        if not name.startswith("part-"):
            continue
        with store.files.open(f"features/{recipe.view}/{name}") as source:
            rows = pl.read_parquet(source.read()).to_dicts()
        for row in rows:
            best = newest.setdefault(row[f"{recipe.entity}_id"], row)
            if row["created_timestamp"] > best["created_timestamp"]:
                newest[row[f"{recipe.entity}_id"]] = row
    found = {key: row[column] for key, row in newest.items() if row["content_key"]}
    if recipe.layout == "steps" and column == recipe.slot:
        return {
            key: np.frombuffer(value, np.float32).reshape(-1, recipe.width) if value else None
            for key, value in found.items()
        }
    return found


def derive(store: Store) -> list[tuple[str, str]]:
    """Bring all four views up to date, inputs first; what was computed."""
    derivation = Derivation(store)
    for recipe in (RECORD, FACES, REFERENCE, MATCH):
        report = fill(store, [recipe], derivation)
        assert not report.faults_by_reason, report.faults_by_reason
    return derivation.asked


def people(texts: Mapping[str, str], speakers: Mapping[str, str | None]) -> pl.DataFrame:
    """Manifest rows of these texts, each said by its speaker."""
    return pl.DataFrame(
        {
            "utterance_id": list(texts),
            "text": list(texts.values()),
            "speaker_id": [speakers[name] for name in texts],
        },
        schema_overrides={"speaker_id": pl.String},
    )
