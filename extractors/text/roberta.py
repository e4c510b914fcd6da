"""Hidden states of RoBERTa or BERT as text embeddings (papers/003 sections 2.2 and 3.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from extractors.encoders.hidden_states import Pooling, pooled_width
from extractors.encoders.roberta import RobertaConfig, RobertaEncoder
from extractors.protocol import Item, Outputs
from extractors.registry import register
from extractors.settings import ModelSettings, Settings, runtime
from extractors.text_extractor import TextExtractor, TextSettings, word_outputs
from extractors.weights import locate, weights_digest
from feature_repo.errors import BadInputError
from feature_repo.recipe import Recipe, identity_settings

CODE_VERSION = 1


@dataclass(frozen=True)
class RobertaSettings(TextSettings, ModelSettings):
    """Settings of RoBERTa's hidden states.

    Attributes:
        model: the paper's by default (papers/003 section 2.2).
        pooling: ``cls``, the first token (papers/003 section 3.3); ``mean`` or ``mean-std`` over all tokens.
        tokens: whether the states of the words are stored too.
        max_length: tokens read of a text, special ones included; 0 is the model's own limit.
        languages: ISO 639-1 codes that the model knows; utterances in another are left out. Empty for any.
        compute_dtype: number type of the forward pass.
    """

    model: str = runtime("FacebookAI/roberta-base")
    pooling: Pooling = "cls"
    tokens: bool = runtime(False)
    max_length: int = 0
    # These two are fields of the recipe itself.
    languages: tuple[str, ...] = runtime(("en",))
    compute_dtype: Literal["float32", "float16", "bfloat16"] = runtime("float32")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 0 or self.max_length in (1, 2):
            raise BadInputError(f"max_length={self.max_length}: must be 0 (the model's own) or at least 3")


@register
class Roberta(TextExtractor):
    """The last hidden states of a RoBERTa or BERT, pooled and, where wanted, of each word."""

    name: ClassVar[str] = "roberta"
    modality: ClassVar[str] = "text"
    Settings: ClassVar[type[Settings]] = RobertaSettings
    batch_tolerance: ClassVar[float] = 2e-3  # float16 tokens round at 5e-4 of their magnitude, twice
    summary: ClassVar[str] = "hidden states of RoBERTa or BERT"
    settings: RobertaSettings

    def __init__(self, settings: RobertaSettings) -> None:
        super().__init__(settings)
        self._recipes: dict[str, Recipe] = {}
        self._encoder: RobertaEncoder | None = None

    def recipes(self) -> Mapping[str, Recipe]:
        """The pooled recipe, and that of the words in float16."""
        if not self._recipes:
            settings = self.settings
            folder = locate(settings.model, download=settings.download)
            width = RobertaConfig.read(folder).width
            stated = identity_settings(settings)
            pooled = Recipe(
                "text",
                self.name,
                CODE_VERSION,
                settings.reads,
                "pooled",
                pooled_width(settings.pooling, width),
                weights=weights_digest(folder),
                compute_dtype=settings.compute_dtype,
                languages=settings.languages,
                settings=stated,
                inputs=settings.inputs,
            )
            self._recipes["text"] = pooled
            if settings.tokens:
                stated.pop("pooling", None)  # changes no word's states
                changed = {"layout": "steps", "width": width, "dtype": "float16", "settings": stated}
                self._recipes["text_steps"] = Recipe.from_identity(pooled.identity() | changed)
        return self._recipes

    def load(self, device: str) -> None:
        """Load the model onto the device."""
        settings = self.settings
        self._encoder = RobertaEncoder(
            locate(settings.model, download=settings.download),
            device,
            compute_dtype=settings.compute_dtype,
            max_length=settings.max_length,
            pooling=settings.pooling,
            # Of what was said before the oldest is cut, never what is said now.
            truncation_side="left" if settings.context else "right",
        )

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        """One forward pass over the batch's texts."""
        assert self._encoder is not None, "load() comes first"
        encoder, tokens = self._encoder, self.settings.tokens
        return word_outputs(batch, self.recipes(), lambda texts: encoder.encode(texts, tokens=tokens))
