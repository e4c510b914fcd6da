"""Decoding: the sound of an audio or video file as 16 kHz mono, or the reason why there is none (DESIGN 8.2)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from extractors.protocol import SAMPLE_RATE, Waveform
from feature_repo.outcome import Fact, Fault

DECODE_VERSION = 1  # raised whenever the decoded samples change: it enters every audio recipe

CENTRE_OF_SIX = 2  # dialogue is in the centre channel, index 2 of FL FR FC LFE BL BR (papers/000 III-D)
SILENT_PEAK = 1e-4  # -80 dBFS: below the least significant bits of 16-bit sound that dither may leave
LONGEST_S = 3600.0  # an utterance never is: the manifest lacks its span, and memory has an end
# Containers that state an exact duration, so that a missing end can be told; mp3 only guesses.
_EXACT_FORMATS = {"wav", "w64", "aiff", "flac", "mov,mp4,m4a,3gp,3g2,mj2"}
_LOST_S = 0.25  # a container may round its duration up by a packet or two, or pad the last one
# An AAC frame needs the frame before it, and a container's index may be coarse.
_PREROLL_S = 0.5


class MediaError(Exception):
    """Why a file's sound can't be used: the name of the class is the reason in the fault ledger.

    Args:
        message: names the file.
        facts: what is known of the media.
    """

    stage = "media"

    def __init__(self, message: str, **facts: Fact) -> None:
        super().__init__(message)
        self.facts = facts

    def fault(self) -> Fault:
        """The fault that tells of it."""
        return Fault(self.stage, type(self).__name__, str(self), dict(self.facts))


class MissingMedia(MediaError):
    """The file is not there or can't be read."""


class NoAudioTrack(MediaError):
    """The file has no sound track."""


class EmptyAudio(MediaError):
    """No sample lies in the file or in the span."""


class TooLong(MediaError):
    """More sound than an utterance can have."""


class SilentAudio(MediaError):
    """The sound is silence."""


class TooShort(MediaError):
    """Less sound than the model needs."""


class Undecodable(MediaError):
    """The decoder refused the file."""

    stage = "decode"


class TruncatedMedia(Undecodable):
    """The file ends before the sound that its header announces."""


class NotFinite(Undecodable):
    """The file holds NaN or infinite samples."""


@dataclass(frozen=True)
class Sound:
    """Decoded sound.

    Attributes:
        samples: ``[n]`` float32, mono, 16 kHz.
        facts: path, channels, rate and duration of the file.
    """

    samples: Waveform
    facts: dict[str, Fact] = field(default_factory=dict)


def is_silent(samples: Waveform) -> bool:
    """Whether no sample reaches -80 dBFS."""
    return bool(np.abs(samples).max(initial=0.0) < SILENT_PEAK)


def decode_audio(uri: str, start_s: float | None = None, end_s: float | None = None) -> Sound:
    """The sound of a file or of a span of it.

    Of six channels index 2 is taken before any downmix, of two the one with the higher energy in the span (the first
    of equals), of any other number their mean. Resampled with soxr (HQ) in a stream, so that memory holds the span
    at 16 kHz and one packet of the source.

    Args:
        uri: a path, a ``file://`` or any other fsspec URL.
        start_s: seconds from the file's start; None is the start.
        end_s: seconds from the file's start; None is the end.

    Raises:
        MediaError: a subclass that tells the reason, with the media's facts.
    """
    import av  # loads ffmpeg

    facts: dict[str, Fact] = {"path": uri, "start_s": start_s, "end_s": end_s}
    source = _open(uri, facts)
    try:
        container = av.open(source, metadata_errors="replace")
    except FileNotFoundError as error:
        raise MissingMedia(f"{uri}: no such file", **facts) from error
    except PermissionError as error:
        raise MissingMedia(f"{uri}: may not be read", **facts) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise Undecodable(f"{uri}: not a readable audio or video file ({_reason(error)})", **facts) from error
    with container:
        if not container.streams.audio:
            raise NoAudioTrack(f"{uri}: has no audio track", **facts)
        try:
            return _decode(container, uri, start_s, end_s, facts)
        except (av.FFmpegError, ValueError) as error:
            raise Undecodable(f"{uri}: decoding failed ({_reason(error)})", **facts) from error


