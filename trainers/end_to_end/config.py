"""Settings of the end-to-end model and of its training (papers/003 sections 3.3, 4.4 and 5.2)."""

from dataclasses import dataclass, field
from typing import Any, Literal

from feature_repo.context import SEPARATOR, TextReading
from feature_repo.errors import BadInputError
from trainers.fusion.config import TokenTransformerConfig

_ENCODERS = "papers/003 5.2"


def _assumed(why: str) -> dict[str, str]:
    return {"why": why}


def _folder(source: str) -> dict[str, Any]:
    """Of a setting that says where weights lie: a run's key holds their digest in its place."""
    return {"source": source, "by_digest": True}


@dataclass(frozen=True)
class EndToEndConfig(TokenTransformerConfig):
    """What the end-to-end model has beside the modality-token Transformer, whose settings are its fusion's.

    ``lr`` is the fusion's learning rate, and each encoder has one of its own.

    Attributes:
        speech_model: WavLM folder or hub model; empty leaves the sound out.
        text_model: RoBERTa folder or hub model; empty leaves the words out.
        encoders: ``frozen``: only the fusion learns (stage 1, which stored features give at a fraction of the time);
            ``tuned``: the encoders learn too (stage 2).
        speech_lr: learning rate of the speech encoder.
        text_lr: learning rate of the text encoder.
        frontend_frozen_epochs: first epochs in which the speech encoder's convolutions stay as they are; a number
            above ``max_epochs`` leaves them alone for good.
        speech_pooling: how the speech encoder's frames become one vector: ``mean`` or ``mean-std``.
        text_pooling: how the text encoder's tokens do: ``cls``, ``mean`` or ``mean-std``.
        max_seconds: only so much sound is read, from the start; 0 is everything.
        max_length: tokens that are read of a text, special ones included; 0 is the model's own limit.
        context: turns of the dialogue before the utterance that are read with it; 0 is the utterance alone.
        prefix: whether each turn says who speaks.
        separator: stands between two turns.
        languages: ISO 639-1 codes that the text encoder knows; texts in another are not read. Empty for any.
        like_lengths: make batches of sounds of like length, which share a pass of the encoder; random ones otherwise.
    """

    lr: float = field(default=1e-4, metadata=_assumed("papers/003 4.4 has a lower rate in stage 2, unstated"))
    speech_model: str = field(default="microsoft/wavlm-base", metadata=_folder(_ENCODERS))
    text_model: str = field(default="FacebookAI/roberta-base", metadata=_folder(_ENCODERS))
    encoders: Literal["frozen", "tuned"] = field(
        default="tuned", metadata={"source": "papers/003 4.4, stage 2"}
    )
    speech_lr: float = field(
        default=1e-5, metadata=_assumed("papers/003 has encoder-specific rates, unstated")
    )
    text_lr: float = field(default=1e-5, metadata=_assumed("papers/003 has encoder-specific rates, unstated"))
    frontend_frozen_epochs: int = field(
        default=1, metadata=_assumed("papers/003 3.3: frozen early in training, for how long is unstated")
    )
    speech_pooling: Literal["mean", "mean-std"] = field(default="mean-std", metadata={"source": _ENCODERS})
    text_pooling: Literal["cls", "mean", "mean-std"] = field(default="cls", metadata={"source": _ENCODERS})
    max_seconds: float = field(default=15.0, metadata={"source": "papers/003 2.3"})
    max_length: int = field(default=0, metadata=_assumed("unstated; as far as the model reads"))
    context: int = field(
        default=0, metadata=_assumed("papers/003 2.3 has 7 and 9 in fine-tuning on MELD only")
    )
    prefix: bool = field(default=False, metadata=_assumed("papers/003 2.3 has it with the context"))
    separator: str = field(default=SEPARATOR, metadata=_assumed("unstated; the text extractors'"))
    languages: tuple[str, ...] = field(
        default=("en",), metadata=_assumed("RoBERTa's; ESD's Mandarin is left to its sound")
    )
    like_lengths: bool = field(default=False, metadata=_assumed("order and batches as from stored features"))

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "languages", tuple(self.languages))
        _check("speech_model", self.speech_model, bool(self.speech_model or self.text_model), _ONE_OF_TWO)
        _check("encoders", self.encoders, self.encoders in ("frozen", "tuned"), "frozen, tuned")
        for name in ("speech_lr", "text_lr"):
            value = getattr(self, name)
            _check(name, value, value > 0, "above 0; encoders=frozen leaves both encoders as they are")
        for name in ("frontend_frozen_epochs", "context"):
            value = getattr(self, name)
            _check(name, value, value >= 0, "0 or more")
        _check(
            "max_seconds", self.max_seconds, 0 <= self.max_seconds < float("inf"), "0 (everything) or more"
        )
        _check(
            "max_length", self.max_length, self.max_length not in (1, 2) and self.max_length >= 0, _LENGTHS
        )
        _check(
            "speech_pooling",
            self.speech_pooling,
            self.speech_pooling in ("mean", "mean-std"),
            "mean, mean-std",
        )
        poolings = ("cls", "mean", "mean-std")
        _check("text_pooling", self.text_pooling, self.text_pooling in poolings, ", ".join(poolings))

    @property
    def reading(self) -> TextReading:
        """What is read of a dialogue's texts."""
        return TextReading(self.context, self.prefix, self.separator)


_ONE_OF_TWO = "a model, or text_model must name one"
_LENGTHS = "0 (the model's own), or 3 or more"


def _check(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise BadInputError(f"config key {name!r} is {value!r}; allowed: {allowed}")
