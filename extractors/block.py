"""A block: a piece of an extraction that one process computes without the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BlockText = tuple[str, str, str | None]  # utterance_id, what is read of it, language
BlockClip = tuple[str, str, float | None, float | None]  # utterance_id, media_uri, start_s, end_s


@dataclass(frozen=True)
class Block:
    """Plain data: what is missing, and what is read for it.

    Attributes:
        missing: view to utterance ids.
        extractor: place of the extractor that reads ``texts``; None where all that read media share ``clips``.
        texts: what is read of each utterance, costliest first.
        clips: where each utterance's media lie, in the order of decoding.
    """

    missing: Mapping[str, Sequence[str]]
    extractor: int | None = None
    texts: tuple[BlockText, ...] = ()
    clips: tuple[BlockClip, ...] = ()

    @property
    def utterance_ids(self) -> list[str]:
        """Whose features it computes."""
        return [text[0] for text in self.texts] + [clip[0] for clip in self.clips]

    def halves(self) -> "list[Block]":
        """The block in two, or alone where it holds one utterance."""
        middle = len(self.utterance_ids) // 2
        if not middle:
            return [self]
        found = []
        for part in (slice(middle), slice(middle, None)):
            kept = set(self.utterance_ids[part])
            missing = {view: [each for each in ids if each in kept] for view, ids in self.missing.items()}
            found.append(Block(missing, self.extractor, self.texts[part], self.clips[part]))
        return found