def _open(uri: str, facts: dict[str, Fact]) -> Any:
    if "://" not in uri or uri.startswith("file://"):
        path = Path(uri.removeprefix("file://"))
        if not path.is_file():
            raise MissingMedia(f"{uri}: no such file", **facts)
        facts["size"] = path.stat().st_size
        if not facts["size"]:
            raise EmptyAudio(f"{uri}: the file is empty", **facts)
        return str(path)
    import fsspec  # only for stores of media elsewhere

    try:
        return fsspec.open(uri, "rb").open()
    except OSError as error:
        raise MissingMedia(f"{uri}: can't be opened ({error})", **facts) from error


def _decode(
    container: Any, uri: str, start_s: float | None, end_s: float | None, facts: dict[str, Fact]
) -> Sound:
    stream = container.streams.audio[0]
    rate, channels = int(stream.rate or 0), int(stream.channels or 0)
    facts |= {"channels": channels, "rate": rate}
    if rate < 1 or channels < 1:
        raise Undecodable(f"{uri}: its header says {rate} Hz and {channels} channels", **facts)
    announced = _announced_s(container, stream)
    if announced is not None:
        facts["duration_s"] = round(announced, 3)
    start = max(start_s or 0.0, 0.0)
    if end_s is not None and end_s <= start:
        raise EmptyAudio(f"{uri}: the span {start} s to {end_s} s is empty", **facts)
    stream.thread_type = "NONE"  # files are decoded side by side; threads within one only cost
    mixer = _Mixer(rate, channels)
    reached = 0.0
    for block, at in _blocks(container, stream, start, end_s):
        if not np.isfinite(block).all():
            raise NotFinite(f"{uri}: holds NaN or infinite samples near {at:.2f} s", **facts)
        reached = at + block.shape[1] / rate
        mixer.add(block)
        if mixer.seconds > LONGEST_S:
            raise TooLong(f"{uri}: more than {LONGEST_S:.0f} s for one utterance; give its span", **facts)
    wanted_end = announced if end_s is None else (min(end_s, announced) if announced is not None else None)
    exact = container.format.name in _EXACT_FORMATS
    if exact and wanted_end is not None and wanted_end > start and reached < wanted_end - _LOST_S:
        raise TruncatedMedia(
            f"{uri}: the header announces {announced:.2f} s, decoding ended at {reached:.2f} s", **facts
        )
    samples = mixer.finish()
    if not len(samples):
        where = (
            ""
            if start_s is None and end_s is None
            else f" from {start} s to {end_s if end_s is not None else 'the end'}"
        )
        raise EmptyAudio(f"{uri}: no sound{where}", **facts)
    facts["decoded_s"] = round(len(samples) / SAMPLE_RATE, 3)
    return Sound(samples, facts)


def _announced_s(container: Any, stream: Any) -> float | None:
    if container.format.name == "wav":
        # ffmpeg derives a wav's duration from the file's size when bytes are missing; the header knows better.
        announced = _wav_header_s(container.name)
        if announced is not None:
            return announced
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None


def _wav_header_s(name: str) -> float | None:
    try:
        with Path(name).open("rb") as source:
            head = source.read(1 << 16)
    except (OSError, TypeError, ValueError):
        return None
    place, rate_bytes = 12, 0
    while head[:4] == b"RIFF" and place + 8 <= len(head):
        kind, size = head[place : place + 4], int.from_bytes(head[place + 4 : place + 8], "little")
        if kind == b"fmt ":
            rate_bytes = int.from_bytes(head[place + 16 : place + 20], "little")
        if kind == b"data":
            # A writer that could not seek back leaves 0 or the largest number: it announces nothing.
            unknown = size in (0, 0xFFFFFFFF, 0x7FFFFFFF) or size >= 0xFFFFFF00
            return None if unknown or not rate_bytes else size / rate_bytes
        place += 8 + size + size % 2
    return None


