"""Which parameters decay, and at which rate each learns."""

import pytest
import torch
from torch import nn

from tests.trainers.fusion.fusion_batches import CLASSES, SLOTS, small
from trainers.adapters.mlp_adapter import MLPAdapter
from trainers.config import Optimizer, TrainingConfig
from trainers.examples import TensorExamples
from trainers.fusion.registry import build, fusion_names
from trainers.mamba.mamba import Mamba
from trainers.mamba.mamba2 import Mamba2
from trainers.optimisation import Optimisation
from trainers.parameter_groups import own_rates, parameter_groups


def _names(model: nn.Module) -> tuple[set[str], set[str]]:
    """Names of the decayed and of the undecayed."""
    named = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for group in parameter_groups(model, 0.1):
        assert group["weight_decay"] in (0.1, 0.0)
        found[group["weight_decay"] > 0] |= {named[id(one)] for one in group["params"]}
    return found[True], found[False]


def test_of_a_mamba_block_what_mamba_ssm_marks() -> None:
    decayed, undecayed = _names(Mamba(16, 4, bias=True))
    assert undecayed == {"A_log", "D", "dt_proj.bias"}
    assert decayed == {
        "in_proj.weight",
        "in_proj.bias",
        "conv1d.weight",
        "conv1d.bias",
        "x_proj.weight",
        "dt_proj.weight",
        "out_proj.weight",
        "out_proj.bias",
    }


def test_of_mamba_2_its_norm_too() -> None:
    decayed, undecayed = _names(Mamba2(16, 4, headdim=8))
    assert undecayed == {"A_log", "D", "dt_bias", "norm.weight"}
    assert decayed == {"in_proj.weight", "conv1d.weight", "conv1d.bias", "out_proj.weight"}


def test_norms_do_not_decay() -> None:
    decayed, undecayed = _names(MLPAdapter(8, 3, hidden=(4,)))
    assert undecayed == {"body.1.weight", "body.1.bias"}
    assert decayed == {"body.0.weight", "body.0.bias", "head.weight", "head.bias"}
    assert _names(nn.Sequential(nn.LayerNorm(4), nn.RMSNorm(4), nn.GroupNorm(2, 4)))[0] == set()


@pytest.mark.parametrize("name", fusion_names())
def test_every_parameter_is_in_one_group(name: str) -> None:
    model = build(name, SLOTS, CLASSES, small(name))
    grouped = [id(one) for group in parameter_groups(model, 0.1) for one in group["params"]]
    assert sorted(grouped) == sorted(id(one) for one in model.parameters())


def test_shared_and_frozen_parameters() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model[0].bias.requires_grad_(False)
    (only,) = parameter_groups(model, 0.1)
    assert {id(one) for one in only["params"]} == {id(model[0].weight), id(model[1].bias)}
    assert len(only["params"]) == 2


def test_without_gradients_adamw_shrinks_the_decayed_alone() -> None:
    model = Mamba(8, 2)
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    for one in model.parameters():
        one.grad = torch.zeros_like(one)
    torch.optim.AdamW(parameter_groups(model, 0.5), lr=0.1).step()
    for name, one in model.named_parameters():
        factor = 1.0 if name in ("A_log", "D", "dt_proj.bias") else 1 - 0.1 * 0.5
        torch.testing.assert_close(one.detach(), before[name] * factor)


def test_the_marks_outlive_a_move_and_a_loaded_state() -> None:
    model = Mamba(8, 2)
    model.load_state_dict(Mamba(8, 2).state_dict())
    assert _names(model.to(torch.float64))[1] == {"A_log", "D", "dt_proj.bias"}


class _InParts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rates = {"encoders.speech": 1e-4, "encoders.text": 2e-4}
        self.encoders = nn.ModuleDict(
            {"text": nn.Linear(2, 2), "speech": nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))}
        )
        self.encoders_head = nn.Linear(2, 2)  # begins like a part, and is none


def test_parts_with_rates_of_their_own_stand_behind_the_others() -> None:
    model = _InParts()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    told = [
        (group.get("lr"), group["weight_decay"], sorted(names[id(one)] for one in group["params"]))
        for group in parameter_groups(model, 0.1, own_rates(model))
    ]
    assert told == [
        (None, 0.1, ["encoders_head.bias", "encoders_head.weight"]),
        (1e-4, 0.1, ["encoders.speech.0.bias", "encoders.speech.0.weight"]),
        (1e-4, 0.0, ["encoders.speech.1.bias", "encoders.speech.1.weight"]),
        (2e-4, 0.1, ["encoders.text.bias", "encoders.text.weight"]),
    ]
    assert own_rates(nn.Linear(2, 2)) == {}


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_both_optimizers_step_each_part_at_its_rate(optimizer: Optimizer) -> None:
    model = _InParts()
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    config = TrainingConfig(optimizer=optimizer, lr=1e-2, weight_decay=0.0)
    examples = TensorExamples([torch.zeros(2, 2)], torch.zeros(2, dtype=torch.int64))
    chosen = Optimisation(model, examples, classes=("a", "b"), config=config).optimizer
    for one in model.parameters():
        one.grad = torch.ones_like(one)
    chosen.step()
    # Adam's first step is of the rate's length, whatever the gradient's.
    for name, one in model.named_parameters():
        lr = next((rate for part, rate in model.rates.items() if name.startswith(part + ".")), 1e-2)
        torch.testing.assert_close(one.detach(), before[name] - lr, rtol=0, atol=1e-6)
