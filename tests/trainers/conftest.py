"""A small store with planted features: one view that tells the emotion, one that is noise."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store

EMOTIONS = ("neutral", "joy", "anger")
_SPLITS = ("train", "train", "train", "dev", "test", "test")


@dataclass(frozen=True)
class Planted:
    """The store, its two views, and the vectors that were planted, by utterance id."""

    store: Store
    text: Recipe
    speech: Recipe
    vectors: dict[str, np.ndarray]

    def write_rows(self, rows: pl.DataFrame) -> None:
        """Replace the manifest and bring both views up to date."""
        self.store.write_manifest("toy", rows)
        fill(self.store, [self.text, self.speech], self._compute)

    def _compute(
        self, missing: Mapping[str, Sequence[str]]
    ) -> Generator[tuple[str, str, Outcome], None, None]:
        for view, ids in missing.items():
            for utterance_id in ids:
                vector = self.vectors[utterance_id]
                yield view, utterance_id, Features(vector[:8] if view == self.text.view else vector[8:])


def toy_rows() -> pl.DataFrame:
    """240 utterances of six speakers, 40 each; speaker 0 to 2 train, 3 dev, 4 and 5 test."""
    rows = range(240)
    return pl.DataFrame(
        {
            "utterance_id": [f"toy/u{row:03}" for row in rows],
            "corpus": ["toy"] * 240,
            "split": [_SPLITS[row // 40] for row in rows],
            "dialogue_id": [f"toy/d{row // 10}" for row in rows],
            "speaker_id": [f"toy/s{row // 40}" for row in rows],
            "text": [f"words {row}" for row in rows],
            "label_raw": [EMOTIONS[row % 3] for row in rows],
            "emotion": [EMOTIONS[row % 3] for row in rows],
        }
    )


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    """A store whose `text` is a centre per emotion plus noise, and whose `speech` is noise alone."""
    random = np.random.default_rng(0)
    rows = toy_rows()
    centres = random.normal(size=(len(EMOTIONS), 8)) * 2
    vectors = {}
    for utterance_id, emotion in rows.select("utterance_id", "emotion").iter_rows():
        text = centres[EMOTIONS.index(emotion)] + random.normal(size=8)
        vectors[utterance_id] = np.concatenate([text, random.normal(size=4)]).astype(np.float32)
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    made = Planted(
        store,
        Recipe("text", "planted", 1, "text", "pooled", 8),
        Recipe("speech", "planted", 1, "text", "pooled", 4),
        vectors,
    )
    made.write_rows(rows)
    store.catalog.set("default", {"text": made.text.view, "speech": made.speech.view})
    return made
