"""Settings of the text encoder's fine-tuning: the paper's where it states one, else assumed with the reason."""

from dataclasses import dataclass, field
from typing import Literal

from feature_repo.errors import BadInputError
from trainers.config import Precision

_PAPER = {"source": "papers/000 III-B1c"}
_DATA = {"source": "papers/000 III-C2"}


def _assumed(why: str) -> dict[str, str]:
    return {"why": why}


@dataclass(frozen=True)
class TextEncoderConfig:
    """How texts are chosen, and how the encoder and its head are fitted.

    Attributes:
        per_emotion: texts of each emotion over all sources and parts together.
        shortfall: where an emotion has too few texts, ``cap`` takes what there is, ``oversample`` repeats its training
            texts until the emotion has its share of training.
        splits: ``own`` keeps a text in the part that its corpus puts it in and draws for corpora without splits only;
            ``drawn`` draws for all.
        validation_share: share of the texts that are drawn to select the checkpoint on.
        test_share: share of the texts that are drawn to score on.
        several: what becomes of a text that rows of different emotions have: ``drop`` it, or ``keep`` a row of each.
        languages: rows that state another language are left out.
        epochs: passes over the training texts.
        max_steps: training ends after this many steps; 0 leaves it to the epochs.
        lr: AdamW's learning rate.
        head_lr: that of the head's two layers; 0 is the encoder's.
        batch_size: texts a batch.
        weight_decay: AdamW's, on matrices; biases and norms have none.
        warmup: share of the steps in which the learning rate rises from 0.
        decay: after the warm-up the learning rate stays (``none``) or falls to 0 at the last step (``linear``).
        clip_norm: gradients longer than this together are brought to this length; 0 leaves them.
        accumulate: batches whose gradients make one step.
        label_smoothing: share of the target spread evenly over the classes.
        precision: what the training steps multiply in; weights stay float32. float16 needs a GPU.
        validate_every: steps between two validations, each of which may be the best; 0 is at the end of each epoch.
        max_length: tokens that training reads of a text, special ones included; 0 is the model's own limit. The saved
            encoder keeps its own.
        head_width: units between the head's two layers; 0 is the embedding's width.
        head_dropout: chance of dropping a unit before each of the head's layers.
        head_scaling: ``unit`` multiplies embeddings that the encoder brings to length 1 by the root of their width, so
            that their features vary as a fresh layer expects; ``none`` takes them as they are.

    Raises:
        BadInputError: a value outside its range.
    """

    per_emotion: int = field(default=6200, metadata=_DATA)
    shortfall: Literal["cap", "oversample"] = field(
        default="cap",
        metadata=_assumed("the paper doesn't say what it did about disgust, which has few texts"),
    )
    splits: Literal["own", "drawn"] = field(
        default="own",
        metadata=_assumed("a corpus's test texts stay unseen, so that others can be scored on them"),
    )
    validation_share: float = field(
        default=0.1, metadata=_assumed("unstated; as in the corpora that have splits")
    )
    test_share: float = field(default=0.1, metadata=_assumed("unstated; as in the corpora that have splits"))
    several: Literal["drop", "keep"] = field(
        default="drop", metadata=_assumed("one text can't have two targets; the paper doesn't mention them")
    )
    languages: tuple[str, ...] = field(default=("en",), metadata=_assumed("the paper's encoder is English"))
    epochs: int = field(default=3, metadata=_PAPER)
    max_steps: int = field(default=0, metadata=_assumed("the paper trains whole epochs"))
    lr: float = field(default=2e-5, metadata=_PAPER)
    head_lr: float = field(default=0.0, metadata=_assumed("the paper names one learning rate"))
    batch_size: int = field(default=16, metadata=_PAPER)
    weight_decay: float = field(default=0.01, metadata=_PAPER)
    warmup: float = field(default=0.0, metadata=_assumed("the paper names no warm-up"))
    decay: Literal["none", "linear"] = field(default="none", metadata=_assumed("the paper names no schedule"))
    clip_norm: float = field(default=0.0, metadata=_assumed("the paper names no clipping"))
    accumulate: int = field(default=1, metadata=_assumed("the paper names no accumulation"))
    label_smoothing: float = field(default=0.0, metadata=_assumed("the paper names no smoothing here"))
    precision: Precision = field(default="float32", metadata=_assumed("the paper names no precision"))
    validate_every: int = field(default=0, metadata=_PAPER)
    max_length: int = field(default=128, metadata=_assumed("the paper truncates without saying where"))
    head_width: int = field(default=0, metadata=_assumed("the paper names two linear layers, not the width"))
    head_dropout: float = field(default=0.1, metadata=_assumed("unstated; the encoder's own"))
    head_scaling: Literal["unit", "none"] = field(
        default="unit",
        metadata=_assumed("unstated; without it a fresh head hardly moves at the paper's rate"),
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "languages", tuple(self.languages))
        _range("per_emotion", self.per_emotion, self.per_emotion >= 1, "1 or more")
        for name in ("validation_share", "test_share"):
            share = getattr(self, name)
            _range(name, share, 0 < share < 1, "between 0 and 1")
        held_out = self.validation_share + self.test_share
        _range("test_share", self.test_share, held_out < 1, "below 1 together with validation_share")
        for name in ("lr", "batch_size", "epochs", "accumulate"):
            _range(name, getattr(self, name), getattr(self, name) > 0, "above 0")
        for name in ("max_steps", "head_lr", "weight_decay", "clip_norm", "validate_every", "head_width"):
            _range(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        for name in ("warmup", "label_smoothing", "head_dropout"):
            _range(name, getattr(self, name), 0 <= getattr(self, name) < 1, "from 0 to below 1")
        _range(
            "max_length", self.max_length, self.max_length == 0 or self.max_length >= 3, "0, or 3 and more"
        )


def _range(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise BadInputError(f"config key {name!r} is {value!r}; allowed: {allowed}")
