"""The Mamba adapter: its size by hand, its parts put together by hand, and that it reads the order of steps."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.trainers.fusion.fusion_batches import SLOTS, batch
from tests.trainers.fusion.test_mamba_fusion import mamba_parameters
from tests.trainers.fusion.test_mamba_stack import mamba2_parameters
from trainers.fusion.config import MambaAdapterConfig
from trainers.fusion.inputs import SlotInput
from trainers.fusion.mamba_adapter import MambaAdapter
from trainers.fusion.slots import Slot


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(("version", "block"), [(1, mamba_parameters), (2, mamba2_parameters)])
def test_size(version: int, block: object) -> None:
    model = MambaAdapter((Slot("face", 512),), 7, MambaAdapterConfig(version=version))
    assert callable(block)
    assert _parameters(model) == 512 * 128 + 128 + block(128, 16) + 128 * 7 + 7 + 512


def test_one_sequence_is_the_block_on_projected_steps() -> None:
    torch.manual_seed(0)
    model = MambaAdapter((Slot("text", 12),), 7, MambaAdapterConfig(width=8)).eval()
    text = batch(rows=1)["text"]
    model.inputs.scale_by("text", text.values[0])
    (block,) = model.blocks.forwards
    scaled = (text.values - text.values[0].mean(0)) / text.values[0].var(0, correction=0).mean().sqrt()
    hidden = block(scaled @ model.projection.weight.T + model.projection.bias).mean(1)
    torch.testing.assert_close(model.hidden({"text": text}), hidden, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(model({"text": text}), model.head(hidden), rtol=1e-4, atol=1e-6)


def test_several_stand_side_by_side_on_each_step() -> None:
    torch.manual_seed(0)
    model = MambaAdapter(SLOTS, 7, MambaAdapterConfig(width=8)).eval()
    given = batch(rows=1, tokens=4, frames=4)
    given["face"] = replace(given["face"], lengths=torch.tensor([4]))
    steps = torch.cat(
        [given["text"].values, given["face"].values, given["speaker"].values[:, None].expand(-1, 4, -1)], 2
    )
    (block,) = model.blocks.forwards
    torch.testing.assert_close(model.hidden(given), block(model.projection(steps)).mean(1))


def test_dropout_falls_on_steps_and_on_the_hidden_layer() -> None:
    torch.manual_seed(0)
    model = MambaAdapter((Slot("text", 12),), 7, MambaAdapterConfig(width=8, dropout=0.5)).train()
    seen: list[torch.Size] = []
    model.dropout.register_forward_hook(lambda _, given, made: seen.append(given[0].shape))
    model({"text": batch(rows=3)["text"]})
    assert seen == [(3, 7, 8), (3, 8)]


def test_depth_and_residual_blocks() -> None:
    config = MambaAdapterConfig(width=16, depth=2, block="residual")
    model = MambaAdapter((Slot("text", 12),), 7, config)
    plain = MambaAdapter((Slot("text", 12),), 7, replace(config, block="plain"))
    assert _parameters(model) - _parameters(plain) == 3 * 16
    assert len(model.blocks.forwards) == 2


def test_it_learns_what_only_the_order_of_steps_tells() -> None:
    # The same two vectors in each row: which comes first is the class. A mean of the steps can't tell.
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    pair = torch.randn(2, 12, generator=generator) * 2
    labels = torch.arange(64) % 2
    order = torch.stack([labels, 1 - labels], dim=1)
    values = pair[order] + 0.1 * torch.randn(64, 2, 12, generator=generator)
    text = SlotInput(values, torch.ones(64, dtype=torch.bool), torch.full((64,), 2))
    model = MambaAdapter((Slot("text", 12),), 2, MambaAdapterConfig(width=16, dropout=0.0))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model({"text": text}), labels).backward()
        optimizer.step()
    assert float((model({"text": text}).argmax(1) == labels).float().mean()) == 1.0
