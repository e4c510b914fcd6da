"""The modality-token Transformer: its size, and what its tokens are."""

import torch

from tests.trainers.fusion.fusion_batches import SLOTS, batch
from trainers.fusion.config import TokenTransformerConfig
from trainers.fusion.slots import Slot
from trainers.fusion.token_transformer import TokenTransformer


def layer_parameters(width: int, ffn: int) -> int:
    """Attention's four projections, the feed-forward network's two, two norms; all with biases."""
    return 4 * (width * width + width) + (width * ffn + ffn) + (ffn * width + width) + 2 * 2 * width


def test_size() -> None:
    model = TokenTransformer((Slot("audio", 160), Slot("text", 768)), 7, TokenTransformerConfig())
    projections = (160 + 1) * 512 + (768 + 1) * 512
    first, norm, head = 256, 512, 256 * 7 + 7
    counted = projections + first + 4 * layer_parameters(256, 1024) + norm + head
    assert sum(parameter.numel() for parameter in model.parameters()) == counted


def test_tokens_are_in_no_order() -> None:
    torch.manual_seed(0)
    one = TokenTransformer(SLOTS, 7, TokenTransformerConfig()).eval()
    other = TokenTransformer(SLOTS[::-1], 7, TokenTransformerConfig()).eval()
    other.attention, other.head = one.attention, one.head
    other.projections = one.projections[::-1]
    torch.testing.assert_close(one(batch()), other(batch()), rtol=1e-4, atol=1e-5)
