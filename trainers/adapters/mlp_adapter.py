"""The MLP adapter: any pooled embedding, or several side by side, to a 128-d layer and classes (papers/000 III-B2)."""

from collections.abc import Sequence

from torch import nn

from trainers.adapters.scaled_adapter import ScaledAdapter


class MLPAdapter(ScaledAdapter):
    """Linear, batch norm, ReLU and dropout per hidden layer, then a linear head (papers/000 III-B2).

    Args:
        width: numbers per input row, of all views together.
        classes: number of classes.
        hidden: widths of the hidden layers; the paper's are 256 and 128.
        dropout: chance of dropping a unit after each hidden layer.
    """

    def __init__(
        self, width: int, classes: int, *, hidden: Sequence[int] = (256, 128), dropout: float = 0.3
    ) -> None:
        blocks: list[nn.Module] = []
        for before, after in zip([width, *hidden[:-1]], hidden, strict=True):
            blocks += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(width, nn.Sequential(*blocks), nn.Linear(hidden[-1], classes))
