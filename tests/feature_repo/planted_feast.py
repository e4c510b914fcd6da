"""A small store whose every stored number is known beforehand, for the tests of Feast's part."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from feature_repo.fill import FillReport, fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store

WIDTH = 3
TEXT = Recipe("text", "planted", 1, "text", "pooled", WIDTH, settings={"variant": "a"})
OTHER_TEXT = Recipe("text", "planted", 1, "text", "pooled", WIDTH, settings={"variant": "b"})
SPEAKER = Recipe("speaker", "planted", 1, "text", "pooled", WIDTH)
STEPS = Recipe("text", "planted", 1, "text", "steps", WIDTH, dtype="float16")
EVERY = (TEXT, SPEAKER, STEPS)
NOTHING = "(says nothing)"  # an utterance of this text has nothing to embed


def planted(recipe: Recipe, text: str) -> np.ndarray:
    """The features of a text: numbers of its hash; two steps for a sequence."""
    digest = hashlib.sha256(f"{recipe.fingerprint} {text}".encode()).digest()
    numbers = np.frombuffer(digest[:24], "<u4").astype(np.float32) / 2**31
    return numbers[:WIDTH] if recipe.layout == "pooled" else numbers.reshape(2, WIDTH).astype(np.float16)


def make_store(folder: Path, texts: Mapping[str, str], recipes: Sequence[Recipe] = EVERY) -> Store:
    """A store with one corpus ``c`` of these texts by utterance id, filled, its views in the profile ``paper``."""
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    write(store, texts, recipes)
    store.catalog.set("paper", {recipe.slot: recipe.view for recipe in recipes})
    return store


def write(store: Store, texts: Mapping[str, str], recipes: Sequence[Recipe] = EVERY) -> FillReport:
    """Make these the corpus's texts and bring the views up to date."""
    store.write_manifest("c", pl.DataFrame({"utterance_id": list(texts), "text": list(texts.values())}))
    known = {recipe.view: recipe for recipe in recipes}

    def compute(missing: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, Outcome]]:
        for view, ids in missing.items():
            for name in ids:
                text = texts[name]
                value = None if text == NOTHING else planted(known[view], text)
                yield view, name, Features(value, "nothing to embed" if value is None else "")

    return fill(store, recipes, compute)
