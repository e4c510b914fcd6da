"""Gated fusion: its size and its formula by hand."""

import torch
from torch.nn import functional as F

from tests.trainers.fusion.fusion_batches import SLOTS, batch
from trainers.fusion.config import GatedFusionConfig
from trainers.fusion.gated_fusion import GatedFusion
from trainers.fusion.slots import Slot


def test_size() -> None:
    model = GatedFusion((Slot("audio", 160), Slot("text", 768)), 7, GatedFusionConfig())
    norms_and_projections = 2 * 160 + 160 * 128 + 128 + 2 * 768 + 768 * 128 + 128
    gate, swiglu, head = 256 * 256 + 256, 128 * 256 + 256, 128 * 7 + 7
    assert sum(p.numel() for p in model.parameters()) == norms_and_projections + gate + swiglu + head


def test_two_modalities_are_weighed_by_a_sigmoid_and_its_complement() -> None:
    torch.manual_seed(0)
    slots = (Slot("text", 12), Slot("speaker", 6))
    model = GatedFusion(slots, 7, GatedFusionConfig()).eval()
    given = batch()
    del given["face"]
    text = given["text"]
    pooled = torch.stack([text.values[row, :length].mean(0) for row, length in enumerate(text.lengths)])
    (text_norm, text_linear), (speaker_norm, speaker_linear) = model.projections
    one = text_linear(F.layer_norm(pooled, (12,), text_norm.weight, text_norm.bias))
    other = speaker_linear(
        F.layer_norm(given["speaker"].values, (6,), speaker_norm.weight, speaker_norm.bias)
    )
    scores = model.gate(torch.cat([one, other], dim=1))
    share = torch.sigmoid(scores[:, :128] - scores[:, 128:])
    fused = share * one + (1 - share) * other
    torch.testing.assert_close(model(given), model.head(model.activation(fused)))


def test_a_modality_alone_passes_its_gate_whole() -> None:
    slots = (Slot("text", 12), Slot("speaker", 6))
    model = GatedFusion(slots, 7, GatedFusionConfig()).eval()
    speaker = batch()["speaker"]
    expected = model.head(model.activation(model.projections[1](speaker.values)))
    torch.testing.assert_close(model({"speaker": speaker}), expected)


def test_gates_read_zeros_for_a_modality_that_is_absent() -> None:
    torch.manual_seed(0)
    model = GatedFusion(SLOTS, 7, GatedFusionConfig()).eval()
    given = batch(rows=3)
    del given["face"]
    text = torch.stack([given["text"].values[row, : 7 - row].mean(0) for row in range(3)])
    one, other = model.projections[0](text), model.projections[2](given["speaker"].values)
    scores = model.gate(torch.cat([one, torch.zeros_like(one), other], dim=1))
    share = torch.sigmoid(scores[:, :128] - scores[:, 256:])
    torch.testing.assert_close(model(given), model.head(model.activation(share * one + (1 - share) * other)))
