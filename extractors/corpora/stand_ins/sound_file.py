"""Sound files of a stand-in: 16-bit wav, or AAC in m4a."""

import io
import wave
from pathlib import Path

import numpy as np

from extractors.corpora.demo_voice import RATE, Samples


def write_sound(path: Path, sound: Samples, rate: int) -> None:
    """Write a mono sound file, whole or not at all.

    Args:
        path: its ending is ``.wav`` or ``.m4a``.
        sound: ``[n]`` at 16 kHz, within -1 to 1.
        rate: samples per second of the file.
    """
    if rate != RATE:
        import soxr  # reading needs none of it where files have 16 kHz

        sound = soxr.resample(sound, RATE, rate)
    data = _m4a(sound, rate) if path.suffix == ".m4a" else _wav(sound, rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.half")
    half.write_bytes(data)
    half.replace(path)


def _wav(sound: Samples, rate: int) -> bytes:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(np.rint(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return sink.getvalue()


def _m4a(sound: Samples, rate: int) -> bytes:
    import av  # loads ffmpeg

    sink = io.BytesIO()
    with av.open(sink, "w", format="ipod", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("aac", rate=rate, layout="mono", options={"aac_coder": "fast"})
        stream.codec_context.thread_count = 1  # threads would make the bytes depend on the machine
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None], np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return sink.getvalue()
