"""Which parameters weight decay pulls to zero, which it leaves alone, and which learn at a rate of their own."""

from collections.abc import Mapping
from typing import Any

from torch import nn

_NORMS = (
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)


def parameter_groups(
    model: nn.Module, weight_decay: float, rates: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """The model's parameters in the groups that torch's optimizers take: decayed, then undecayed.

    Undecayed are parameters that carry ``_no_weight_decay``, as in mamba_ssm: a Mamba block's ``A_log``, ``D`` and bias
    of the step sizes. Zero means nothing special there: it would be decays of one per unit of time, no skip, and step
    sizes of 0.7. Norms' scales and shifts are undecayed too, since the layer behind a norm undoes any change of its
    scale, so that decay there only raises the effective learning rate. Other biases decay with their weights: they are
    few and near zero, and the papers, which name a decay, leave none out.

    Args:
        model: whose parameters that need a gradient are meant, each once.
        weight_decay: of the decayed group.
        rates: learning rate by the name of a part of the model (``encoders.text``): its parameters are in groups of
            their own behind the others, with that rate as ``lr``. See :func:`own_rates`.

    Returns:
        Dictionaries of ``params`` and ``weight_decay``; a group without parameters is left out.
    """
    kept = {
        id(parameter) for parameter in model.parameters() if getattr(parameter, "_no_weight_decay", False)
    }
    for module in model.modules():
        if isinstance(module, _NORMS):
            kept |= {id(parameter) for parameter in module.parameters(recurse=False)}
    groups: list[dict[str, Any]] = []
    for lr, learned in by_rate(model, rates or {}):
        own = {} if lr is None else {"lr": lr}
        groups += [
            {"params": [one for one in learned if id(one) not in kept], "weight_decay": weight_decay, **own},
            {"params": [one for one in learned if id(one) in kept], "weight_decay": 0.0, **own},
        ]
    return [group for group in groups if group["params"]]


def own_rates(model: nn.Module) -> Mapping[str, float]:
    """Learning rates of parts of the model by their names: its attribute ``rates``, empty for most models."""
    rates: Mapping[str, float] = getattr(model, "rates", {})
    return rates


def by_rate(model: nn.Module, rates: Mapping[str, float]) -> list[tuple[float | None, list[nn.Parameter]]]:
    """The parameters that need a gradient, by their learning rate: those of no named part first, whose rate is None."""
    learned: dict[str, list[nn.Parameter]] = {name: [] for name in ("", *rates)}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = next((part for part in rates if name.startswith(f"{part}.")), "")
            learned[part].append(parameter)
    return [(rates.get(part), found) for part, found in learned.items()]
