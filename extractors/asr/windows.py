"""Sound in windows that a recogniser can hear at once: cut where nobody speaks."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from extractors.protocol import SAMPLE_RATE

Span = tuple[int, int]  # first sample, and the first one after it

MARGIN = round(
    0.2 * SAMPLE_RATE
)  # between a cut and speech: a detector of voices is late at the edges of words
PADDING = round(0.4 * SAMPLE_RATE)  # around speech where the rest is left out, Silero's own default
_PAUSE_MS = 100  # the shortest silence that parts two stretches of speech
_BLOCK = 600 * SAMPLE_RATE  # looked at in one go: an hour at once would take half a gigabyte


def speech_spans(samples: npt.NDArray[np.float32]) -> list[Span]:
    """Where somebody speaks in a sound ``[samples]`` at 16 kHz, by the Silero detector in faster-whisper's wheel."""
    # Both load onnxruntime.
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(min_silence_duration_ms=_PAUSE_MS, speech_pad_ms=0)
    return [
        (start + span["start"], start + span["end"])
        for start in range(0, len(samples), _BLOCK)
        for span in get_speech_timestamps(samples[start : start + _BLOCK], options)
    ]


def cut(length: int, speech: Sequence[Span], longest: int) -> list[Span]:
    """Windows that cover a sound without a gap, each at most ``longest`` samples.

    A cut goes into the longest silence of a window's second half, else the last silence of its first half, else,
    amid speech, where the window is full.

    Args:
        length: samples of the sound.
        speech: where somebody speaks, in order.
        longest: samples of a window, at most.
    """
    places = _silences(length, speech)
    windows = []
    start = 0
    while length - start > longest:
        full = start + longest
        reached = [(low, min(high, full)) for low, high in places if low <= full and high > start]
        late = [(low, high) for low, high in reached if high > start + longest // 2]
        if late:
            end = max(late, key=lambda place: (place[1] - place[0], place[1]))[1]
        else:
            end = reached[-1][1] if reached else full
        windows.append((start, end))
        start = end
    return [*windows, (start, length)]


def trimmed(windows: Sequence[Span], speech: Sequence[Span]) -> list[Span]:
    """The windows from shortly before their first to shortly after their last speech; those without it left out."""
    kept = []
    for start, end in windows:
        inside = [(first, last) for first, last in speech if first < end and last > start]
        if inside:
            kept.append((max(start, inside[0][0] - PADDING), min(end, inside[-1][1] + PADDING)))
    return kept


def _silences(length: int, speech: Sequence[Span]) -> list[Span]:
    """Where a cut may lie: each silence less a margin at both ends, or the middle of a short one."""
    ends = [0, *(end for _, end in speech)]
    starts = [*(start for start, _ in speech), length]
    places = []
    for begin, end in zip(ends, starts, strict=True):
        if end - begin >= 2 * MARGIN:
            places.append((begin + MARGIN, end - MARGIN))
        elif end > begin:
            places.append(((begin + end) // 2,) * 2)
    return places
