"""What extractors of text share: what they read of a dialogue, and the settings that say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from extractors.corruption import corrupted_texts
from extractors.protocol import Extractor, Item, Needs, Outputs
from extractors.settings import Settings, runtime
from feature_repo.context import SEPARATOR, TextReading
from feature_repo.errors import BadInputError
from feature_repo.outcome import Features
from feature_repo.recipe import Reads

if TYPE_CHECKING:
    import polars as pl

    from extractors.encoders.hidden_states import Encoded

S = TypeVar("S", bound="TextSettings")
_FINGERPRINT = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class TextSettings(Settings):
    """Settings of an extractor of text.

    Attributes:
        context: turns before the utterance that are read with it, at most; 7 and 9 in papers/003 section 2.3.
        prefix: whether each turn begins with ``speaker=<id>`` (papers/003 section 2.3).
        separator: stands between two turns.
        transcript: read what was heard instead of the corpus's text: a view of transcripts or their slot.
        corrupt: share of words that are lost or mistaken (:func:`~extractors.corruption.corrupted`), for robustness: a
            view of its own.
        corrupt_seed: other words of every utterance.
    """

    context: int = 0
    prefix: bool = False
    separator: str = SEPARATOR
    transcript: str = runtime("")  # the recipe's input
    corrupt: float = 0.0
    corrupt_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context < 0:
            raise BadInputError(f"context={self.context}: must be at least 0")
        if self.separator != SEPARATOR and not self.context:
            raise BadInputError(f"separator={self.separator!r}: there is nothing to separate with context=0")
        if not 0 <= self.corrupt <= 1:
            raise BadInputError(f"corrupt={self.corrupt}: must be a share of the words, 0 to 1")
        if self.corrupt_seed and not self.corrupt:
            raise BadInputError(f"corrupt_seed={self.corrupt_seed}: there is nothing to draw with corrupt=0")

    @property
    def reading(self) -> TextReading:
        """What is read of a dialogue."""
        return TextReading(self.context, self.prefix, self.separator)

    @property
    def reads(self) -> Reads:
        """What a row's content key hashes."""
        return "rows" if self.transcript else "text"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Fingerprint of the transcripts' recipe, where they are read.

        Raises:
            BadInputError: the transcripts were not looked up in a store.
        """
        if self.transcript and not _FINGERPRINT.fullmatch(self.transcript):
            raise BadInputError(
                f"transcript={self.transcript!r}: must be the fingerprint of a recipe of transcripts; a view or slot "
                "is known to a store alone (extractors.transcript_source)"
            )
        return (self.transcript,) if self.transcript else ()


def own_words(settings: S) -> S:
    """The settings with which a text is read by itself, whoever says it: as it is compared with another text."""
    plain: dict[str, Any] = {
        item.name: item.default for item in fields(TextSettings) if item.name != "batch_size"
    }
    return replace(settings, **plain)


class TextExtractor(Extractor):
    """An extractor of text; an item's text is what is read for it, the turns before included."""

    needs: ClassVar[Needs] = "text"
    settings: TextSettings

    def cost(self, item: Item) -> float:
        """Characters, which tokens grow with."""
        return len(item.text)

    def texts(self, manifest: pl.DataFrame) -> pl.Series:
        """What is read for each row of whole dialogues; each turn's words are corrupted by themselves."""
        settings = self.settings
        if settings.corrupt:
            manifest = manifest.with_columns(
                corrupted_texts(manifest, settings.corrupt, settings.corrupt_seed)
            )
        return self.settings.reading.texts(manifest)


def word_outputs(
    batch: Sequence[Item], outputs: Collection[str], encode: Callable[[list[str]], Encoded]
) -> list[Outputs]:
    """The outcome of each item of one pass over the batch's texts; one without words is a legitimate nothing.

    Args:
        batch: what is read.
        outputs: ``text``, and ``text_steps`` where the words are wanted.
        encode: gives the vectors of texts with words.
    """
    texts = [item.text for item in batch if item.text.strip()]
    nothing: Outputs = dict.fromkeys(outputs, Features(None, "empty text"))
    if not texts:
        return [nothing] * len(batch)
    encoded = encode(texts)
    computed: list[Outputs] = []
    for index in range(len(texts)):
        found = {"text": Features(encoded.pooled[index])}
        if encoded.steps is not None:
            words = encoded.steps[index]
            found["text_steps"] = Features(words) if len(words) else Features(None, "no tokens")
        computed.append(found)
    following = iter(computed)
    return [next(following) if item.text.strip() else nothing for item in batch]
