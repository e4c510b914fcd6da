"""The adapter's layers, its input scaling and its hidden layer."""

import numpy as np
import pytest
import torch
from torch import nn

from trainers.adapters.mlp_adapter import MLPAdapter


@pytest.mark.parametrize(("width", "classes"), [(512, 7), (384, 4), (1, 2)])
def test_layers_are_the_papers(width: int, classes: int) -> None:
    model = MLPAdapter(width, classes)
    # papers/000 III-B2: 512-256-128-7, batch norm, ReLU and dropout 0.3 after each hidden layer.
    expected = [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout] * 2
    assert [type(layer) for layer in model.body] == expected
    assert [
        (layer.in_features, layer.out_features) for layer in model.body if isinstance(layer, nn.Linear)
    ] == [
        (width, 256),
        (256, 128),
    ]
    assert [layer.p for layer in model.body if isinstance(layer, nn.Dropout)] == [0.3, 0.3]
    counted = width * 256 + 256 + 2 * 256 + 256 * 128 + 128 + 2 * 128 + 128 * classes + classes
    assert sum(parameter.numel() for parameter in model.parameters()) == counted
    assert model(torch.zeros(3, width)).shape == (3, classes)


def _scaled(model: MLPAdapter, rows: torch.Tensor) -> np.ndarray:
    return ((rows - model.mean) / model.deviation).numpy()


def test_one_deviation_per_feature_leaves_constant_features_alone() -> None:
    rows = torch.tensor([[1.0, 100.0, 5.0], [3.0, 300.0, 5.0]])
    model = MLPAdapter(3, 2)
    model.scale_by(rows, [1, 1, 1])
    np.testing.assert_allclose(_scaled(model, rows), [[-1, -1, 0], [1, 1, 0]])


def test_one_deviation_per_view_keeps_the_proportions_within_it() -> None:
    rows = torch.tensor([[1.0, 10.0, 100.0], [3.0, 24.0, 300.0]])
    model = MLPAdapter(3, 2)
    model.scale_by(rows, [2, 1])
    # Deviations 1 and 7: their root mean square is 5; the third feature is a view of its own.
    np.testing.assert_allclose(_scaled(model, rows), [[-0.2, -1.4, -1], [0.2, 1.4, 1]], rtol=1e-6)


def test_a_scaled_model_does_not_see_the_scale_of_its_views() -> None:
    torch.manual_seed(0)
    rows, scale, shift = torch.randn(64, 5), torch.tensor([1e-3, 1e-3, 1e3, 1e3, 1e3]), torch.arange(5.0)
    one = MLPAdapter(5, 3).eval()
    other = MLPAdapter(5, 3).eval()
    other.load_state_dict(one.state_dict())
    one.scale_by(rows, [2, 3])
    other.scale_by(rows * scale + shift, [2, 3])
    torch.testing.assert_close(one(rows), other(rows * scale + shift), atol=1e-3, rtol=1e-3)


def test_scaling_is_saved_with_the_parameters() -> None:
    model = MLPAdapter(4, 2)
    model.scale_by(torch.randn(32, 4) * 3 + 1, [4])
    loaded = MLPAdapter(4, 2)
    loaded.load_state_dict(model.state_dict())
    rows = torch.randn(8, 4)
    assert torch.equal(model.eval()(rows), loaded.eval()(rows))


def test_hidden_is_what_the_head_reads() -> None:
    model = MLPAdapter(6, 3).eval()
    rows = torch.randn(5, 6)
    hidden = model.hidden(rows)
    assert hidden.shape == (5, 128)
    assert (hidden >= 0).all()  # after the ReLU
    torch.testing.assert_close(hidden @ model.head.weight.T + model.head.bias, model(rows))
