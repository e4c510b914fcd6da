"""Pairs of planted faces and words: which are compared with which, and what is left out."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.extraction import extract
from extractors.quality.genuine_pairs import face_pairs, spelling_pairs, text_pairs
from extractors.registry import create
from feature_repo.fill import fill
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store
from tests.extractors.quality.conftest import SAME
from tests.extractors.quality.planted_faces import look, manifest, planted_store


def view(store: Store) -> str:
    return store.catalog.slots("default")["faces_steps"]


def test_own_faces_against_the_other_clips_and_strangers(tmp_path: Path) -> None:
    clips: dict[str, tuple[str | None, str]] = {
        "c/a0": ("ann", "A0.9@0.5 A0.9@1.5"),
        "c/a1": ("ann", "A0.9@0.5"),
        "c/b0": ("bob", "B0.9@0.5"),
        "c/b1": ("bob", "B0.9@0.5"),
        "c/d0": ("dan", "D@0.5"),
        "c/x0": ("eve", "A@0.5 B@0.5"),
    }
    store = planted_store(tmp_path, clips)
    pairs = face_pairs(store, view(store), SAME)
    assert len(pairs.genuine) == 3 + 2, "Dan has one clip, so nothing to compare with"
    assert pairs.genuine.min() > 0.7
    assert len(pairs.impostor) == (3 + 2 + 1) * 2, "every face against the two others who are sure"
    assert np.abs(pairs.impostor).max() < 0.3
    assert pairs.note == "1 of 4 speakers can't be told from others in the picture"


def test_a_genuine_cosine_is_to_a_reference_without_that_clip(tmp_path: Path) -> None:
    store = planted_store(tmp_path, {"c/0": ("ann", "A0.8@0.5"), "c/1": ("ann", "A0.8@0.5")})
    pairs = face_pairs(store, view(store), SAME)
    # 0.8 of one axis each, and remainders on axes of their own.
    assert pairs.genuine == pytest.approx([0.64, 0.64], abs=1e-6)
    assert len(pairs.impostor) == 0


def test_speakers_of_one_name_are_no_strangers(tmp_path: Path) -> None:
    clips: dict[str, tuple[str | None, str]] = {
        "c/0": ("c/dia1/nurse", "A@0.5"),
        "c/1": ("c/dia2/nurse", "A@0.5"),
        "c/2": ("bob", "B@0.5"),
    }
    store = planted_store(tmp_path, clips)
    rows = manifest(clips).with_columns(speaker_raw=pl.Series(["Nurse", "Nurse", "Bob"]))
    store.write_manifest("c", rows)
    look(store)
    pairs = face_pairs(store, view(store), SAME)
    assert len(pairs.impostor) == 4, "each nurse against Bob and Bob against each"
    assert pairs.impostor.max() < 0.5


def test_one_man_under_two_names_is_no_stranger_to_himself(tmp_path: Path) -> None:
    clips: dict[str, tuple[str | None, str]] = {
        "c/a0": ("ann", "A0.9@0.5"),
        "c/a1": ("ann", "A0.9@0.5"),
        "c/b0": ("bob", "B0.9@0.5"),
        "c/b1": ("bob", "B0.9@0.5"),
        "c/x0": ("extra", "A0.98@0.5"),
    }
    store = planted_store(tmp_path, clips)
    pairs = face_pairs(store, view(store), SAME)
    assert len(pairs.impostor) == 2 + 2 + 2 + 1, "Ann and Bob, Bob against the extra, the extra against Bob"
    assert pairs.impostor.max() < 0.3
    assert pairs.note == "left out as one person under two names: ann and extra"


def test_without_a_second_clip_of_anybody_it_is_said(tmp_path: Path) -> None:
    store = planted_store(tmp_path, {"c/0": ("ann", "A@0.5"), "c/1": ("bob", "B@0.5")})
    pairs = face_pairs(store, view(store), SAME)
    assert (len(pairs.genuine), len(pairs.impostor)) == (0, 2)
    assert pairs.note == "no speaker is seen in two clips"


TEXTS = ["the dog barks", "a cat sleeps", "rain falls tonight"]


@pytest.fixture
def heard(tmp_path: Path) -> tuple[Store, str, str]:
    """A store with texts, their hashed words, and transcripts: the first right, the second half, the third empty."""
    store = init_store(str(tmp_path / "store"))
    ids = [f"c/{n}" for n in range(3)]
    store.write_manifest("c", pl.DataFrame({"utterance_id": ids, "text": TEXTS}))
    extract(store, [create("hashing")], profile="default")
    recipe = Recipe("transcript", "heard", 1, "text", "record", 0, columns={"text": "text"})
    words = {"c/0": "the dog barks", "c/1": "a cat runs", "c/2": ""}

    def compute(
        missing: Mapping[str, Sequence[str]],
    ) -> Generator[tuple[str, str, Features], None, None]:
        for table, wanted in missing.items():
            for name in wanted:
                note = "" if words[name] else "empty transcript"
                yield table, name, Features(None, note, {"text": words[name]})

    fill(store, [recipe], compute)
    return store, recipe.view, store.catalog.slots("default")["text"]


def test_transcripts_against_their_own_text_and_the_others(heard: tuple[Store, str, str]) -> None:
    store, transcripts, texts = heard
    encoder = create("hashing")
    encoder.load("cpu")
    pairs = text_pairs(store, transcripts, texts, encoder)
    # Words of two letters or more: three of three; "cat" of {cat, sleeps} and {cat, runs}.
    assert sorted(pairs.genuine) == pytest.approx([0.5, 1.0])
    assert pairs.impostor == pytest.approx([0, 0], abs=1e-6)


def test_spellings(heard: tuple[Store, str, str]) -> None:
    store, transcripts, _ = heard
    pairs = spelling_pairs(store, transcripts)
    # Of "sleeps" and "runs" only the last letter stays: five edits over twelve letters.
    assert sorted(pairs.genuine) == pytest.approx([1 - 5 / 12, 1.0])
    assert len(pairs.impostor) == 2
    assert pairs.impostor.max() < 0.4


def test_the_same_words_of_another_utterance_are_no_strangers(tmp_path: Path) -> None:
    texts = ["Yes.", "Yes.", "No way."]
    store = init_store(str(tmp_path / "store"))
    ids = [f"c/{n}" for n in range(3)]
    store.write_manifest("c", pl.DataFrame({"utterance_id": ids, "text": texts}))
    recipe = Recipe("transcript", "heard", 1, "text", "record", 0, columns={"text": "text"})

    def compute(
        missing: Mapping[str, Sequence[str]],
    ) -> Generator[tuple[str, str, Features], None, None]:
        for table, wanted in missing.items():
            for name in wanted:
                yield table, name, Features(None, columns={"text": texts[ids.index(name)]})

    fill(store, [recipe], compute)
    pairs = spelling_pairs(store, recipe.view)
    assert pairs.genuine.tolist() == [1.0, 1.0, 1.0]
    assert len(pairs.impostor) == 4
    assert pairs.impostor.max() < 0.5
