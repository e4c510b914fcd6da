"""Tiny clips for the demonstration corpus: a drawn face that moves its mouth to a sound, as MELD's mp4."""

import io
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from extractors.corpora.demo_face import HEIGHT, LOOKS, WIDTH, draw_face, draw_room
from extractors.corpora.demo_voice import RATE, Samples

FRAMES_PER_S = 8
CLIP_RATE = 48_000  # Hz, as MELD
Track = Literal["stereo", "5.1", "none"]
_CHANNELS = {"stereo": 2, "5.1": 6}


def clip(
    person: str, emotion: str, sound: Samples, *, track: Track = "stereo", nobody: bool = False
) -> bytes:
    """An mp4 of a face that speaks: MPEG-4 video 160x120 at 8 frames/s, AAC 48 kHz.

    The same arguments give the same bytes (with one version of ffmpeg).

    Args:
        person: whose face; also which of the two channels is the louder one.
        emotion: the face's expression.
        sound: ``[n]`` at 16 kHz.
        track: ``stereo``; ``5.1`` with the sound in the third channel and hum in the others; or no sound track.
        nobody: the picture shows the room alone.
    """
    import av  # loads ffmpeg

    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("mpeg4", rate=FRAMES_PER_S)
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 120_000
        # The quick search takes two thirds of the time, and nobody listens for the difference.
        quick = {"aac_coder": "fast"}
        audio = (
            None
            if track == "none"
            else container.add_stream("aac", rate=CLIP_RATE, layout=track, options=quick)
        )
        for stream in (video, audio):
            if stream is not None:
                stream.codec_context.thread_count = 1  # threads would make the bytes depend on the machine
        for index, opened in enumerate(_openings(sound)):
            picture = draw_room(person) if nobody else draw_face(person, emotion, opened)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_S)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            heard = av.AudioFrame.from_ndarray(_channels(sound, person, track), format="fltp", layout=track)
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


def _channels(sound: Samples, person: str, track: Track) -> Samples:
    """The sound at 48 kHz as ``[channels, n]``: in stereo one channel at half the strength, in 5.1 the third alone."""
    import soxr

    loud = soxr.resample(sound, RATE, CLIP_RATE)
    if track == "5.1":
        hum = 0.2 * np.sin(2 * np.pi * 100 * np.arange(len(loud)) / CLIP_RATE)  # louder than most voices
        channels = [loud if index == 2 else hum for index in range(_CHANNELS[track])]
    else:
        channels = [loud, loud / 2] if list(LOOKS).index(person) % 2 else [loud / 2, loud]
    return np.ascontiguousarray(np.stack(channels), np.float32)
