"""How a take sounds: a speaker's own voice, a feeling at some strength."""

import zlib
from dataclasses import fields, replace

import numpy as np

from extractors.corpora.demo_voice import MANNERS, Manner, Samples, Voice, speak
from extractors.corpora.stand_ins.take import Take

# Beyond the seven classes; directions as the corpora's authors describe them.
_MANNERS = MANNERS | {
    "calm": Manner(0.95, 1.2, -2.0, -3.0, 0.85, 1.4),
    "contempt": Manner(0.88, 2.5, -5.0, -1.0, 0.90, 1.1),
    "sleepy": Manner(0.80, 0.8, -3.0, -10.0, 0.60, 1.7),
}
_FACTORS = ("pitch", "tempo", "bright")  # what multiplies; the rest adds
_DRAWN = (0.3, 0.9)  # strengths where the corpus names none: some takes are hard to tell


def perform(take: Take, seed: int) -> Samples:
    """The take's sound: ``[n]`` float32 within -1 to 1 at 16 kHz, the same for the same take and seed."""
    rng = np.random.default_rng((seed, zlib.crc32(take.path.encode())))
    strength = float(rng.uniform(*_DRAWN)) if take.strength is None else take.strength
    return speak(voice(take.speaker, seed), manner(take.feeling, strength), _syllables(take.text), rng)


def voice(speaker: str, seed: int) -> Voice:
    """A speaker's voice, the same in all their takes."""
    rng = np.random.default_rng((seed, zlib.crc32(speaker.encode()), 1))
    high = bool(rng.integers(2))
    return Voice(
        pitch=float(rng.uniform(175, 250) if high else rng.uniform(85, 140)),
        formants=float(rng.uniform(1.05, 1.2) if high else rng.uniform(0.85, 1.0)),
        breath=float(rng.uniform(0.02, 0.1)),
        tempo=float(rng.uniform(3.8, 5.2)),
    )


def manner(feeling: str, strength: float) -> Manner:
    """A manner of speaking between neutral (strength 0) and the whole feeling (1)."""
    plain, whole = _MANNERS["neutral"], _MANNERS[feeling]
    values = {item.name: (getattr(plain, item.name), getattr(whole, item.name)) for item in fields(Manner)}
    mixed = {
        name: low * (high / low) ** strength if name in _FACTORS else low + strength * (high - low)
        for name, (low, high) in values.items()
    }
    return replace(plain, **mixed)


def _syllables(text: str) -> int:
    """About one for each Latin word and each Chinese character, within what a short clip holds."""
    chinese = sum("一" <= character <= "鿿" for character in text)
    return min(max(chinese or len(text.split()), 3), 10)
