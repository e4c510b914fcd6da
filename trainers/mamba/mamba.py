"""The Mamba block (Gu and Dao, "Mamba", section 3.4), with the parameters of `mamba_ssm.Mamba`."""

import math
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from feature_repo.errors import BadInputError
from trainers.mamba.backend import selective_scan
from trainers.mamba.scan import behind_lengths


class Mamba(nn.Module):
    """Projection, causal convolution, selective scan, gate, projection; loads state dicts of `mamba_ssm.Mamba`.

    Args:
        d_model: width of the inputs and outputs.
        d_state: states per channel.
        d_conv: steps that the convolution sees, the present one included.
        expand: channels of the scan per input width.
        dt_rank: width from which the step sizes are made; "auto" is ``d_model / 16`` rounded up.
        dt_min: smallest step size at the start.
        dt_max: largest step size at the start.
        dt_init: how `dt_proj.weight` starts.
        dt_scale: factor on the size of that start.
        dt_init_floor: step sizes at the start are never below.
        conv_bias: whether the convolution has a bias.
        bias: whether the projections in and out have one.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        *,
        dt_rank: int | Literal["auto"] = "auto",
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        dt_init: Literal["random", "constant"] = "random",
        dt_scale: float = 1.0,
        dt_init_floor: float = 1e-4,
        conv_bias: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.d_model, self.d_state, self.d_conv, self.expand = d_model, d_state, d_conv, expand
        self.d_inner = expand * d_model
        self.dt_rank = math.ceil(d_model / 16) if dt_rank == "auto" else dt_rank
        self.in_proj = nn.Linear(d_model, 2 * self.d_inner, bias=bias)
        self.conv1d = nn.Conv1d(
            self.d_inner, self.d_inner, d_conv, groups=self.d_inner, padding=d_conv - 1, bias=conv_bias
        )
        self.x_proj = nn.Linear(self.d_inner, self.dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, self.d_inner, bias=True)
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, d_state + 1)).repeat(self.d_inner, 1))
        self.D = nn.Parameter(torch.ones(self.d_inner))
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=bias)
        spread = self.dt_rank**-0.5 * dt_scale
        with torch.no_grad():
            if dt_init == "constant":
                self.dt_proj.weight.fill_(spread)
            else:
                self.dt_proj.weight.uniform_(-spread, spread)
            self.dt_proj.bias.copy_(initial_dt_bias(self.d_inner, dt_min, dt_max, dt_init_floor))
        without_decay(self.A_log, self.D, self.dt_proj.bias)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The block's output for every step.

        Args:
            x: ``[b, n, d_model]``.
            lengths: steps per row, int64 ``[b]``. Steps at or behind a row's length change nothing, not even a
                gradient, and what comes out there is the output projection's bias, else zeros.

        Returns:
            ``[b, n, d_model]``.

        Raises:
            BadInputError: on shapes that do not fit.
        """
        check_steps(x, lengths, self.d_model)
        if lengths is not None:
            x = x.masked_fill(behind_lengths(lengths, x.shape[1]), 0.0)
        u, z = self.in_proj(x).chunk(2, dim=-1)
        u = F.silu(self.conv1d(u.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)
        dt, B, C = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        y = selective_scan(
            u,
            F.linear(dt, self.dt_proj.weight),
            -torch.exp(self.A_log),
            B,
            C,
            D=self.D,
            z=z,
            delta_bias=self.dt_proj.bias,
            lengths=lengths,
        )
        return cast(Tensor, self.out_proj(y))


def initial_dt_bias(channels: int, smallest: float, largest: float, floor: float) -> Tensor:
    """What softplus turns into step sizes spread evenly over the logarithm of their range ("Mamba", section 3.6)."""
    span = math.log(largest) - math.log(smallest)
    sizes = torch.exp(torch.rand(channels) * span + math.log(smallest)).clamp(min=floor)
    return sizes + torch.log(-torch.expm1(-sizes))


def without_decay(*parameters: nn.Parameter) -> None:
    """Mark parameters as mamba_ssm marks them for optimizers, which `parameter_groups` reads."""
    for parameter in parameters:
        parameter._no_weight_decay = True  # type: ignore[attr-defined]


def check_steps(x: Tensor, lengths: Tensor | None, width: int) -> None:
    """See that a block can take these steps.

    Raises:
        BadInputError: on inputs other than ``[b, n, width]``, or lengths other than an integer from 0 to n per row.
    """
    if x.dim() != 3 or x.shape[2] != width:
        raise BadInputError(f"steps are [batch, steps, {width}], these are {list(x.shape)}")
    if lengths is None:
        return
    if lengths.shape != x.shape[:1] or lengths.is_floating_point():
        raise BadInputError(
            f"lengths are integers, one for each of the {x.shape[0]} rows; these are {list(lengths.shape)}, "
            f"{lengths.dtype}"
        )
    # Looking at numbers on a GPU would make it wait; there a length out of range counts as the nearest in range.
    if (
        lengths.device.type == "cpu"
        and lengths.numel()
        and not 0 <= int(lengths.min()) <= int(lengths.max()) <= x.shape[1]
    ):
        raise BadInputError(
            f"a length is 0 to {x.shape[1]}; they reach from {lengths.min()} to {lengths.max()}"
        )
