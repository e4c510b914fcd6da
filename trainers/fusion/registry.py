"""The models over slots there are, by name: their settings without torch, the models with it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.fusion.config import (
    ConversationConfig,
    CrossModalTransformerConfig,
    FusionConfig,
    GatedFusionConfig,
    MambaAdapterConfig,
    MambaFusionConfig,
    TokenTransformerConfig,
)
from trainers.fusion.slots import Slot

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FusionModel:
    """A registered model.

    Attributes:
        config: class of its settings.
        module: where the model is, imported when it is built.
        name: its class there.
        reads: what a batch is: ``utterances`` (a mapping of ``SlotInput``) or ``dialogues`` (``DialogueBatch``).
    """

    config: type[FusionConfig]
    module: str
    name: str
    reads: str = "utterances"


_MODELS = {
    "mamba": FusionModel(MambaFusionConfig, "mamba_fusion", "MambaFusion"),
    "mamba-adapter": FusionModel(MambaAdapterConfig, "mamba_adapter", "MambaAdapter"),
    "gated": FusionModel(GatedFusionConfig, "gated_fusion", "GatedFusion"),
    "token-transformer": FusionModel(TokenTransformerConfig, "token_transformer", "TokenTransformer"),
    "cross-modal-transformer": FusionModel(
        CrossModalTransformerConfig, "cross_modal_transformer", "CrossModalTransformer"
    ),
    "conversation": FusionModel(ConversationConfig, "conversation", "ConversationModel", "dialogues"),
}


def fusion_names() -> list[str]:
    """Names of all fusion models, sorted."""
    return sorted(_MODELS)


def fusion_model(name: str) -> FusionModel:
    """The registered model; nothing is imported yet.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in _MODELS:
        raise UnknownNameError("fusion model", name, fusion_names())
    return _MODELS[name]


def build(name: str, slots: Sequence[Slot], classes: int, config: FusionConfig | None = None) -> nn.Module:
    """A model with fresh parameters, drawn from torch's global generator.

    Args:
        name: registered name.
        slots: inputs.
        classes: number of classes.
        config: settings; the model's defaults if not given.

    Raises:
        UnknownNameError: no such model.
        BadInputError: settings of another model, or slots that none can read.
    """
    entry = fusion_model(name)
    chosen = entry.config() if config is None else config
    if type(chosen) is not entry.config:
        raise BadInputError(
            f"fusion model {name!r} has settings {type(chosen).__name__}; allowed: {entry.config.__name__}"
        )
    kind = getattr(importlib.import_module(f"trainers.fusion.{entry.module}"), entry.name)
    return cast("nn.Module", kind(slots, classes, chosen))
