"""Planted truth for the store's tests: recipes, an extraction whose numbers are known, and independent readers."""

import hashlib
import itertools
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pyarrow.parquet as pq

from feature_repo.outcome import Fault, Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store

TEXT = Recipe("text", "letters", 1, "text", "pooled", 4)
STEPS = Recipe("text", "letters", 1, "text", "steps", 2, dtype="float16")
MEDIA = Recipe("speech", "bytes", 1, "media", "pooled", 4)
RECORD = Recipe(
    "transcript",
    "letters",
    1,
    "text",
    "record",
    0,
    columns={"words": "text", "n_letters": "int", "ends": "floats"},
)
# utterance id -> (content key, value), value None for a nothing
Live = dict[str, tuple[str, Any]]


class Kill(BaseException):
    """A kill -9 as far as one process can play it: nothing catches it."""


def fast_folder() -> Path:
    """A new folder in memory where there is such a place: thousands of stores are made and synced in these tests."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="affectstore-", dir=memory if memory.is_dir() else None))


def new_store(folder: Path, root: str | None = None) -> Store:
    """An empty store below the folder, or at the root."""
    return init_store(root or str(folder / "store"), cache=str(folder / "cache"))


def numbers(recipe: Recipe, content: str) -> np.ndarray[Any, Any]:
    """The value that :class:`Extraction` gives this content: anybody can compute it again."""
    seed = int.from_bytes(hashlib.sha256(content.encode()).digest()[:4], "big")
    shape: tuple[int, ...] = (recipe.width,)
    if recipe.layout == "steps":
        shape = (len(content), recipe.width)
    drawn = np.random.default_rng(seed).normal(size=shape)
    return drawn.astype(recipe.dtype)


def record(content: str) -> dict[str, Any]:
    """The columns of ``RECORD`` that :class:`Extraction` gives this content."""
    return {"words": content, "n_letters": len(content), "ends": [place / 2 for place in range(len(content))]}


class Extraction:
    """A computing function whose value depends on the content alone, and that remembers what it was asked for.

    A text or file that starts with ``broken`` is a fault, an empty one a nothing.

    Args:
        store: whose manifest names the texts and files.
        recipes: what it can compute.
        before_each: called with the number of items finished before each item.
    """

    def __init__(
        self, store: Store, recipes: Sequence[Recipe], before_each: Callable[[int], None] | None = None
    ) -> None:
        self.store = store
        self.recipes = {recipe.view: recipe for recipe in recipes}
        self.before_each = before_each
        self.asked: list[tuple[str, str]] = []

    def __call__(
        self, missing: Mapping[str, Sequence[str]]
    ) -> Generator[tuple[str, str, Outcome], None, None]:
        manifest = self.store.manifest()
        rows = {row["utterance_id"]: row for row in manifest.iter_rows(named=True)}
        for view, ids in missing.items():
            for utterance_id in ids:
                if self.before_each:
                    self.before_each(len(self.asked))
                self.asked.append((view, utterance_id))
                yield view, utterance_id, self.outcome(self.recipes[view], rows[utterance_id])

    @staticmethod
    def outcome(recipe: Recipe, row: Mapping[str, Any]) -> Outcome:
        """What one utterance gives."""
        if recipe.reads == "text":
            content = row["text"]
        elif not Path(row["media_uri"]).exists():
            return Fault("media", "FileNotFoundError", f"{row['media_uri']} is not there")
        else:
            content = Path(row["media_uri"]).read_text()
        if content.startswith("broken"):
            return Fault("decode", "ValueError", f"{row['utterance_id']} is broken")
        if not content:
            return Features(None, "nothing there")
        return (
            Features(None, columns=record(content))
            if recipe is RECORD
            else Features(numbers(recipe, content))
        )


def rows(texts: Mapping[str, str | None], **columns: Sequence[Any]) -> pl.DataFrame:
    """Manifest rows of these utterances and texts."""
    return pl.DataFrame(
        {"utterance_id": list(texts), "text": list(texts.values()), **columns},
        schema_overrides={"text": pl.String, "media_uri": pl.String}
        if "media_uri" in columns
        else {"text": pl.String},
    )


def texts(corpus: str, count: int, tag: str = "") -> dict[str, str | None]:
    """That many utterances, each with a text of its own."""
    return {f"{corpus}/{number:04d}": f"text {number} {tag}" for number in range(count)}


def live(store: Store, recipe: Recipe) -> Live:
    """The live rows and their values, as :class:`FeatureTable` tells them."""
    table = store.table(recipe.view)
    found: Live = {}
    parts: dict[str, list[dict[str, Any]]] = {}
    for row in table.index().filter(pl.col("content_key") != "").iter_rows(named=True):
        assert row["utterance_id"] not in found, "a live row came twice"
        if row["part"] not in parts:
            parts[row["part"]] = table.read_part(row["part"]).to_pylist()
        stored = parts[row["part"]][row["row"]]
        assert stored["utterance_id"] == row["utterance_id"]
        found[row["utterance_id"]] = (row["content_key"], _value(recipe, stored))
    return found


def _value(recipe: Recipe, stored: Mapping[str, Any]) -> Any:
    if recipe.layout != "record":
        return stored[recipe.slot] or None
    columns = {name: stored[f"{recipe.modality}_{name}"] for name in recipe.columns}
    return None if stored["note"] else columns


def stored_live(store: Store, recipe: Recipe) -> Live:
    """The same from the files alone, without the code under test: per id the row with the greatest created time."""
    files, base = fsspec.core.url_to_fs(store.root)
    newest: dict[str, dict[str, Any]] = {}
    for path in files.glob(f"{base}/features/{recipe.view}/part-*.parquet"):
        with files.open(path, "rb") as source:
            for row in pq.ParquetFile(source).read().to_pylist():
                best = newest.setdefault(row["utterance_id"], row)
                if row["created_timestamp"] > best["created_timestamp"]:
                    newest[row["utterance_id"]] = row
    return {
        utterance_id: (row["content_key"], _value(recipe, row))
        for utterance_id, row in sorted(newest.items())
        if row["content_key"]
    }


def expected_value(recipe: Recipe, content: str) -> Any:
    """A live row's value as :func:`live` gives it."""
    if not content:
        return None
    if recipe.layout == "record":
        return record(content)
    value = numbers(recipe, content)
    return value.tobytes() if recipe.layout == "steps" else value.tolist()


def values(found: Live) -> dict[str, Any]:
    """Live rows without their keys."""
    return {utterance_id: value for utterance_id, (_, value) in found.items()}


_memory_roots = itertools.count()


def memory_root() -> str:
    """A new root in memory."""
    return f"memory://planted-{next(_memory_roots)}"
