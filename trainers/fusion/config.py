"""Settings of the fusion models and of their training: each knows whether a paper states it or we assumed it."""

from dataclasses import dataclass, field
from typing import Literal

from feature_repo.errors import BadInputError
from trainers.config import Optimizer, SelectionScore, TrainingConfig

_FUSION = {"source": "papers/000 III-B3"}
_GATED = {"source": "papers/003 3.1"}
_TOKENS = {"source": "papers/003 3.2"}
_RECIPE = {"source": "papers/003 4.3"}


def _assumed(why: str) -> dict[str, str]:
    return {"why": why}


@dataclass(frozen=True)
class FusionConfig(TrainingConfig):
    """What every fusion model's training has; defaults are those of papers/000 III-B3.

    Class weights are by corpus, so they are given with the experiment: MELD's are surprise 15, fear 15, disgust 6,
    joy 1, sadness 3, anger 6, neutral 4; IEMOCAP has none.

    Attributes:
        modality_dropout: chance of hiding a present slot of a row in training; never all of them.
        dropout: chance of dropping a unit before the head, in attention models inside the layers too.
        scaling: ``view`` centres every feature and divides each slot by one deviation of the training rows; ``none``
            leaves inputs as they are.
    """

    optimizer: Optimizer = field(default="adamw", metadata=_FUSION)
    lr: float = field(default=1e-5, metadata=_FUSION)
    weight_decay: float = field(
        default=0.01, metadata=_assumed("the paper names AdamW only; its usual value")
    )
    batch_size: int = field(default=32, metadata=_FUSION)
    max_epochs: int = field(default=100, metadata=_assumed("unstated; as many as the adapters'"))
    patience: int = field(default=10, metadata=_FUSION)
    plateau_factor: float = field(default=0.1, metadata=_assumed("unstated for fusion; the adapters'"))
    plateau_patience: int = field(default=5, metadata=_assumed("unstated for fusion; the adapters'"))
    selection: SelectionScore = field(default="weighted_f1", metadata=_FUSION)
    label_smoothing: float = field(default=0.2, metadata=_FUSION)
    modality_dropout: float = field(default=0.0, metadata=_assumed("papers/000 names none"))
    dropout: float = field(default=0.0, metadata=_assumed("papers/000 names none"))
    scaling: Literal["view", "none"] = field(
        default="view", metadata=_assumed("the paper doesn't say how inputs are scaled; as in the adapters")
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _choice("optimizer", self.optimizer, ("adam", "adamw"))
        _choice("scaling", self.scaling, ("view", "none"))
        _share("modality_dropout", self.modality_dropout)
        _share("dropout", self.dropout)


@dataclass(frozen=True)
class MambaFusionConfig(FusionConfig):
    """Settings of the Mamba fusion model (papers/000 III-B3).

    Attributes:
        depth: Mamba blocks.
        d_state: states per channel.
        d_conv: steps that the convolution sees.
        expand: channels of the scan per input width.
        version: 1 for Mamba's selective scan, 2 for Mamba-2.
        block: ``plain`` is Mamba alone; ``residual`` is ``x + Mamba(RMSNorm(x))`` and a last norm.
        absent: what stands for a slot that a row lacks: ``zero``, or a ``learned`` vector that starts as zeros.
    """

    depth: int = field(default=1, metadata=_FUSION)
    d_state: int = field(default=64, metadata=_FUSION)
    d_conv: int = field(default=4, metadata=_FUSION)
    expand: int = field(default=2, metadata=_FUSION)
    version: int = field(
        default=1, metadata=_assumed("the paper cites Mamba; d_state 64 is Mamba-2's usual size")
    )
    block: Literal["plain", "residual"] = field(
        default="plain", metadata=_assumed("the paper names neither a norm nor a residual")
    )
    absent: Literal["learned", "zero"] = field(
        default="learned",
        metadata=_assumed("the paper has no missing modality; equals zeros until it is learned"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("depth", "d_state", "d_conv", "expand"):
            _whole(name, getattr(self, name))
        _check("version", self.version, self.version in (1, 2), "1, 2")
        _choice("block", self.block, ("plain", "residual"))
        _choice("absent", self.absent, ("learned", "zero"))


@dataclass(frozen=True)
class _ReportConfig(FusionConfig):
    """What papers/003 trains both of its fusion models with."""

    optimizer: Optimizer = field(default="adamw", metadata=_RECIPE)
    lr: float = field(default=1e-3, metadata=_assumed("papers/003 states no rate"))
    weight_decay: float = field(default=0.01, metadata=_assumed("papers/003 names AdamW without its decay"))
    batch_size: int = field(default=32, metadata=_assumed("papers/003 states none; papers/000's"))
    patience: int = field(default=10, metadata=_assumed("papers/003 states none; papers/000's"))
    selection: SelectionScore = field(default="uar", metadata={"source": "papers/003 4.2"})
    label_smoothing: float = field(default=0.1, metadata=_RECIPE)
    modality_dropout: float = field(default=0.2, metadata={"source": "papers/003 5.1"})
    dropout: float = field(default=0.1, metadata=_assumed("papers/003 states none"))


@dataclass(frozen=True)
class GatedFusionConfig(_ReportConfig):
    """Settings of gated fusion (papers/003 section 3.1).

    Attributes:
        latent: width of the fused vector.
    """

    latent: int = field(default=128, metadata=_GATED)

    def __post_init__(self) -> None:
        super().__post_init__()
        _whole("latent", self.latent)


@dataclass(frozen=True)
class TokenTransformerConfig(_ReportConfig):
    """Settings of the modality-token Transformer (papers/003 section 3.2).

    Attributes:
        width: of the tokens.
        depth: pre-norm layers.
        heads: attention heads.
        ffn_mult: hidden width of the feed-forward network per token width.
    """

    width: int = field(default=256, metadata=_TOKENS)
    depth: int = field(default=4, metadata=_TOKENS)
    heads: int = field(default=8, metadata=_TOKENS)
    ffn_mult: int = field(default=4, metadata=_TOKENS)

    def __post_init__(self) -> None:
        super().__post_init__()
        _attention(self.width, self.depth, self.heads, self.ffn_mult)


@dataclass(frozen=True)
class CrossModalTransformerConfig(FusionConfig):
    """Settings of the token-level Transformer that Mamba fusion is compared with; the training is that model's.

    Attributes:
        width: of the tokens.
        depth: pre-norm layers.
        heads: attention heads.
        ffn_mult: hidden width of the feed-forward network per token width.
    """

    width: int = field(default=256, metadata=_assumed("the modality-token Transformer's, papers/003 3.2"))
    depth: int = field(default=4, metadata=_assumed("the modality-token Transformer's, papers/003 3.2"))
    heads: int = field(default=8, metadata=_assumed("the modality-token Transformer's, papers/003 3.2"))
    ffn_mult: int = field(default=4, metadata=_assumed("the modality-token Transformer's, papers/003 3.2"))

    def __post_init__(self) -> None:
        super().__post_init__()
        _attention(self.width, self.depth, self.heads, self.ffn_mult)
        _check("width", self.width, self.width % 2 == 0, "an even number, half sines and half cosines")


@dataclass(frozen=True)
class ConversationConfig(FusionConfig):
    """Settings of the conversation model. No paper of ours has one: all are assumed, to be chosen on validation.

    Attributes:
        width: of the turns inside the model.
        depth: residual Mamba blocks.
        d_state: states per channel.
        d_conv: turns that the convolution sees.
        expand: channels of the scan per width.
        version: 1 for Mamba's selective scan, 2 for Mamba-2.
        context: what a turn sees of its dialogue: the ``past``, or ``both`` directions.
        speakers: what is told of who speaks: ``role`` is the speaker's number in order of first words; ``same`` is
            whether a turn is by the speaker of the turn that is classified, at the cost of a pass per turn; ``none``.
        roles: speakers told apart by ``role``; all later ones share the last number.
        absent: what stands for a slot that a turn lacks: ``zero``, or a ``learned`` vector that starts as zeros.
    """

    optimizer: Optimizer = field(default="adamw", metadata=_assumed("no paper; as in fusion"))
    lr: float = field(default=1e-3, metadata=_assumed("no paper; Adam's usual rate"))
    batch_size: int = field(default=16, metadata=_assumed("no paper; dialogues, some ten turns each"))
    patience: int = field(default=10, metadata=_assumed("papers/000's for fusion"))
    selection: SelectionScore = field(default="weighted_f1", metadata=_assumed("papers/000's for fusion"))
    label_smoothing: float = field(default=0.0, metadata=_assumed("no paper"))
    modality_dropout: float = field(default=0.0, metadata=_assumed("no paper"))
    dropout: float = field(default=0.3, metadata=_assumed("the adapters', papers/000 III-B2"))
    width: int = field(default=128, metadata=_assumed("the adapters' last layer, papers/000 III-B2"))
    depth: int = field(default=1, metadata=_assumed("as in fusion, papers/000 III-B3"))
    d_state: int = field(default=16, metadata=_assumed("Mamba's own default"))
    d_conv: int = field(default=4, metadata=_assumed("as in fusion, papers/000 III-B3"))
    expand: int = field(default=2, metadata=_assumed("as in fusion, papers/000 III-B3"))
    version: int = field(default=1, metadata=_assumed("as in fusion"))
    context: Literal["past", "both"] = field(
        default="past", metadata=_assumed("papers/003 2: no future turns")
    )
    speakers: Literal["role", "same", "none"] = field(
        default="role", metadata=_assumed("linear in the turns")
    )
    roles: int = field(
        default=8, metadata=_assumed("MELD's dialogues have up to nine speakers, rarely over six")
    )
    absent: Literal["learned", "zero"] = field(default="learned", metadata=_assumed("as in fusion"))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "depth", "d_state", "d_conv", "expand", "roles"):
            _whole(name, getattr(self, name))
        _check("version", self.version, self.version in (1, 2), "1, 2")
        _choice("context", self.context, ("past", "both"))
        _choice("speakers", self.speakers, ("role", "same", "none"))
        _choice("absent", self.absent, ("learned", "zero"))


_PLANNED = "papers/002 plans a Mamba adapter without its settings; {}"


@dataclass(frozen=True)
class MambaAdapterConfig(FusionConfig):
    """Settings of the Mamba adapter (papers/002 plans it) and its training, which is the MLP adapter's.

    Attributes:
        width: of the steps inside the model, and of the vector that ``embed`` stores.
        depth: Mamba blocks.
        d_state: states per channel.
        d_conv: steps that the convolution sees.
        expand: channels of the scan per width.
        version: 1 for Mamba's selective scan, 2 for Mamba-2.
        block: ``plain`` is Mamba alone; ``residual`` is ``x + Mamba(RMSNorm(x))`` and a last norm.
        absent: what stands for a slot that a row lacks: ``zero``, or a ``learned`` vector that starts as zeros.
    """

    optimizer: Optimizer = field(default="adam", metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    lr: float = field(default=1e-3, metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    weight_decay: float = field(default=1e-5, metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    batch_size: int = field(default=32, metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    max_epochs: int = field(default=100, metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    patience: int = field(default=10, metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    plateau_factor: float = field(default=0.1, metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    plateau_patience: int = field(default=5, metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    selection: SelectionScore = field(
        default="weighted_f1", metadata=_assumed(_PLANNED.format("the MLP adapter's"))
    )
    label_smoothing: float = field(default=0.0, metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    dropout: float = field(default=0.3, metadata=_assumed(_PLANNED.format("the MLP adapter's")))
    width: int = field(default=128, metadata=_assumed(_PLANNED.format("the MLP adapter's last layer")))
    depth: int = field(default=1, metadata=_assumed(_PLANNED.format("as in fusion, papers/000 III-B3")))
    d_state: int = field(default=16, metadata=_assumed(_PLANNED.format("Mamba's own default")))
    d_conv: int = field(default=4, metadata=_assumed(_PLANNED.format("as in fusion, papers/000 III-B3")))
    expand: int = field(default=2, metadata=_assumed(_PLANNED.format("as in fusion, papers/000 III-B3")))
    version: int = field(default=1, metadata=_assumed(_PLANNED.format("as in fusion")))
    block: Literal["plain", "residual"] = field(
        default="plain", metadata=_assumed(_PLANNED.format("as in fusion"))
    )
    absent: Literal["learned", "zero"] = field(
        default="learned", metadata=_assumed(_PLANNED.format("as in fusion"))
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "depth", "d_state", "d_conv", "expand"):
            _whole(name, getattr(self, name))
        _check("version", self.version, self.version in (1, 2), "1, 2")
        _choice("block", self.block, ("plain", "residual"))
        _choice("absent", self.absent, ("learned", "zero"))


def _attention(width: int, depth: int, heads: int, ffn_mult: int) -> None:
    for name, value in (("width", width), ("depth", depth), ("heads", heads), ("ffn_mult", ffn_mult)):
        _whole(name, value)
    _check("width", width, width % heads == 0, f"a multiple of heads={heads}")


def _share(name: str, value: float) -> None:
    _check(name, value, 0 <= value < 1, "from 0 to below 1")


def _whole(name: str, value: int) -> None:
    _check(name, value, value >= 1, "1 or more")


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    _check(name, value, value in allowed, ", ".join(allowed))


def _check(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise BadInputError(f"config key {name!r} is {value!r}; allowed: {allowed}")
