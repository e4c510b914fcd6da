"""Sentence embeddings, pooled and per token, from any sentence-transformers model (papers/000 III-B1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from extractors.encoders.sentence import SentenceEncoder, sentence_widths
from extractors.protocol import Item, Outputs
from extractors.registry import register
from extractors.settings import ModelSettings, Settings, runtime
from extractors.text_extractor import TextExtractor, TextSettings, word_outputs
from extractors.weights import locate, weights_digest
from feature_repo.errors import BadInputError
from feature_repo.recipe import Recipe, identity_settings

CODE_VERSION = 1


@dataclass(frozen=True)
class SentenceSettings(TextSettings, ModelSettings):
    """Settings of sentence embeddings.

    Attributes:
        model: the paper's by default (papers/000 III-B1c).
        tokens: whether the token vectors are stored too; the pooled vectors are the same either way.
        max_length: tokens read of a text, special ones included; 0 is the model's own limit.
        languages: ISO 639-1 codes that the model knows; utterances in another are left out. Empty for any.
        compute_dtype: number type of the forward pass.
    """

    model: str = runtime("sentence-transformers/all-mpnet-base-v2")
    tokens: bool = runtime(True)
    max_length: int = 0
    # These two are fields of the recipe itself.
    languages: tuple[str, ...] = runtime(("en",))
    compute_dtype: Literal["float32", "float16", "bfloat16"] = runtime("float32")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 0 or self.max_length in (1, 2):
            raise BadInputError(f"max_length={self.max_length}: must be 0 (the model's own) or at least 3")


@register
class Sentence(TextExtractor):
    """A sentence-transformers model; a text without a word is a legitimate nothing."""

    name: ClassVar[str] = "sentence"
    modality: ClassVar[str] = "text"
    Settings: ClassVar[type[Settings]] = SentenceSettings
    batch_tolerance: ClassVar[float] = 2e-3  # float16 tokens round at 5e-4 of their magnitude, twice
    summary: ClassVar[str] = "sentence-transformers model, pooled and per token"
    settings: SentenceSettings

    def __init__(self, settings: SentenceSettings) -> None:
        super().__init__(settings)
        self._recipes: dict[str, Recipe] = {}
        self._encoder: SentenceEncoder | None = None

    def recipes(self) -> Mapping[str, Recipe]:
        """The pooled recipe, and the token recipe in float16."""
        if not self._recipes:
            settings = self.settings
            folder = locate(settings.model, download=settings.download)
            widths = sentence_widths(folder)
            common = Recipe(
                "text",
                self.name,
                CODE_VERSION,
                settings.reads,
                "pooled",
                widths.pooled,
                weights=weights_digest(folder),
                compute_dtype=settings.compute_dtype,
                languages=settings.languages,
                settings=identity_settings(settings),
                inputs=settings.inputs,
            )
            self._recipes["text"] = common
            if settings.tokens:
                steps = common.identity() | {"layout": "steps", "width": widths.token, "dtype": "float16"}
                self._recipes["text_steps"] = Recipe.from_identity(steps)
        return self._recipes

    def load(self, device: str) -> None:
        """Load the model onto the device."""
        settings = self.settings
        self._encoder = SentenceEncoder(
            locate(settings.model, download=settings.download),
            device,
            max_length=settings.max_length,
            compute_dtype=settings.compute_dtype,
            # Of what was said before the oldest is cut, never what is said now.
            truncation_side="left" if settings.context else None,
        )
        if settings.tokens and self._encoder.prompt:
            raise BadInputError(
                f"model {settings.model!r} puts the prompt {self._encoder.prompt!r} before every text, whose tokens "
                "would be stored as words: set tokens=no"
            )

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        """One forward pass over the batch's texts."""
        assert self._encoder is not None, "load() comes first"
        encoder, tokens = self._encoder, self.settings.tokens
        return word_outputs(batch, self.recipes(), lambda texts: encoder.encode(texts, tokens=tokens))
