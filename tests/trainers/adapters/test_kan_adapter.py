"""The splines against SciPy's, the layer against NumPy, and a function that no linear layer fits."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import nn

from trainers.adapters.kan_adapter import KANAdapter, KANLinear, bspline_basis


def _scipy_basis(values: np.ndarray, grid: int, order: int, span: float) -> np.ndarray:
    """Each spline by itself, by SciPy; 0 outside its own knots."""
    step = 2 * span / grid
    knots = -span + step * np.arange(-order, grid + order + 1)
    splines = [
        BSpline.basis_element(knots[index : index + order + 2], extrapolate=False)(values)
        for index in range(grid + order)
    ]
    return np.nan_to_num(np.stack(splines, axis=-1))


@pytest.mark.parametrize("grid", [1, 5, 8])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("span", [1.0, 3.0])
def test_the_splines_are_scipys_inside_the_grid_and_outside(grid: int, order: int, span: float) -> None:
    values = np.random.default_rng(0).uniform(-2.5 * span, 2.5 * span, (200, 3))
    told = bspline_basis(torch.from_numpy(values), grid, order, span)
    assert told.shape == (200, 3, grid + order)
    np.testing.assert_allclose(told.numpy(), _scipy_basis(values, grid, order, span), atol=1e-12)


def test_the_splines_sum_to_one_on_the_grid_its_ends_included() -> None:
    values = torch.linspace(-3, 3, 61, dtype=torch.float64)
    torch.testing.assert_close(bspline_basis(values, 5, 3, 3.0).sum(-1), torch.ones_like(values))


def test_the_gradient_of_the_splines_is_right() -> None:
    values = torch.linspace(-3.4, 3.3, 17, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: bspline_basis(given, 5, 3, 3.0), (values,))


def test_a_layer_is_silu_plus_splines_on_every_edge() -> None:
    torch.manual_seed(0)
    layer = KANLinear(4, 3).double()
    rows = torch.randn(7, 4, dtype=torch.float64) * 2
    given = rows.numpy()
    base = layer.base.weight.detach().numpy()
    spline = layer.spline.weight.detach().numpy().reshape(3, 4, 8)  # order 3, grid 5
    expected = np.zeros((7, 3))
    for row in range(7):
        for output in range(3):
            for edge in range(4):
                value = given[row, edge]
                expected[row, output] += base[output, edge] * value / (1 + np.exp(-value))
                expected[row, output] += spline[output, edge] @ _scipy_basis(np.array([value]), 5, 3, 3.0)[0]
    np.testing.assert_allclose(layer(rows).detach().numpy(), expected, atol=1e-10)


@pytest.mark.parametrize(("width", "classes"), [(512, 7), (12, 4), (1, 2)])
def test_widths_are_the_mlp_adapters(width: int, classes: int) -> None:
    model = KANAdapter(width, classes)
    assert [type(layer) for layer in model.body] == [KANLinear, nn.BatchNorm1d, nn.Dropout] * 2
    # A weight of the base and grid + order = 8 of the spline per edge, on 512-256-128-7's edges; batch norm's pairs.
    edges = width * 256 + 256 * 128 + 128 * classes
    assert sum(parameter.numel() for parameter in model.parameters()) == 9 * edges + 2 * (256 + 128)
    assert model.eval().hidden(torch.zeros(3, width)).shape == (3, 128)
    assert model(torch.zeros(3, width)).shape == (3, classes)


def test_hidden_is_what_the_head_reads_and_scaling_is_the_mlps() -> None:
    model = KANAdapter(5, 3, hidden=(8, 4)).eval()
    rows = torch.randn(20, 5) * 4 + 2
    model.scale_by(rows, [5])
    scaled = (rows - rows.mean(0)) / rows.var(0, correction=0).mean().sqrt()
    torch.testing.assert_close(model.body(scaled), model.hidden(rows))
    torch.testing.assert_close(model.head(model.hidden(rows)), model(rows))


def _unexplained(model: nn.Module) -> float:
    """Share of the variance of exp(sin(pi x) + y^2) (Liu et al. 2024 section 2) left on points not fitted."""
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(600, 2, generator=generator) * 2 - 1
    target = torch.exp(torch.sin(torch.pi * points[:, 0]) + points[:, 1] ** 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        (model(points[:400])[:, 0] - target[:400]).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        left = (model(points[400:])[:, 0] - target[400:]).square().mean() / target[400:].var()
    return float(left)


def test_two_layers_fit_the_papers_function_and_linear_layers_do_not() -> None:
    torch.manual_seed(0)
    assert _unexplained(nn.Sequential(KANLinear(2, 3, span=1.0), KANLinear(3, 1, span=2.0))) < 0.01
    assert _unexplained(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))) > 0.3
