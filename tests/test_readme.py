"""README's Python examples, run as they stand on a small store in the place that they name."""

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.fill import fill
from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store

README = Path(__file__).parent.parent / "README.md"
_BLOCK = re.compile(r"<!-- runs as a test: (\w+) -->\n```python\n(.*?)```", re.DOTALL)
BLOCKS = dict(_BLOCK.findall(README.read_text(encoding="utf-8")))

TEXT = Recipe("text", "planted", 1, "text", "pooled", 8)
SPEAKER = Recipe("speaker", "planted", 1, "text", "pooled", 4)
STEPS = Recipe("text", "planted", 1, "text", "steps", 8)
SPEECH = Recipe("speech", "planted", 1, "text", "pooled", 6)
EMOTIONS = ("neutral", "joy", "anger", "sadness")
PEOPLE = ("meld/Monica", "meld/Joey", "meld/Rachel")
MUTE = 7  # every so many utterances of no voice


def utterances() -> pl.DataFrame:
    """Ninety utterances in dialogues of six turns; the text says the emotion, and test turns repeat training ones."""
    rows = []
    for number in range(90):
        split = "train" if number < 60 else "test"
        dialogue, turn = divmod(number % 60, 6)
        emotion = EMOTIONS[(dialogue + turn) % 4]
        rows.append(
            {
                "utterance_id": f"meld/{split}/dia{dialogue}_utt{turn}",
                "split": split,
                "dialogue_id": f"meld/{split}/dia{dialogue}",
                "turn": turn,
                "speaker_id": PEOPLE[number % 3],
                "emotion": emotion,
                "text": f"{emotion} said" + " again" * (number % 5) + f" in {dialogue} {turn}",
            }
        )
    return pl.DataFrame(rows)


def computed(store: Store, missing: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, Outcome]]:
    """Vectors that point where the text's emotion does, a little aside by chance; no voice for every seventh."""
    texts = dict(store.manifest().select("utterance_id", "text").iter_rows())
    for view, names in missing.items():
        recipe = store.recipe(view)
        for name in names:
            emotion, *words = texts[name].split()
            random = np.random.default_rng(zlib.crc32(texts[name].encode()))
            shape = (len(words), recipe.width) if recipe.layout == "steps" else (recipe.width,)
            value = random.normal(0, 0.1, shape)
            value[..., EMOTIONS.index(emotion)] += 1
            mute = recipe is not TEXT and recipe.modality == "speaker" and sum(name.encode()) % MUTE == 0
            yield view, name, Features(None if mute else value.astype(np.float32), "silent" if mute else "")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with the store ``affect``, where the examples run."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    store = init_store("~/affect")
    assert store.root == str(tmp_path / "affect")
    store.write_manifest("meld", utterances())
    recipes = [TEXT, SPEAKER, STEPS, SPEECH]
    fill(store, recipes, lambda missing: computed(store, missing))
    store.catalog.set("default", {recipe.slot: recipe.view for recipe in recipes})
    return tmp_path


def _probe(found: dict[str, Any]) -> None:
    assert found["accuracy"] > 0.95  # by chance it would be a quarter
    assert found["x"].shape[1] == TEXT.width + SPEAKER.width


def _speaker(found: dict[str, Any]) -> None:
    hers = utterances().filter(speaker_id="meld/Monica")
    counts = dict(found["by_emotion"].select("emotion", "utterances").iter_rows())
    assert counts == dict(hers["emotion"].value_counts().iter_rows())
    silent = [name for name in hers["utterance_id"] if sum(name.encode()) % MUTE == 0]
    assert found["by_emotion"]["without_voice"].sum() == len(silent) > 0
    words = hers["text"].str.split(" ").list.len().sum()
    told = found["by_emotion"].select(pl.col("words") * pl.col("utterances")).to_series().sum()
    assert told == pytest.approx(words)
    assert found["table"].num_rows == hers.height


def _loaders(found: dict[str, Any]) -> None:
    assert found["tokens"].shape[::2] == (len(found["data"]) % 32 or 32, STEPS.width)
    assert found["mask"].shape == found["tokens"].shape[:2]
    assert found["turns"].shape == (10 % 8, found["wanted"].shape[1], TEXT.width)
    assert found["who"].max() == len(PEOPLE) - 1
    assert found["wanted"].any()


def _similar(found: dict[str, Any]) -> None:
    nearest, twins = found["nearest"], found["twins"]
    emotions = dict(utterances().select("utterance_id", "emotion").iter_rows())
    assert nearest["rank"].to_list() == [1, 2, 3, 4, 5]
    assert set(nearest["emotion"]) == {emotions["meld/test/dia0_utt0"]}
    assert "meld/test/dia0" not in nearest["dialogue_id"]
    # Number 60 + n says what n says, word for word.
    exact = twins.filter(pl.col("similarity") >= 0.9999)
    assert exact.height == 30
    assert (exact["query"].str.replace("test", "train") == exact["utterance_id"]).all()


CHECKS = {"probe": _probe, "speaker": _speaker, "loaders": _loaders, "similar": _similar}


def test_readme_has_its_examples() -> None:
    assert len(BLOCKS) >= 3
    assert set(CHECKS) <= set(BLOCKS)


@pytest.mark.parametrize("name", BLOCKS)
def test_an_example_of_readme_runs_as_it_stands(home: Path, name: str) -> None:
    import torch

    torch.manual_seed(0)
    found: dict[str, Any] = {}
    exec(compile(BLOCKS[name], f"README.md: {name}", "exec"), found)
    if name in CHECKS:
        CHECKS[name](found)
