"""The pictures of a clip: which decoded frame is shown at a time, upright and in RGB (papers/000 III-D)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from extractors.held_bytes import held_bytes
from extractors.media import (
    EXACT_FORMATS,
    LONGEST_S,
    LOST_S,
    NoFrames,
    TooLong,
    TruncatedMedia,
)
from extractors.protocol import Frame
from extractors.sampling import EVERY_S, FIRST_S
from feature_repo.outcome import Fact, Fault

CHUNK_FRAMES = 8  # frames handed over at once: enough for a detector's batch
CHUNK_BYTES = 64 << 20  # or this much, which 8K pictures reach earlier
# What was seen of one clip is settled whenever so much has come together: some 440 crops of 160 x 160 pixels.
SETTLE_BYTES = 32 << 20
STAMP_S = 1e-3  # Matroska rounds time stamps to a millisecond, and a stored time is a float32
NEAR_S = 0.5  # half of the sampling's step: a time so near to the first or last picture has that one
# Transport and program streams have no index: a seek ends at some packet, not at a keyframe.
_UNINDEXED = frozenset({"mpegts", "mpeg"})
_PREROLL_S = 0.5  # so that the sound, which follows the picture's seek, has its own
_UNINDEXED_PREROLL_S = 12.0  # longer than broadcasters' groups of pictures


@dataclass
class Wish:
    """Frames that somebody wants to look at.

    Attributes:
        times: seconds that the clip lasts to the times wanted, ascending, in seconds from its start.
        look: called with some consecutive frames; gives one entry a frame.
        settle: brings entries into a smaller form once they take ``SETTLE_BYTES``; None leaves them.
        stills: whether a still image is wanted.
        seen: the entries so far, or why there are none.
    """

    times: Callable[[float], Sequence[float]]
    look: Callable[[Sequence[Frame]], Sequence[Any]]
    settle: Callable[[Sequence[Any]], Sequence[Any]] | None = None
    stills: bool = True
    seen: list[Any] | Fault = field(default_factory=list)
    _pending: list[Frame] = field(default_factory=list)
    _handed: list[float] = field(default_factory=list)
    _settled: int = 0  # entries
    _unsettled_bytes: int = 0

    def add(self, frame: Frame, facts: dict[str, Fact]) -> None:
        """Take a frame, and hand over those that wait once they are enough."""
        if isinstance(self.seen, Fault):
            return
        self._pending.append(frame)
        full = len(self._pending) >= CHUNK_FRAMES
        if full or sum(each.image.nbytes for each in self._pending) >= CHUNK_BYTES:
            self.hand_over(facts)

    def hand_over(self, facts: dict[str, Fact]) -> None:
        """Have the waiting frames looked at; what goes wrong there concerns this wish alone."""
        if isinstance(self.seen, Fault) or not self._pending:
            return
        frames, self._pending = self._pending, []
        try:
            entries = list(self.look(frames))
            if len(entries) != len(frames):
                raise RuntimeError(f"{len(entries)} entries came back for {len(frames)} frames")
            self.seen += entries
            self._handed += [frame.time_s for frame in frames]
            self._unsettled_bytes += held_bytes(entries)
            if self.settle is not None and self._unsettled_bytes >= SETTLE_BYTES:
                self.seen[self._settled :] = self.settle(self.seen[self._settled :])
                self._settled, self._unsettled_bytes = len(self.seen), 0
        except Exception as error:
            self.seen = Fault.from_exception("extract", error, **facts)

    def keep(self, times: Sequence[float]) -> None:
        """Forget what was seen at other times."""
        if not isinstance(self.seen, Fault):
            wanted = set(times)
            self.seen = [entry for entry, time in zip(self.seen, self._handed, strict=True) if time in wanted]


def upright(frame: Any) -> npt.NDArray[np.uint8]:
    """The picture as RGB ``[height, width, 3]``, turned as its display matrix or EXIF data says.

    A video that is to be mirrored is mirrored; a photo with such EXIF data is only turned, see the comment.
    """
    image: npt.NDArray[np.uint8] = frame.to_ndarray(format="rgb24", threads=1)
    a, b, c, d = _display_matrix(frame)
    # A point (x, y) goes to (a x + c y, b x + d y).
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.transpose(1, 0, 2)
        mirror_x, mirror_y = c < 0, b < 0
    else:
        mirror_x, mirror_y = a < 0, d < 0
    return np.ascontiguousarray(image[:: -1 if mirror_y else 1, :: -1 if mirror_x else 1])


def _display_matrix(frame: Any) -> tuple[float, float, float, float]:
    try:
        if "DISPLAYMATRIX" in frame.side_data:
            values = np.frombuffer(frame.side_data["DISPLAYMATRIX"], np.int32)
            return float(values[0]), float(values[1]), float(values[3]), float(values[4])
    except ValueError:
        # PyAV 18 can't list side data of a kind that it has no name for, and a photo's EXIF data is one; its angle,
        # counterclockwise, is all that is left then.
        angle = np.deg2rad(frame.rotation)
        return float(np.cos(angle)), -float(np.sin(angle)), float(np.sin(angle)), float(np.cos(angle))
    return 1.0, 0.0, 0.0, 1.0


@dataclass
class _Shown:
    """A decoded frame, and from when to when it is on screen, in seconds from the clip's start."""

    frame: Any
    begins: float
    ends: float
    image: npt.NDArray[np.uint8] | None = None

    def at(self, time_s: float, still: bool = False) -> Frame:
        if self.image is None:
            self.image = upright(self.frame)
        return Frame(time_s, self.image, still)


