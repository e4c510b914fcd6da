"""Mamba fusion: its size by hand, its parts put together by hand."""

from dataclasses import replace
from math import ceil

import pytest
import torch

from tests.trainers.fusion.fusion_batches import SLOTS, batch
from tests.trainers.fusion.test_mamba_stack import mamba2_parameters
from trainers.fusion.config import MambaFusionConfig
from trainers.fusion.inputs import SlotInput
from trainers.fusion.mamba_fusion import MambaFusion
from trainers.fusion.slots import Slot


def mamba_parameters(d_model: int, d_state: int, expand: int = 2, d_conv: int = 4) -> int:
    """Counted from the Mamba paper's block: two projections, a convolution, the scan's own."""
    inner, rank = expand * d_model, ceil(d_model / 16)
    projections = d_model * 2 * inner + inner * d_model
    convolution = inner * d_conv + inner
    scan = inner * (rank + 2 * d_state) + rank * inner + inner + inner * d_state + inner
    return projections + convolution + scan


@pytest.mark.parametrize(
    ("widths", "d_model"),
    [
        ({"text": 768}, 768),
        ({"text": 768, "face": 128}, 896),
        ({"text": 768, "face": 128, "speaker": 128}, 1024),
        ({"face": 128, "speaker": 128}, 256),
    ],
)
def test_the_papers_sizes(widths: dict[str, int], d_model: int) -> None:
    slots = [Slot(name, width, every_step=name == "speaker") for name, width in widths.items()]
    model = MambaFusion(slots, 7, MambaFusionConfig())
    counted = sum(parameter.numel() for parameter in model.parameters())
    absent = d_model
    assert counted == mamba_parameters(d_model, 64) + d_model * 7 + 7 + absent
    zero = MambaFusion(slots, 7, MambaFusionConfig(absent="zero"))
    assert sum(parameter.numel() for parameter in zero.parameters()) == counted - absent


def test_version_2_of_the_papers_size() -> None:
    model = MambaFusion((Slot("text", 128),), 7, MambaFusionConfig(version=2))
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == mamba2_parameters(128, 64) + 128 * 7 + 7 + 128
    text = SlotInput(torch.randn(2, 128), torch.ones(2, dtype=torch.bool))
    (block,) = model.blocks.forwards
    torch.testing.assert_close(model({"text": text}), model.head(block(text.values[:, None])[:, 0]))


def test_depth_and_residual_blocks() -> None:
    model = MambaFusion(SLOTS, 7, MambaFusionConfig(depth=3, block="residual", d_state=8))
    counted = sum(parameter.numel() for parameter in model.parameters())
    norms = 4 * 26
    assert counted == 3 * mamba_parameters(26, 8) + norms + 26 * 7 + 7 + 26
    plain = MambaFusion(SLOTS, 7, MambaFusionConfig(depth=3, d_state=8))
    assert sum(parameter.numel() for parameter in plain.parameters()) == counted - norms


def test_text_alone_is_the_block_and_the_mean_of_its_steps() -> None:
    model = MambaFusion((Slot("text", 12),), 7, MambaFusionConfig()).eval()
    text = batch(rows=1)["text"]
    (block,) = model.blocks.forwards
    expected = model.head(block(text.values[:, :7]).mean(1))
    torch.testing.assert_close(model({"text": text}), expected)


def test_without_text_the_steps_are_frames() -> None:
    model = MambaFusion(SLOTS, 7, MambaFusionConfig(absent="zero")).eval()
    given = batch(rows=4)
    del given["text"]
    frames = torch.cat(
        [
            torch.zeros(1, 4, 12),
            given["face"].values[3:],
            given["speaker"].values[3:, None].expand(-1, 4, -1),
        ],
        dim=2,
    )
    (block,) = model.blocks.forwards
    torch.testing.assert_close(model(given)[3:], model.head(block(frames).mean(1)))


def test_pooled_and_sequences_of_one_step_are_the_same() -> None:
    model = MambaFusion(SLOTS, 7, MambaFusionConfig()).eval()
    given = batch(rows=4, tokens=1, frames=1)
    pooled = given | {
        name: SlotInput(given[name].values[:, 0], given[name].present) for name in ("text", "face")
    }
    torch.testing.assert_close(model(pooled), model(given))


def test_what_an_absent_slot_is_can_be_learned() -> None:
    torch.manual_seed(0)
    model = MambaFusion(SLOTS, 7, MambaFusionConfig()).eval()
    given = batch()
    given["face"] = replace(given["face"], present=torch.arange(6) % 2 == 0)
    before = model(given)
    model.steps.absent[1].data += 1.0
    moved = (model(given) - before).abs().amax(1) > 1e-6
    assert moved.tolist() == [False, True] * 3
