"""MFCC against a computation by hand: power spectra, mel bands, decibels, cosine transform (papers/003 section 2.1)."""

import numpy as np
from scipy.fft import dct

from extractors.protocol import Item
from extractors.registry import create


def by_hand(samples: np.ndarray, n_mfcc: int) -> np.ndarray:
    import librosa

    padded = np.pad(samples.astype(np.float64), 1024)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048)
    frames = np.stack([padded[start : start + 2048] for start in range(0, len(padded) - 2047, 512)])
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    bands = power @ librosa.filters.mel(sr=16_000, n_fft=2048, n_mels=128).T
    decibels = 10 * np.log10(np.maximum(bands, 1e-10))
    decibels = np.maximum(decibels, decibels.max() - 80)
    cepstra = dct(decibels, type=2, norm="ortho", axis=1)[:, :n_mfcc]
    return np.concatenate([cepstra.mean(axis=0), cepstra.std(axis=0)])


def test_mean_and_deviation_of_80_coefficients(voice):
    made = create("mfcc")
    made.load("cpu")
    sound = voice(1.5)
    (outcome,) = made.extract([Item("c/0", audio=sound)])
    assert outcome["speech"].value.shape == (160,)
    np.testing.assert_allclose(outcome["speech"].value, by_hand(sound, 80), atol=0.05, rtol=1e-3)


def test_fewer_coefficients_are_another_recipe(voice):
    made = create("mfcc", {"n_mfcc": "13"})
    made.load("cpu")
    assert made.extract([Item("c/0", audio=voice(1.0))])[0]["speech"].value.shape == (26,)
    assert made.recipes()["speech"].width == 26
