"""A store whose emotion shows in token sequences and, more faintly, in a voice; some utterances lack one of them."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store
from tests.trainers.conftest import EMOTIONS, toy_rows

TOKENS = Recipe("text", "planted", 1, "text", "steps", 6, dtype="float16")
VOICE = Recipe("speaker", "planted", 1, "text", "pooled", 4)
FACES = Recipe("face", "planted", 1, "text", "steps", 5, dtype="float32")
# Of every ten utterances, those without the view.
LACKS = {TOKENS.view: {3}, VOICE.view: {5, 3}, FACES.view: {1, 3, 5, 7}}


def planted_sequences(folder: Path, rows: pl.DataFrame | None = None) -> Store:
    """240 utterances in 24 dialogues; row 3 of ten has nothing at all."""
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    rows = toy_rows() if rows is None else rows
    turn = pl.int_range(pl.len()).over("dialogue_id").cast(pl.Int32)
    store.write_manifest("toy", rows.with_columns(turn=turn))
    random = np.random.default_rng(1)
    centres = random.normal(size=(len(EMOTIONS), 6)) * 2
    made: dict[tuple[str, str], np.ndarray] = {}
    for number, (name, emotion) in enumerate(toy_rows().select("utterance_id", "emotion").iter_rows()):
        centre = centres[EMOTIONS.index(emotion)]
        tokens = random.normal(size=(2 + number % 7, 6))
        tokens[number % len(tokens)] += centre * 2
        faces = random.normal(size=(1 + number % 3, 5)) + centre[:5] * 0.5
        voice = random.normal(size=4) + centre[:4] * 0.5
        for recipe, value in ((TOKENS, tokens), (VOICE, voice), (FACES, faces)):
            if number % 10 not in LACKS[recipe.view]:
                made[recipe.view, name] = value.astype(
                    recipe.dtype if recipe.layout == "steps" else "float32"
                )

    def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
        for view, names in missing.items():
            for name in names:
                vector = made.get((view, name))
                yield view, name, Features(vector) if vector is not None else Features(None, "planted")

    fill(store, [TOKENS, VOICE, FACES], compute)
    store.catalog.set("default", {recipe.slot: recipe.view for recipe in (TOKENS, VOICE, FACES)})
    return store
