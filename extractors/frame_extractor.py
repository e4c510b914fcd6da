"""What extractors of frames share: which frames they look at, and what they keep of each."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from extractors.protocol import Extractor, Frame, Needs
from extractors.sampling import Sampling


class FrameExtractor(Extractor):
    """An extractor that looks at sampled frames while the clip is decoded, and keeps little of each.

    Frames are large and an hour has thousands: they are never held together. What :meth:`look` returns is, and
    reaches :meth:`extract` as ``Item.seen``.
    """

    needs: ClassVar[Needs] = "frames"

    @property
    @abstractmethod
    def sampling(self) -> Sampling:
        """Which frames of an utterance it looks at."""

    @abstractmethod
    def look(self, frames: Sequence[Frame]) -> list[Any]:
        """What is kept of each frame, one entry a frame, in order; called from several decoding threads.

        Args:
            frames: some consecutive sampled frames of one clip.
        """

    def settle(self, seen: Sequence[Any]) -> list[Any]:
        """What :meth:`look` kept, in a smaller form: asked for where a long clip's entries take much memory.

        Called from several decoding threads. By default the entries themselves.

        Args:
            seen: consecutive entries of one clip, none of them settled before.
        """
        return list(seen)
