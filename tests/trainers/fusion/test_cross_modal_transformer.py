"""Token-level attention over all modalities: its size, its positions."""

import numpy as np
import torch

from tests.trainers.fusion.fusion_batches import SLOTS, batch
from trainers.fusion.config import CrossModalTransformerConfig
from trainers.fusion.cross_modal_transformer import CrossModalTransformer, positions


def test_size() -> None:
    model = CrossModalTransformer(SLOTS, 7, CrossModalTransformerConfig(depth=2))
    projections = (12 + 1 + 8 + 1 + 6 + 1) * 256
    layer = 4 * (256 * 256 + 256) + (256 * 1024 + 1024) + (1024 * 256 + 256) + 4 * 256
    counted = projections + 256 + 2 * layer + 512 + 256 * 7 + 7
    assert sum(parameter.numel() for parameter in model.parameters()) == counted


def test_positions() -> None:
    made = positions(5, torch.zeros(1, 8, dtype=torch.float64)).numpy()
    for step in range(5):
        for pair in range(4):
            angle = step / 10_000 ** (2 * pair / 8)
            np.testing.assert_allclose(made[step, [pair, 4 + pair]], [np.sin(angle), np.cos(angle)])


def test_the_order_of_tokens_matters() -> None:
    torch.manual_seed(0)
    model = CrossModalTransformer(SLOTS, 7, CrossModalTransformerConfig()).eval()
    given = batch(rows=1)
    before = model(given)
    given["text"].values[:] = given["text"].values.flip(1)
    assert (model(given) - before).abs().max() > 1e-4
