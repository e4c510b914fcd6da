"""A store with two planted text corpora, and an encoder to begin with."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.store import Store, init_store
from tests.trainers.text_encoder.tiny_encoder import build_tiny_encoder

# Each emotion has words of its own, so that an encoder can learn them.
EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECTSTORE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def corpus_rows(corpus: str, emotions: tuple[str, ...], each: int, splits: tuple[str, ...]) -> pl.DataFrame:
    """So many texts of each emotion; the emotion's two words stand among others, none the same."""
    random = np.random.default_rng(len(corpus))
    rows = []
    for emotion in emotions:
        place = EMOTIONS.index(emotion)
        for number in range(each):
            others = [f"w{word}" for word in random.integers(14, 40, int(random.integers(3, 9)))]
            own = [f"w{2 * place}", f"w{2 * place + 1}"]
            words = [*own, *others, f"x{corpus}{emotion}{number}"]
            rows.append(
                {
                    "utterance_id": f"{corpus}/{emotion}{number:03}",
                    "split": splits[number % len(splits)],
                    "text": " ".join(words),
                    "language": "en",
                    "label_raw": emotion,
                    "emotion": emotion,
                }
            )
    return pl.DataFrame(rows)


@pytest.fixture
def texts(tmp_path: Path) -> Store:
    """``goemotions`` with splits and all emotions, ``crowdflower`` without splits and with five."""
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    splits = ("train",) * 8 + ("dev", "test")
    store.write_manifest("goemotions", corpus_rows("goemotions", EMOTIONS, 30, splits))
    five = tuple(name for name in EMOTIONS if name not in ("fear", "disgust"))
    store.write_manifest("crowdflower", corpus_rows("crowdflower", five, 40, ("all",)))
    return store
