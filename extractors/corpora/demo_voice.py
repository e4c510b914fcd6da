"""Made-up voices: a source and formants per speaker, melody, loudness and tempo per emotion."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATE = 16_000  # Hz
_FRAME = 160  # samples between two points of a contour: 10 ms
# First three formants in Hz of five vowels of an average speaker (Peterson and Barney 1952, rounded).
_VOWELS = np.array(
    [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)], float
)
_BANDWIDTHS = np.array([90.0, 110.0, 170.0])
_HIGHEST = 5_500  # Hz of the highest harmonic

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """A speaker: mean pitch in Hz, formants relative to the average, share of breath, syllables per second."""

    pitch: float
    formants: float
    breath: float
    tempo: float


@dataclass(frozen=True)
class Manner:
    """What an emotion does: pitch and tempo relative to the speaker's, melody in semitones, loudness in dB.

    Attributes:
        pitch: factor on the mean pitch.
        span: semitones between high and low syllables.
        slope: semitones from the first syllable to the last.
        loudness: dB relative to neutral.
        tempo: factor on the syllables per second.
        bright: decay of the harmonics, smaller is brighter.
        tremor: semitones of a 7 Hz tremor.
    """

    pitch: float = 1.0
    span: float = 2.0
    slope: float = -2.0
    loudness: float = 0.0
    tempo: float = 1.0
    bright: float = 1.2
    tremor: float = 0.0


VOICES = {
    "Ada": Voice(215, 1.15, 0.05, 4.6),
    "Bruno": Voice(105, 0.90, 0.02, 4.0),
    "Clara": Voice(245, 1.20, 0.10, 5.2),
    "Dario": Voice(135, 0.98, 0.04, 4.8),
    "Elif": Voice(190, 1.08, 0.02, 4.2),
    "Felix": Voice(88, 0.86, 0.08, 3.8),
    "Gina": Voice(230, 1.10, 0.03, 4.4),
    "Hana": Voice(175, 1.18, 0.06, 5.0),
}
# Directions as usually found in acted speech: anger loud and bright, sadness low, slow and soft, fear high and shaky.
MANNERS = {
    "neutral": Manner(),
    "joy": Manner(1.25, 6.0, 2.0, 4.0, 1.15, 1.0),
    "surprise": Manner(1.40, 4.0, 9.0, 3.0, 1.05, 1.1),
    "sadness": Manner(0.85, 1.0, -4.0, -8.0, 0.70, 1.6, 0.2),
    "anger": Manner(1.15, 5.0, -3.0, 8.0, 1.25, 0.7),
    "fear": Manner(1.35, 2.0, 1.0, -2.0, 1.35, 1.3, 0.9),
    "disgust": Manner(0.90, 3.0, -6.0, 1.0, 0.80, 0.9),
}


def speak(voice: Voice, manner: Manner, syllables: int, rng: np.random.Generator) -> Samples:
    """A babbled utterance: ``[n]`` float32 within -1 to 1 at 16 kHz.

    Args:
        voice: who speaks.
        manner: how.
        syllables: how many syllables.
        rng: decides vowels, stress and breath.
    """
    seconds = 1 / (voice.tempo * manner.tempo)
    frames = max(6, round(seconds * RATE / _FRAME))
    stress = rng.uniform(-0.5, 0.5, syllables) * manner.span + np.linspace(0, manner.slope, syllables)
    vowels = _VOWELS[rng.integers(0, len(_VOWELS), syllables)] * voice.formants
    count = syllables * frames
    at = np.arange(count) / frames - 0.5  # in syllables, zero in the middle of the first
    melody = np.interp(at, np.arange(syllables), stress)
    melody += manner.tremor * np.sin(2 * np.pi * 7 * np.arange(count) * _FRAME / RATE)
    pitch = voice.pitch * manner.pitch * 2 ** (melody / 12)
    formants = np.stack([np.interp(at, np.arange(syllables), vowels[:, index]) for index in range(3)], axis=1)
    # Each syllable swells and closes; the floor keeps the voice going between them.
    swell = 0.08 + 0.92 * np.sin(np.pi * ((np.arange(count) % frames) + 0.5) / frames) ** 0.7
    voiced = _harmonics(pitch, formants, swell, manner.bright)
    breath = voice.breath * _stretch(swell) * rng.standard_normal(len(voiced)) * np.abs(voiced).max()
    sound = voiced + breath
    level = 0.12 * 10 ** (manner.loudness / 20)
    sound *= level / np.sqrt(np.mean(sound**2))
    return np.asarray(np.clip(np.pad(sound, RATE // 10), -0.98, 0.98), np.float32)


def _harmonics(
    pitch: npt.NDArray[np.float64],
    formants: npt.NDArray[np.float64],
    swell: npt.NDArray[np.float64],
    bright: float,
) -> npt.NDArray[np.float64]:
    """The sum of the pitch's harmonics, each as strong as the formants make it; inputs are one point per frame."""
    phase = 2 * np.pi * np.cumsum(_stretch(pitch)) / RATE
    sound = np.zeros(len(phase))
    for harmonic in range(1, int(_HIGHEST / pitch.max()) + 1):
        distance = (harmonic * pitch[:, None] - formants) / _BANDWIDTHS
        gain = (1 / (1 + distance**2)).sum(axis=1) + 0.02
        sound += _stretch(gain * swell) * harmonic**-bright * np.sin(harmonic * phase)
    return sound


def _stretch(contour: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A contour of one point per frame as one of one point per sample."""
    return np.interp(np.arange(len(contour) * _FRAME), np.arange(len(contour)) * _FRAME, contour)
