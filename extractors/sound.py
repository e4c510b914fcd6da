"""The sound of a clip as 16 kHz mono, gathered block by block by the channel rule (DESIGN 8.2, papers/000 III-D)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from extractors.media import (
    EXACT_FORMATS,
    LONGEST_S,
    LOST_S,
    EmptyAudio,
    NotFinite,
    TooLong,
    TruncatedMedia,
    Undecodable,
)
from extractors.protocol import SAMPLE_RATE, Waveform
from feature_repo.outcome import Fact

DECODE_VERSION = 1  # raised whenever the decoded samples change: it enters every audio recipe

CENTRE_OF_SIX = 2  # dialogue is in the centre channel, index 2 of FL FR FC LFE BL BR (papers/000 III-D)
MEAN = -1  # in place of a channel's index
SILENT_PEAK = 1e-4  # -80 dBFS: below the least significant bits of 16-bit sound that dither may leave
_ROOM = 1 << 15  # samples that a growing sound has room for: two seconds
# An AAC frame needs the frame before it, and a container's index may be coarse.
PREROLL_S = 0.5


@dataclass(frozen=True)
class Sound:
    """Decoded sound.

    Attributes:
        samples: ``[n]`` float32, mono, 16 kHz.
        facts: path, rate, duration, channels of the file, and ``channel``: the index of the one that was taken, -1
            where it was their mean or the only one.
    """

    samples: Waveform
    facts: dict[str, Fact] = field(default_factory=dict)


def is_silent(samples: Waveform) -> bool:
    """Whether no sample reaches -80 dBFS."""
    return bool(np.abs(samples).max(initial=0.0) < SILENT_PEAK)


class SoundTrack:
    """One clip's sound track: takes decoded frames in order, gives the span's sound.

    Of six channels index 2 is taken before any downmix, of two the one with the higher energy in the span (the first
    of equals), of any other number their mean. Resampled with soxr (HQ) in a stream, so that memory holds the span
    at 16 kHz and one packet of the source.

    Args:
        container: PyAV's container.
        stream: its sound stream.
        uri: names the file in messages.
        start_s: seconds from the track's start; None is the start.
        end_s: seconds from the track's start; None is the end.
        facts: what is known of the file, gains what is found.

    Attributes:
        done: whether the span is complete; further frames are not wanted.

    Raises:
        MediaError: a subclass that tells why there can't be sound.
    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        uri: str,
        start_s: float | None,
        end_s: float | None,
        facts: dict[str, Fact],
    ) -> None:
        self.stream = stream
        self.done = False
        self._uri, self._start_s, self._end_s, self._facts = uri, start_s, end_s, facts
        self._rate, self._channels = int(stream.rate or 0), int(stream.channels or 0)
        facts |= {"channels": self._channels, "rate": self._rate}
        if self._rate < 1 or self._channels < 1:
            raise Undecodable(
                f"{uri}: its header says {self._rate} Hz and {self._channels} channels", **facts
            )
        self._announced = _announced_s(container, stream)
        if self._announced is not None:
            facts["duration_s"] = round(self._announced, 3)
        self._start = max(start_s or 0.0, 0.0)
        if end_s is not None and end_s <= self._start:
            raise EmptyAudio(f"{uri}: the span {self._start} s to {end_s} s is empty", **facts)
        self._exact = container.format.name in EXACT_FORMATS
        self._mixer = _Mixer(self._rate, self._channels)
        self._first = round(self._start * self._rate)
        self._last = None if end_s is None else round(end_s * self._rate)
        # Blocks are placed by their time stamp once; from there on samples are counted, since stamps are rounded.
        self._place: int | None = None
        self._reached = 0.0

    def seek_to(self) -> int | None:
        """Where in the stream's time base decoding should begin; None is the file's start."""
        if self._start <= PREROLL_S or self.stream.time_base is None:
            return None
        return int((self._origin() + self._start - PREROLL_S) / self.stream.time_base)

    def add(self, frame: Any) -> None:
        """Take the next decoded frame.

        Raises:
            MediaError: NaN in it, another format than before, too much sound.
        """
        if frame.sample_rate != self._rate or frame.layout.nb_channels != self.stream.channels:
            raise Undecodable(
                f"{self._uri}: decoding failed (it changes to {frame.sample_rate} Hz, "
                f"{frame.layout.nb_channels} channels midway)",
                **self._facts,
            )
        block = _planar(frame)
        if self._place is None:
            stamped = frame.pts is not None and frame.time_base is not None and self._start > PREROLL_S
            self._place = (
                round((float(frame.pts * frame.time_base) - self._origin()) * self._rate) if stamped else 0
            )
        begin, self._place = self._place, self._place + block.shape[1]
        if self._last is not None and begin >= self._last:
            self.done = True
            return
        block = block[:, max(self._first - begin, 0) : None if self._last is None else self._last - begin]
        if not block.shape[1]:
            return
        at = max(self._first, begin) / self._rate
        if not np.isfinite(block).all():
            raise NotFinite(f"{self._uri}: holds NaN or infinite samples near {at:.2f} s", **self._facts)
        self._reached = at + block.shape[1] / self._rate
        self._mixer.add(block)
        if self._mixer.seconds > LONGEST_S:
            raise TooLong(
                f"{self._uri}: more than {LONGEST_S:.0f} s for one utterance; give its span", **self._facts
            )

    def finish(self) -> Sound:
        """The sound of the span.

        Raises:
            TruncatedMedia: the file ended before what its header announces.
            EmptyAudio: no sample lies in the span.
        """
        announced, end_s = self._announced, self._end_s
        wanted_end = (
            announced if end_s is None else (min(end_s, announced) if announced is not None else None)
        )
        if (
            self._exact
            and wanted_end is not None
            and wanted_end > self._start
            and self._reached < wanted_end - LOST_S
        ):
            raise TruncatedMedia(
                f"{self._uri}: the header announces {announced:.2f} s, decoding ended at {self._reached:.2f} s",
                **self._facts,
            )
        samples = self._mixer.finish()
        if not len(samples):
            where = (
                ""
                if self._start_s is None and end_s is None
                else f" from {self._start} s to {end_s if end_s is not None else 'the end'}"
            )
            raise EmptyAudio(f"{self._uri}: no sound{where}", **self._facts)
        self._facts |= {
            "channel": self._mixer.channel,
            "decoded_s": round(len(samples) / SAMPLE_RATE, 3),
        }
        return Sound(samples, self._facts)

    def _origin(self) -> float:
        if self.stream.time_base is None:
            return 0.0
        return float((self.stream.start_time or 0) * self.stream.time_base)


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
        self._length = 0
        self._kept = 2 if channels == 2 else 1
        self._samples = [np.empty(0, np.float32) for _ in range(self._kept)]
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
            self._keep(block)
            return
        frames = np.ascontiguousarray(block.T if self._kept == 2 else block[0])
        out = self._resampler.resample_chunk(frames, last=last)
        self._keep(out.T if self._kept == 2 else out[None])

    def _keep(self, chunk: npt.NDArray[np.float32]) -> None:
        begin, self._length = self._length, self._length + chunk.shape[1]
        for samples, new in zip(self._samples, chunk, strict=True):
            if self._length > len(samples):
                # Grown in place, so that an hour is neither held twice nor left behind in shreds.
                samples.resize(self._length + max(_ROOM, self._length // 32), refcheck=False)
            samples[begin : self._length] = new

    @property
    def channel(self) -> int:
        """Index of the channel that :meth:`finish` gives, -1 for the mean or the only one."""
        if self._channels == 6:
            return CENTRE_OF_SIX
        return int(self._energy[1] > self._energy[0]) if self._channels == 2 else MEAN

    def finish(self) -> Waveform:
        if not self._count:
            return np.empty(0, np.float32)
        if self._resampler is not None:
            self._push(np.empty((self._kept, 0), np.float32), last=True)
        chosen = self.channel if self._kept == 2 else 0
        samples = self._samples[chosen]
        self._samples = []
        samples.resize(self._length, refcheck=False)
        return samples