def _blocks(
    container: Any, stream: Any, start: float, end_s: float | None
) -> Iterator[tuple[npt.NDArray[np.float32], float]]:
    """Blocks ``[channels, n]`` of the span with the time of their first sample, in seconds."""
    origin = float((stream.start_time or 0) * stream.time_base) if stream.time_base is not None else 0.0
    if start > _PREROLL_S and stream.time_base is not None:
        container.seek(int((origin + start - _PREROLL_S) / stream.time_base), stream=stream, backward=True)
    rate = stream.rate
    first = round(start * rate)
    last = None if end_s is None else round(end_s * rate)
    # Blocks are placed by their time stamp once; from there on samples are counted, since stamps are rounded.
    place: int | None = None
    for frame in container.decode(stream):
        if frame.sample_rate != rate or frame.layout.nb_channels != stream.channels:
            raise ValueError(
                f"it changes to {frame.sample_rate} Hz, {frame.layout.nb_channels} channels midway"
            )
        block = _planar(frame)
        if place is None:
            stamped = frame.pts is not None and frame.time_base is not None and start > _PREROLL_S
            place = round((float(frame.pts * frame.time_base) - origin) * rate) if stamped else 0
        begin, place = place, place + block.shape[1]
        if last is not None and begin >= last:
            return
        block = block[:, max(first - begin, 0) : None if last is None else last - begin]
        if block.shape[1]:
            yield block, max(first, begin) / rate


def _planar(frame: Any) -> npt.NDArray[np.float32]:
    """A frame as ``[channels, n]`` float32, full scale at one; channels in the file's order, nothing mixed."""
    data: npt.NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    if data.dtype == np.uint8:
        data = (data.astype(np.float32) - 128.0) / 128.0
    elif data.dtype.kind == "i":
        data = data / float(2 ** (8 * data.dtype.itemsize - 1))
    return data.astype(np.float32)


class _Mixer:
    """Reduces channels to one and resamples, block by block."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate = rate
        self._channels = channels
        self._energy = np.zeros(2)
        self._chunks: list[npt.NDArray[np.float32]] = []
        self._kept = 2 if channels == 2 else 1
        self._count = 0
        self._resampler: Any = None
        if rate != SAMPLE_RATE:
            import soxr

            self._resampler = soxr.ResampleStream(
                rate, SAMPLE_RATE, self._kept, dtype="float32", quality="HQ"
            )

    @property
    def seconds(self) -> float:
        return self._count / self._rate

    def add(self, block: npt.NDArray[np.float32]) -> None:
        self._count += block.shape[1]
        if self._channels == 6:
            block = block[CENTRE_OF_SIX : CENTRE_OF_SIX + 1]
        elif self._channels == 2:
            self._energy += np.square(block, dtype=np.float64).sum(axis=1)
        elif self._channels > 1:
            block = block.mean(axis=0, keepdims=True)
        self._push(block, last=False)

    def _push(self, block: npt.NDArray[np.float32], *, last: bool) -> None:
        if self._resampler is None:
            self._chunks.append(block)
            return
        frames = np.ascontiguousarray(block.T if self._kept == 2 else block[0])
        out = self._resampler.resample_chunk(frames, last=last)
        self._chunks.append(out.T if self._kept == 2 else out[None])

    def finish(self) -> Waveform:
        if not self._count:
            return np.empty(0, np.float32)
        if self._resampler is not None:
            self._push(np.empty((self._kept, 0), np.float32), last=True)
        louder = int(self._energy[1] > self._energy[0])
        chosen = louder if self._kept == 2 else 0
        return np.ascontiguousarray(np.concatenate([chunk[chosen] for chunk in self._chunks]), np.float32)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
