"""Hashed bag of words: no weights, no vocabulary (papers/003 section 2.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from extractors.protocol import Item, Outputs
from extractors.registry import register
from extractors.settings import Settings
from extractors.text_extractor import TextExtractor, TextSettings
from feature_repo.errors import BadInputError
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe, identity_settings

CODE_VERSION = 1


@dataclass(frozen=True)
class HashingSettings(TextSettings):
    """Settings of the hashed bag of words.

    Attributes:
        width: numbers per utterance; 768 in papers/003 section 2.2.
    """

    width: int = 768

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 1:
            raise BadInputError(f"hashing width={self.width}: must be at least 1")


@register
class Hashing(TextExtractor):
    """scikit-learn's HashingVectorizer: words of two letters or more, signed hashes, L2 norm."""

    name: ClassVar[str] = "hashing"
    modality: ClassVar[str] = "text"
    Settings: ClassVar[type[Settings]] = HashingSettings
    uses_device: ClassVar[bool] = False
    summary: ClassVar[str] = "hashed bag of words, no weights, any language"
    settings: HashingSettings

    def __init__(self, settings: HashingSettings) -> None:
        super().__init__(settings)
        self._vectorizer: Any = None

    def recipes(self) -> Mapping[str, Recipe]:
        """One pooled text recipe."""
        # The width is the recipe's own field; as a setting it would only repeat it.
        settings = self.settings
        stated = {key: value for key, value in identity_settings(settings).items() if key != "width"}
        return {
            "text": Recipe(
                "text",
                self.name,
                CODE_VERSION,
                settings.reads,
                "pooled",
                settings.width,
                settings=stated,
                inputs=settings.inputs,
            )
        }

    def load(self, device: str) -> None:
        """Nothing to load; scikit-learn is imported here."""
        from sklearn.feature_extraction.text import HashingVectorizer

        self._vectorizer = HashingVectorizer(n_features=self.settings.width)

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        """One vector each; a text without a word is a legitimate nothing."""
        rows = self._vectorizer.transform([item.text for item in batch]).toarray().astype(np.float32)
        outcomes: list[Outputs] = []
        for item, row in zip(batch, rows, strict=True):
            if row.any():
                outcomes.append({"text": Features(row)})
            else:
                outcomes.append({"text": Features(None, "no words" if item.text.strip() else "empty text")})
        return outcomes
