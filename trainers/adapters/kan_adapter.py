"""The KAN adapter: the MLP adapter's widths with a learned B-spline on every edge (papers/002; Liu et al. 2024).

Our own layer, since pykan is made for small symbolic fits and brings sympy and pandas, and no other KAN package is
kept well: the layer is the forty lines below, and its basis is checked against SciPy's.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainers.adapters.scaled_adapter import ScaledAdapter

# Liu et al. 2024 section 2.2: splines begin near zero, so that a layer begins as its SiLU base.
_SPLINE_NOISE = 0.1


def bspline_basis(values: Tensor, grid: int, order: int, span: float) -> Tensor:
    """B-splines of one order on an even grid, by the recursion of Cox and de Boor.

    Args:
        values: any shape.
        grid: number of intervals between ``-span`` and ``span``; ``order`` further knots lie on either side.
        order: degree of the polynomials: 3 is cubic.
        span: half the width of the grid. The splines sum to 1 within it, and fade to 0 outside.

    Returns:
        The values' shape and one more dimension of ``grid + order`` splines.
    """
    # In units of the grid's interval, so that the knots are the whole numbers from -order to grid + order.
    position = ((values + span) * (grid / (2 * span))).unsqueeze(-1)
    knots = torch.arange(-order, grid + order, device=values.device, dtype=values.dtype)
    offset = position - knots
    basis = ((offset >= 0) & (offset < 1)).to(values.dtype)
    for degree in range(1, order + 1):
        rising = offset[..., : basis.shape[-1] - 1] * basis[..., :-1]
        falling = (degree + 1 - offset[..., : basis.shape[-1] - 1]) * basis[..., 1:]
        basis = (rising + falling) / degree
    return basis


class KANLinear(nn.Module):
    """A sum over the inputs of one learned function per edge: a weighted SiLU plus a B-spline (Liu et al. 2024 2.2).

    Args:
        width: numbers per input row.
        outputs: numbers per output row.
        grid: intervals of the spline's grid.
        order: degree of the spline.
        span: the grid reaches from ``-span`` to ``span``; beyond it the SiLU alone carries on.
    """

    def __init__(self, width: int, outputs: int, *, grid: int = 5, order: int = 3, span: float = 3.0) -> None:
        super().__init__()
        self.grid, self.order, self.span = grid, order, span
        self.base = nn.Linear(width, outputs, bias=False)
        self.spline = nn.Linear(width * (grid + order), outputs, bias=False)
        nn.init.normal_(self.spline.weight, std=_SPLINE_NOISE / math.sqrt(width))

    def forward(self, rows: Tensor) -> Tensor:
        """Outputs ``[rows, outputs]`` of inputs ``[rows, width]``."""
        basis = bspline_basis(rows, self.grid, self.order, self.span)
        edges: Tensor = self.base(nn.functional.silu(rows)) + self.spline(basis.flatten(1))
        return edges


class KANAdapter(ScaledAdapter):
    """A KAN layer, batch norm and dropout per hidden layer, then a KAN layer as head.

    The batch norm keeps what the next layer reads on its grid; there is no ReLU, as the edges bend by themselves.

    Args:
        width: numbers per input row, of all views together.
        classes: number of classes.
        hidden: widths of the hidden layers, as the MLP adapter's.
        dropout: chance of dropping a unit after each hidden layer.
        grid: intervals of the splines' grid.
        order: degree of the splines.
        span: the grid reaches from ``-span`` to ``span``, in deviations of what was scaled.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        *,
        hidden: Sequence[int] = (256, 128),
        dropout: float = 0.3,
        grid: int = 5,
        order: int = 3,
        span: float = 3.0,
    ) -> None:
        blocks: list[nn.Module] = []
        for before, after in zip([width, *hidden[:-1]], hidden, strict=True):
            layer = KANLinear(before, after, grid=grid, order=order, span=span)
            blocks += [layer, nn.BatchNorm1d(after), nn.Dropout(dropout)]
        head = KANLinear(hidden[-1], classes, grid=grid, order=order, span=span)
        super().__init__(width, nn.Sequential(*blocks), head)
