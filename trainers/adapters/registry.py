"""Which adapters there are: a name for each, its settings, and how a finished run's is built again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from feature_repo.errors import UnknownNameError
from trainers.config import AdapterConfig, KANConfig

if TYPE_CHECKING:
    from trainers.adapters.scaled_adapter import ScaledAdapter

# Name, as `train --model` and a run's record have it -> the settings.
ADAPTERS: Mapping[str, type[AdapterConfig]] = {"mlp": AdapterConfig, "kan": KANConfig}


def adapter_config(name: str) -> type[AdapterConfig]:
    """The settings of an adapter.

    Raises:
        UnknownNameError: no adapter has that name.
    """
    if name not in ADAPTERS:
        raise UnknownNameError("model", name, ADAPTERS)
    return ADAPTERS[name]


def adapter_name(config: AdapterConfig) -> str:
    """The adapter that the settings are of."""
    return next(name for name, kind in ADAPTERS.items() if type(config) is kind)


def adapter_shape(config: AdapterConfig) -> dict[str, Any]:
    """What beside width and classes decides the shapes of an adapter's parameters, as a run's record keeps it."""
    shape: dict[str, Any] = {"hidden": list(config.hidden)}
    if isinstance(config, KANConfig):
        shape["spline"] = {"grid": config.grid, "order": config.order, "span": config.span}
    return shape


def build_adapter(
    name: str, width: int, classes: int, shape: Mapping[str, Any], dropout: float = 0.0
) -> ScaledAdapter:
    """An adapter with fresh weights.

    Args:
        name: of ``ADAPTERS``.
        width: numbers per input row.
        classes: number of classes.
        shape: of :func:`adapter_shape`, or a run's record, which holds it.
        dropout: matters in training only.
    """
    from trainers.adapters.kan_adapter import (
        KANAdapter,  # torch: not for a caller that wants the settings only
    )
    from trainers.adapters.mlp_adapter import MLPAdapter

    if name == "kan":
        return KANAdapter(width, classes, hidden=shape["hidden"], dropout=dropout, **shape["spline"])
    return MLPAdapter(width, classes, hidden=shape["hidden"], dropout=dropout)
