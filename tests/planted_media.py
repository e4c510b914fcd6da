"""Small mp4 clips made of real faces and made-up speech, for the planted corpus."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from extractors.corpora.demo_voice import RATE, Samples

HEIGHT = 240  # pixels: faces stay above 70
FRAMES_PER_S = 12
CLIP_RATE = 48_000  # Hz, as MELD
THIRD = 2  # the channel of six that carries the speech (papers/000 III-D3)

Picture = npt.NDArray[np.uint8]
Sounding = Literal[
    "mono",  # one channel
    "first louder",  # two channels, speech and the same at a quarter of its strength
    "second louder",
    "third of six",  # silence in the other five
    "third of noisy six",  # louder noise in the other five
    "not the third",  # six channels, the third of which is silent
    "silent",  # a track of zeros
    "none",  # no track
]


@dataclass(frozen=True)
class Shot:
    """What a camera shows: a part of a sample clip.

    Attributes:
        clip: file name in the samples' ``data/clips``.
        start_s: where the shot begins in it.
        crop: left, top, width, height of the part of the picture that is kept; None is all.
    """

    clip: str
    start_s: float
    crop: tuple[int, int, int, int] | None = None


@cache
def _decoded(path: Path, crop: tuple[int, int, int, int] | None) -> tuple[list[float], list[Picture]]:
    """Times and pictures of a clip's first ten seconds, 240 pixels high; a still has one."""
    import av  # loads ffmpeg
    import cv2  # loads OpenCV's libraries

    times: list[float] = []
    pictures: list[Picture] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            at = float(frame.time or 0.0)
            if at > 10:
                break
            if times and at < times[-1] + 0.9 / FRAMES_PER_S:
                continue
            image = frame.to_ndarray(format="rgb24")
            if crop:
                left, top, width, height = crop
                image = image[top : top + height, left : left + width]
            width = round(image.shape[1] * HEIGHT / image.shape[0] / 2) * 2
            times.append(at)
            pictures.append(cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA))
    return times, pictures


def pictures(folder: Path, shots: tuple[Shot, ...], seconds: float) -> list[Picture]:
    """The frames of a clip, its shots side by side; a shot that ends early keeps its last picture."""
    shown = []
    for index in range(round(seconds * FRAMES_PER_S)):
        parts = []
        for shot in shots:
            times, images = _decoded(folder / shot.clip, shot.crop)
            wanted = shot.start_s + index / FRAMES_PER_S
            parts.append(images[int(np.argmin(np.abs(np.asarray(times) - wanted)))])
        shown.append(np.concatenate(parts, axis=1))
    return shown


def channels(sounding: Sounding, speech: Samples, rng: np.random.Generator) -> Samples | None:
    """The sound track ``[channels, n]`` at 16 kHz; None where there is none."""
    if sounding == "none":
        return None
    if sounding == "silent":
        return np.zeros((1, len(speech)), np.float32)
    if sounding == "mono":
        return speech[None]
    if sounding in ("first louder", "second louder"):
        pair = np.stack([speech, speech / 4])
        return pair if sounding == "first louder" else pair[::-1]
    six = np.zeros((6, len(speech)), np.float32)
    if sounding != "third of six":
        six[:] = rng.normal(0, 0.2, six.shape)
    six[THIRD] = 0 if sounding == "not the third" else speech
    return six


def write_mp4(path: Path, shown: list[Picture], track: Samples | None) -> None:
    """Write an mp4 of H.264 and AAC.

    Args:
        path: the file.
        shown: the frames, 12 a second.
        track: ``[channels, n]`` at 16 kHz, one, two or six channels; None leaves the sound track out.
    """
    import av  # loads ffmpeg
    import soxr

    with av.open(str(path), "w") as container:
        # Untyped: the containers' methods are overloaded by codec names that PyAV's version decides.
        video: Any = container.add_stream(
            "libx264", rate=FRAMES_PER_S, options={"preset": "ultrafast", "crf": "20"}
        )
        video.height, video.width, video.pix_fmt = *shown[0].shape[:2], "yuv420p"
        video.codec_context.thread_count = 1  # threads would make the bytes depend on the machine
        audio: Any = None
        if track is not None:
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(track)]
            audio = container.add_stream("aac", rate=CLIP_RATE, layout=layout)
        for index, image in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_S)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if track is not None:
            loud = np.stack([soxr.resample(channel, RATE, CLIP_RATE) for channel in track])
            heard = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(loud, np.float32), format="fltp", layout=layout
            )
            heard.sample_rate, heard.pts, heard.time_base = CLIP_RATE, 0, Fraction(1, CLIP_RATE)
            container.mux(audio.encode(heard))
            container.mux(audio.encode())
