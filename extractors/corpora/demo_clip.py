"""Tiny clips for the demonstration corpus: a drawn face that moves its mouth to a sound, as MELD's mp4."""

import io
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt

from extractors.corpora.demo_voice import RATE, Samples

WIDTH, HEIGHT, FRAMES_PER_S = 160, 120, 8
CLIP_RATE = 48_000  # Hz, stereo, as MELD
_SKIN = ((236, 188, 160), (198, 134, 94), (255, 220, 190), (141, 85, 54), (224, 172, 120), (110, 66, 40))
# Emotion -> (corners of the mouth up, brows slanted inwards, brows raised, eyes' height), in pixels.
_FACES = {
    "neutral": (0, 0, 0, 4),
    "joy": (7, 0, 1, 4),
    "surprise": (0, 0, 7, 7),
    "sadness": (-6, -4, 1, 3),
    "anger": (-4, 6, -3, 3),
    "fear": (-2, -5, 5, 7),
    "disgust": (-5, 3, -2, 2),
}

Picture = npt.NDArray[np.uint8]
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)


@cache
def draw_face(speaker: int, emotion: str, opened: float) -> Picture:
    """A face ``[120, 160, 3]`` uint8.

    Args:
        speaker: which skin and background.
        emotion: sets mouth, brows and eyes.
        opened: how far the mouth is open, 0 to 1.
    """
    corners, slant, raised, eye = _FACES[emotion]
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:] = (60 + 25 * speaker, 90, 200 - 25 * speaker)
    picture[((_X - 80) / (36 + speaker)) ** 2 + ((_Y - 62) / 46) ** 2 <= 1] = _SKIN[speaker % len(_SKIN)]
    dark = (40, 25, 20)
    for side in (-1, 1):
        centre = 80 + 15 * side
        picture[((_X - centre) / 6) ** 2 + ((_Y - 52) / eye) ** 2 <= 1] = (250, 250, 250)
        picture[((_X - centre) / 2.5) ** 2 + ((_Y - 52) / 2.5) ** 2 <= 1] = dark
        brow = 42 - raised - slant * side * (_X - centre) / 12
        picture[(np.abs(_X - centre) <= 8) & (np.abs(_Y - brow) <= 1.5)] = dark
    across = (_X - 80) / 15
    curve = 86 - corners * (across**2 - 0.5)
    inside = np.abs(across) <= 1
    picture[inside & (np.abs(_Y - curve) <= 1.5 + 6 * opened * (1 - across**2))] = (150, 30, 40)
    return picture


def clip(speaker: int, emotion: str, sound: Samples, *, with_sound: bool = True) -> bytes:
    """An mp4 of a face that speaks: MPEG-4 video 160x120 at 8 frames/s, AAC 48 kHz stereo.

    The same arguments give the same bytes (with one version of ffmpeg).

    Args:
        speaker: which face; also which of the two channels is the louder one.
        emotion: the face's expression.
        sound: ``[n]`` at 16 kHz.
        with_sound: False leaves the audio track out.
    """
    import av  # loads ffmpeg

    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("mpeg4", rate=FRAMES_PER_S)
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 120_000
        # The quick search takes two thirds of the time, and nobody listens for the difference.
        quick = {"aac_coder": "fast"}
        audio = (
            container.add_stream("aac", rate=CLIP_RATE, layout="stereo", options=quick)
            if with_sound
            else None
        )
        for stream in (video, audio):
            if stream is not None:
                stream.codec_context.thread_count = 1  # threads would make the bytes depend on the machine
        for index, opened in enumerate(_openings(sound)):
            frame = av.VideoFrame.from_ndarray(draw_face(speaker, emotion, opened), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_S)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            heard = av.AudioFrame.from_ndarray(_stereo(sound, speaker), format="fltp", layout="stereo")
            heard.sample_rate, heard.pts, heard.time_base = CLIP_RATE, 0, Fraction(1, CLIP_RATE)
            container.mux(audio.encode(heard))
            container.mux(audio.encode())
    return sink.getvalue()


def _openings(sound: Samples) -> npt.NDArray[np.float64]:
    """How far the mouth is open in each frame: the sound's level from 0 to 1, in eighths so that pictures recur."""
    hop = RATE // FRAMES_PER_S
    blocks = sound[: max(1, len(sound) // hop) * hop].reshape(-1, hop)
    levels = np.sqrt(np.mean(blocks.astype(np.float64) ** 2, axis=1))
    return np.asarray(np.round(8 * levels / max(float(levels.max()), 1e-6)) / 8, np.float64)


def _stereo(sound: Samples, speaker: int) -> Samples:
    """The sound at 48 kHz as ``[2, n]``, one channel at half the strength."""
    import soxr

    loud = soxr.resample(sound, RATE, CLIP_RATE)
    pair = (loud, loud / 2) if speaker % 2 else (loud / 2, loud)
    return np.ascontiguousarray(np.stack(pair), np.float32)