class PictureTrack:
    """One clip's picture track: takes decoded frames in order, hands the wanted ones to who wants them.

    Times count from the span's start, and for a whole file from the container's, as a player shows it. The picture
    at a time is the last whose time stamp is not after it, whatever the frame rate does in between; a time up to half
    a second before the first picture or after the last has that one, any other time without a picture has none.
    Pictures that nobody wants are not converted, and at most ``CHUNK_FRAMES`` converted ones wait for one wish.

    Args:
        container: PyAV's container.
        stream: its picture stream.
        uri: names the file in messages.
        start_s: seconds from the container's start; None is the start.
        end_s: seconds from the container's start; None is the end.
        wishes: who wants which frames.
        facts: what is known of the file, gains what is found.

    Attributes:
        done: whether every wish is fulfilled; further frames are not wanted.

    Raises:
        MediaError: a subclass that tells why there can't be pictures.
    """

    def __init__(
        self,
        container: Any,
        stream: Any,
        uri: str,
        start_s: float | None,
        end_s: float | None,
        wishes: Sequence[Wish],
        facts: dict[str, Fact],
    ) -> None:
        self.stream = stream
        self.done = False
        self._uri, self._wishes, self._facts = uri, wishes, facts
        self._start = max(start_s or 0.0, 0.0)
        self._format = container.format.name
        self._still = self._format == "image2" or self._format.endswith("_pipe")
        base = stream.time_base
        first = None if stream.start_time is None or base is None else float(stream.start_time * base)
        # PyAV counts a container's times in microseconds.
        self._origin = container.start_time / 1e6 if container.start_time is not None else first or 0.0
        rate = stream.average_rate or stream.guessed_rate
        self._interval = 1 / float(rate) if rate else 0.04
        facts |= {"width": stream.width, "height": stream.height}
        if rate and not self._still:
            facts["frame_rate"] = round(float(rate), 3)
        self._announced: float | None = None
        if stream.duration is not None and base is not None:
            self._announced = float(stream.duration * base) + max((first or 0.0) - self._origin, 0.0)
        elif container.duration is not None:
            self._announced = container.duration / 1e6
        self._duration = self._length(end_s)
        self._previous: _Shown | None = None
        self._ends = -self._start  # of the latest frame
        self._count = 0
        # A length that nobody states is known at the end: frames wait until it is half a second, since the middle of
        # what is shorter is wanted.
        self._held: list[_Shown] | None = [] if self._duration is None else None
        self._queues: list[list[float]] = []
        if self._duration is not None:
            self._plan(self._duration)

    def _length(self, end_s: float | None) -> float | None:
        if self._still:
            return 0.0
        ends = [end for end in (end_s, self._announced) if end is not None]
        if not ends:
            return None
        length = min(ends) - self._start
        if end_s is not None and end_s <= self._start:
            raise NoFrames(f"{self._uri}: the span {self._start} s to {end_s} s is empty", **self._facts)
        if length <= 0 and self._start > 0:
            raise NoFrames(
                f"{self._uri}: ends at {min(ends):.2f} s, the span begins at {self._start} s", **self._facts
            )
        if length > LONGEST_S:
            raise self._too_long()
        return max(length, 0.0)

    def _too_long(self) -> TooLong:
        return TooLong(
            f"{self._uri}: more than {LONGEST_S:.0f} s for one utterance; give its span", **self._facts
        )

    def _plan(self, duration: float) -> None:
        self._queues = [sorted(set(wish.times(duration)))[::-1] for wish in self._wishes]

    def seek_to(self) -> int | None:
        """Where in the stream's time base decoding should begin; None is the file's start."""
        preroll = _UNINDEXED_PREROLL_S if self._format in _UNINDEXED else _PREROLL_S
        if self._still or self._start <= preroll or self.stream.time_base is None:
            return None
        return int((self._origin + self._start - preroll) / self.stream.time_base)

    def add(self, frame: Any) -> None:
        """Take the next decoded frame.

        Raises:
            TooLong: pictures go on for longer than an utterance can.
        """
        if self._still:
            for wish in self._wishes:
                if wish.stills:
                    wish.add(_Shown(frame, 0.0, 0.0).at(0.0, still=True), self._facts)
            self._count += 1
            self.done = True
            return
        begins = self._time(frame)
        lasts = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        shown = _Shown(frame, begins, begins + (lasts or self._interval))
        self._ends = shown.ends
        self._count += 1
        if begins > LONGEST_S:
            raise self._too_long()
        if self._held is None:
            self._show(shown)
            return
        if begins <= 0:
            self._held = []  # what came before the span, up to its last picture
        self._held.append(shown)
        if begins > FIRST_S:
            self._plan(LONGEST_S + EVERY_S)
            self._release()

    def _time(self, frame: Any) -> float:
        if frame.pts is not None and frame.time_base is not None:
            return float(frame.pts * frame.time_base) - self._origin - self._start
        # A raw stream states no times: its frames follow each other.
        return self._ends

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for shown in held:
            self._show(shown)

    def _show(self, shown: _Shown) -> None:
        """The next picture comes on screen: until now the one before it was there."""
        for wish, queue in zip(self._wishes, self._queues, strict=True):
            while queue and queue[-1] + STAMP_S < shown.begins:
                time = queue.pop()
                if self._previous is not None:
                    wish.add(self._previous.at(time), self._facts)
                elif shown.begins - time <= NEAR_S:
                    wish.add(shown.at(time), self._facts)
        self._previous = shown
        self.done = all(
            not queue or isinstance(wish.seen, Fault)
            for wish, queue in zip(self._wishes, self._queues, strict=True)
        )

    def finish(self) -> None:
        """Hand over what waits.

        Raises:
            NoFrames: no picture lies in the file or the span.
            TruncatedMedia: the file ended before what its header announces.
        """
        if self._still or self.done:
            self._hand_over()
            if not self._count:
                raise NoFrames(f"{self._uri}: no picture", **self._facts)
            return
        unknown = self._duration is None
        if self._held:
            self._plan(self._held[-1].ends)
            self._release()
        last = self._previous
        if last is None or last.ends <= 0:
            self._hand_over()
            where = f" from {self._start} s on" if self._start else ""
            raise NoFrames(f"{self._uri}: no picture{where}", **self._facts)
        lost = LOST_S + self._interval
        if self._duration is not None and self._format in EXACT_FORMATS and last.ends < self._duration - lost:
            raise TruncatedMedia(
                f"{self._uri}: the header announces {self._start + self._duration:.2f} s of pictures, "
                f"decoding ended at {self._start + last.ends:.2f} s",
                **self._facts,
            )
        for wish, queue in zip(self._wishes, self._queues, strict=True):
            while queue and queue[-1] < last.ends + (0.0 if unknown else NEAR_S):
                wish.add(last.at(queue.pop()), self._facts)
        self._hand_over()
        if unknown:
            for wish in self._wishes:
                wish.keep(wish.times(last.ends))

    def _hand_over(self) -> None:
        for wish in self._wishes:
            wish.hand_over(self._facts)
