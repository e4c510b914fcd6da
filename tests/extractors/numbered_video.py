"""Videos whose pictures carry their own number, so that a test can tell which one it was given."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 160, 96
BITS = 12


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """The number in binary as black and white stripes below, one for each bit; above red left and green right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2, 0] = 220
    image[: height // 2, width // 2 :, 1] = 220
    for bit in range(BITS):
        stripe = slice(bit * width // BITS, (bit + 1) * width // BITS)
        image[height // 2 :, stripe] = 255 if number >> bit & 1 else 0
    return image


def number_of(image: np.ndarray) -> int:
    """The number that an upright picture carries."""
    height, width = image.shape[:2]
    bottom = image[height * 5 // 8 : height * 7 // 8].mean(axis=(0, 2))
    middles = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(int(bottom[middle] > 127) << bit for bit, middle in enumerate(middles))


def write_video(
    path: Path,
    count: int,
    rate: int = 10,
    *,
    times: Sequence[float] | None = None,
    codec: str = "mpeg4",
    rotation: int | None = None,
    mirrored: bool = False,
    sound: np.ndarray | None = None,
    sound_rate: int = 16_000,
    sound_codec: str = "aac",
    keyframe_every: int = 12,
    b_frames: int = 0,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    options: dict[str, str] | None = None,
) -> str:
    """A video of ``count`` numbered pictures, with ``sound`` ``[channels, n]`` where given.

    Args:
        times: when each picture is shown, for a variable rate; in milliseconds' precision.
        rotation: degrees counterclockwise that a player turns it.
        options: of the muxer.
        mirrored: whether a player mirrors it, after turning it.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        stream.gop_size = keyframe_every
        stream.codec_context.max_b_frames = b_frames
        if times is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=mirrored)
        heard = None
        if sound is not None:
            layout = "stereo" if len(sound) == 2 else "mono"
            heard = container.add_stream(sound_codec, rate=sound_rate, layout=layout)
        # Sound and pictures take turns, second by second, as a muxer of real clips has them.
        place = 0
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            if times is None:
                frame.pts, frame.time_base = number, Fraction(1, rate)
            else:
                frame.pts, frame.time_base = round(times[number] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
            while heard is not None and place < sound.shape[1] and place / sound_rate <= number / rate:
                place = _mux_sound(container, heard, sound, place, sound_rate)
        container.mux(stream.encode(None))
        if heard is not None:
            while place < sound.shape[1]:
                place = _mux_sound(container, heard, sound, place, sound_rate)
            container.mux(heard.encode(None))
    return str(path)


def _mux_sound(container, stream, sound: np.ndarray, place: int, rate: int) -> int:
    size = stream.codec_context.frame_size or 1024
    block = np.ascontiguousarray(sound[:, place : place + size], np.float32)
    if stream.codec_context.format.name.startswith("s16"):
        block = np.rint(block.T.reshape(1, -1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout=stream.layout.name)
    else:
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=stream.layout.name)
    frame.sample_rate, frame.pts, frame.time_base = rate, place, Fraction(1, rate)
    container.mux(stream.encode(frame))
    return place + size
