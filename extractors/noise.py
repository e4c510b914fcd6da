"""Noise that is added to a sound at a ratio in decibels, always the same for an utterance."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import numpy.typing as npt

Noise = Literal["none", "white", "babble"]
Samples = npt.NDArray[np.float32]

VOICES = 8  # that babble is made of


def with_noise(samples: Samples, kind: Noise, ratio_db: float, key: str) -> Samples:
    """The sound with noise whose power is the sound's own over the ratio; both are means over all samples.

    ``white`` is normal noise. ``babble`` is a murmur of eight voices with the spectrum and the rhythm of the sound
    itself: copies of it that begin at random times, half of them backwards.

    Args:
        samples: float32 ``[n]``.
        kind: of noise; ``none`` gives the sound back.
        ratio_db: signal to noise, decibels.
        key: decides the noise: the utterance's id and a seed.

    Returns:
        Float32 ``[n]``, that may be louder than full scale. Silence stays what it is.
    """
    power = float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
    if kind == "none" or power == 0.0:
        return samples
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big"))
    noise = rng.standard_normal(len(samples)) if kind == "white" else _babble(samples, rng)
    noise *= np.sqrt(power / 10 ** (ratio_db / 10) / np.square(noise).mean())
    return (samples + noise).astype(np.float32)


def _babble(samples: Samples, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    starts = rng.integers(len(samples), size=VOICES)
    wide = samples.astype(np.float64)
    voices = [np.roll(wide[:: -1 if voice % 2 else 1], start) for voice, start in enumerate(starts)]
    murmur: npt.NDArray[np.float64] = np.sum(voices, axis=0)
    # Copies may cancel each other in a sound of few samples.
    return murmur if murmur.any() else rng.standard_normal(len(samples))
