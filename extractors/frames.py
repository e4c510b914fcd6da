"""Frames of a clip at given times: what a contact sheet shows."""

from collections.abc import Sequence

from extractors.clip import show
from extractors.pictures import Wish
from extractors.protocol import Frame


def frames_at(uri: str, start_s: float | None, end_s: float | None, times: Sequence[float]) -> list[Frame]:
    """The pictures at some times, in order of time, each time once; one pass over the clip, no seek for each.

    A time outside the clip has no frame. A still image is one frame, whatever the times.

    Args:
        uri: a path, a ``file://`` or any other fsspec URL.
        start_s: seconds from the file's start at which the utterance begins; None is the start.
        end_s: seconds from the file's start; None is the end.
        times: seconds from the utterance's start, such as a row's ``frame_times``.

    Raises:
        MediaError: a subclass that tells why there are no frames.
    """
    kept: list[Frame] = []

    def keep(frames: Sequence[Frame]) -> Sequence[Frame]:
        kept.extend(frames)
        return frames

    show(uri, start_s, end_s, [Wish(lambda duration: [float(time) for time in times], keep)])
    return kept
