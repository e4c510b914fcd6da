"""SwiGLU by hand."""

import numpy as np
import torch

from trainers.fusion.swiglu import SwiGLU


def test_the_formula() -> None:
    layer = SwiGLU(3, 2)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    weight, bias = layer.both.weight.detach().numpy(), layer.both.bias.detach().numpy()
    gate, value = x @ weight[:2].T + bias[:2], x @ weight[2:].T + bias[2:]
    np.testing.assert_allclose(
        layer(torch.from_numpy(x)).detach(), gate / (1 + np.exp(-gate)) * value, rtol=1e-5, atol=1e-6
    )
