"""A store that has everything an export must carry: every layout, absences of every kind, notes, columns, odd texts."""

from pathlib import Path

import numpy as np
import polars as pl

from feature_repo.fill import fill
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store
from feature_repo.terms import Terms

TEXT = Recipe("text", "planted", 1, "text", "pooled", 5, weights="ab12", settings={"model": "größer"})
WORDS = Recipe("text", "planted", 1, "text", "steps", 3, dtype="float16")
SPEECH = Recipe("speech", "planted", 1, "text", "steps", 2, columns={"time": "step", "rate": "float"})
FACE = Recipe(
    "face", "planted", 1, "text", "pooled", 4, columns={"box": "floats", "who": "text", "seen": "int"}
)
WAVE = Recipe("audio", "planted", 1, "text", "steps", 1, dtype="int16")
ADAPTED = Recipe("text", "adapter", 1, "rows", "pooled", 2, inputs=(TEXT.fingerprint,))
EVERY = (TEXT, WORDS, SPEECH, FACE, WAVE)
TERMS = Terms("for research, signed form", redistributable=False)
SAID = [
    "Hello, world.",
    "Grüße aus Köln – „so so“",
    "日本語のテキスト",
    "emoji 🙂 and \t tab",
    "quote \" and 'x'",
    "one\nmore",
]


def manifest(corpus: str = "c", count: int = 24) -> pl.DataFrame:
    """Rows with texts, splits, labels, dialogues; one has no text, some no label, one no split of its own."""
    numbers = range(count)
    splits = ("train", "train", "dev", "test")
    emotions = ("joy", "anger", "surprise", "neutral", None)
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/d{n // 4}_u{n % 4}" for n in numbers],
            "split": ["all" if n == 5 else splits[n % 4] for n in numbers],
            "dialogue_id": [f"{corpus}/d{n // 4}" for n in numbers],
            "turn": [n % 4 for n in numbers],
            "speaker_id": [f"{corpus}/s{n % 3}" if n % 5 else None for n in numbers],
            "text": [None if n == 7 else f"{SAID[n % len(SAID)]} {n}" for n in numbers],
            "emotion": [emotions[n % len(emotions)] for n in numbers],
            "label_raw": [emotions[n % len(emotions)] for n in numbers],
            "valence": [n / 7 for n in numbers],
        }
    )


def outcome(recipe: Recipe, utterance_id: str, text: str) -> Features | Fault:
    """What the planted extractor says: numbers of the utterance, now and then nothing or a fault."""
    generator = np.random.default_rng(list(f"{recipe.view} {utterance_id} {text}".encode()))
    lot = generator.integers(8)
    if lot == 0:
        return Fault("extract", "PlantedError", f"{utterance_id} can't be read")
    columns: dict[str, object] = {}
    if recipe is FACE:
        columns = {"box": generator.random(4).astype(np.float32), "who": f"né {lot}", "seen": int(lot) - 3}
        columns["who"] = None if lot == 2 else columns["who"]
    if lot == 1:
        return Features(None, f"nothing: no voice – {utterance_id}", {"seen": 0} if recipe is FACE else {})
    if recipe.layout == "pooled":
        return Features(generator.standard_normal(recipe.width).astype(np.float32), columns=columns)
    steps = int(generator.integers(1, 6))
    if recipe.dtype == "int16":
        return Features(generator.integers(-(2**15), 2**15, (steps, 1)).astype(np.int16))
    value = generator.standard_normal((steps, recipe.width)).astype(recipe.dtype)
    if recipe is SPEECH:
        columns = {"time": np.arange(steps, dtype=np.float32) / 10, "rate": None if lot == 3 else 0.5 + steps}
    return Features(value, columns=columns)


def compute_with(store: Store, recipes: tuple[Recipe, ...]) -> None:
    """Fill the recipes' views by the planted extractor."""
    known = {recipe.view: recipe for recipe in recipes}
    texts = dict(store.manifest().select("utterance_id", "text").iter_rows())

    def compute(missing):
        for view, ids in missing.items():
            for utterance_id in ids:
                yield view, utterance_id, outcome(known[view], utterance_id, texts[utterance_id] or "")

    fill(store, recipes, compute, provenance={recipe.view: {"model": "planted"} for recipe in recipes})


def empty_store(folder: Path) -> Store:
    """A store without anything."""
    return init_store(str(folder / "store"), cache=str(folder / "cache"))


def make_store(folder: Path, recipes: tuple[Recipe, ...] = EVERY, count: int = 24) -> Store:
    """A store with two corpora, filled in two parts, its slots in a profile."""
    store = empty_store(folder)
    store.write_manifest("c", manifest("c", count), terms=TERMS)
    compute_with(store, recipes)
    store.write_manifest("b", manifest("b", 6), terms=Terms("CC BY 4.0", redistributable=True))
    compute_with(store, recipes)
    store.catalog.set("planted", {recipe.slot: recipe.view for recipe in recipes})
    return store
