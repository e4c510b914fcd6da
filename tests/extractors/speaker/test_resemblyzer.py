"""Resemblyzer against the package's own embed_utterance."""

import numpy as np
import pytest

from extractors.clip import decode_audio
from extractors.protocol import Item
from extractors.registry import create


@pytest.fixture(scope="module")
def loaded():
    made = create("resemblyzer")
    made.load("cpu")
    return made


@pytest.fixture(scope="module")
def reference():
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


def test_vectors_are_those_of_the_package(loaded, reference, voice):
    from resemblyzer import preprocess_wav

    sounds = [voice(seconds, seed) for seed, seconds in enumerate((0.9, 2.0, 4.1))]
    outcomes = loaded.extract([Item(f"c/{index}", audio=sound) for index, sound in enumerate(sounds)])
    for sound, outcome in zip(sounds, outcomes, strict=True):
        wanted = reference.embed_utterance(preprocess_wav(sound.copy()))
        np.testing.assert_allclose(outcome["speaker"].value, wanted, atol=1e-5)
        assert np.linalg.norm(outcome["speaker"].value) == pytest.approx(1.0, abs=1e-5)


def test_sound_without_a_voice_is_a_nothing(loaded):
    hum = 0.01 * np.sin(2 * np.pi * 50 * np.arange(16_000) / 16_000).astype(np.float32)
    (outcome,) = loaded.extract([Item("c/0", audio=hum)])
    assert (outcome["speaker"].value, outcome["speaker"].note) == (None, "no voice")


def test_without_trimming_all_sound_counts(voice, reference):
    made = create("resemblyzer", {"trim": "no"})
    made.load("cpu")
    sound = voice(2.0)
    (outcome,) = made.extract([Item("c/0", audio=sound)])
    np.testing.assert_allclose(outcome["speaker"].value, reference.embed_utterance(sound), atol=1e-5)
    assert made.recipes()["speaker"].settings == {"trim": False}


def test_the_input_is_left_as_it_was(loaded, voice):
    sound = voice(1.0)
    before = sound.copy()
    loaded.extract([Item("c/0", audio=sound)])
    np.testing.assert_array_equal(sound, before)


def test_real_speakers_are_told_apart(loaded, samples):
    folder = samples / "data" / "ravdess"
    actors = [sorted((folder / actor).glob("*.wav"))[:4] for actor in ("Actor_06", "Actor_17")]
    items = [Item(str(path), audio=decode_audio(str(path)).samples) for clips in actors for path in clips]
    vectors = np.stack([outcome["speaker"].value for outcome in loaded.extract(items)])
    cosine = vectors @ vectors.T
    same = np.concatenate([cosine[:4, :4][np.triu_indices(4, 1)], cosine[4:, 4:][np.triu_indices(4, 1)]])
    assert same.mean() > cosine[:4, 4:].max()
