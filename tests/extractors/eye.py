"""An eye that reads the numbers of numbered pictures."""

from collections.abc import Sequence

from extractors.clip import decode_clip
from extractors.protocol import Frame
from feature_repo.outcome import Fault
from tests.extractors.numbered_video import number_of


class Eye:
    """Reads the numbers of the pictures that it is shown."""

    def __init__(self, sampling: str = "seconds") -> None:
        self.sampling = sampling
        self.chunks: list[int] = []

    def look(self, frames: Sequence[Frame]) -> list[tuple[float, int]]:
        self.chunks.append(len(frames))
        return [(frame.time_s, number_of(frame.image)) for frame in frames]


def seen(path: str, start: float | None = None, end: float | None = None, sampling: str = "seconds"):
    (found,) = decode_clip(path, start, end, sound=False, watchers=[Eye(sampling)]).seen
    return found


def fault(path: str, start: float | None = None, end: float | None = None) -> Fault:
    found = seen(path, start, end)
    assert isinstance(found, Fault), found
    return found
