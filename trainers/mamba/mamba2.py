"""The Mamba-2 block (Dao and Gu, "Transformers are SSMs", section 7), with the parameters of `mamba_ssm.Mamba2`."""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from feature_repo.errors import BadInputError
from trainers.mamba.backend import scan_by_heads
from trainers.mamba.mamba import check_steps, initial_dt_bias, without_decay
from trainers.mamba.scan import behind_lengths

_EPS = 1e-5  # of the norm in mamba_ssm


class Mamba2(nn.Module):
    """One projection to everything, causal convolution, scan by heads, gated norm; loads dicts of `mamba_ssm.Mamba2`.

    Args:
        d_model: width of the inputs and outputs.
        d_state: states per channel.
        d_conv: steps that the convolution sees, the present one included.
        expand: channels of the scan per input width.
        headdim: channels per head; heads share a step size and a decay.
        ngroups: groups of heads that share B and C.
        A_init_range: decays per unit of time at the start, spread evenly.
        norm_before_gate: whether the gate follows the norm; else the gated values are normed.
        dt_min: smallest step size at the start.
        dt_max: largest step size at the start.
        dt_init_floor: step sizes at the start are never below.
        dt_limit: step sizes are held within.
        bias: whether the projections in and out have a bias.
        conv_bias: whether the convolution has one.
        chunk_size: steps that are scanned as one matrix product. Shorter is faster on a CPU, and nothing else changes.

    Raises:
        BadInputError: where the channels do not split into heads, or the heads into groups.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 128,
        d_conv: int = 4,
        expand: int = 2,
        *,
        headdim: int = 64,
        ngroups: int = 1,
        A_init_range: tuple[float, float] = (1.0, 16.0),
        norm_before_gate: bool = False,
        dt_min: float = 0.001,
        dt_max: float = 0.1,
        dt_init_floor: float = 1e-4,
        dt_limit: tuple[float, float] = (0.0, math.inf),
        bias: bool = False,
        conv_bias: bool = True,
        chunk_size: int = 256,
    ) -> None:
        super().__init__()
        self.d_model, self.d_state, self.headdim, self.ngroups = d_model, d_state, headdim, ngroups
        self.d_inner = expand * d_model
        if self.d_inner % headdim or self.d_inner // headdim % ngroups:
            raise BadInputError(
                f"{self.d_inner} channels are no whole number of heads of {headdim} in {ngroups} equal groups"
            )
        self.nheads = self.d_inner // headdim
        self.norm_before_gate, self.dt_limit, self.chunk_size = norm_before_gate, dt_limit, chunk_size
        self._convolved = self.d_inner + 2 * ngroups * d_state
        self.in_proj = nn.Linear(d_model, self.d_inner + self._convolved + self.nheads, bias=bias)
        self.conv1d = nn.Conv1d(
            self._convolved,
            self._convolved,
            d_conv,
            groups=self._convolved,
            padding=d_conv - 1,
            bias=conv_bias,
        )
        self.dt_bias = nn.Parameter(initial_dt_bias(self.nheads, dt_min, dt_max, dt_init_floor))
        self.A_log = nn.Parameter(torch.empty(self.nheads).uniform_(*A_init_range).log())
        self.D = nn.Parameter(torch.ones(self.nheads))
        self.norm = _GatedNorm(self.d_inner, ngroups, norm_before_gate)
        self.out_proj = nn.Linear(self.d_inner, d_model, bias=bias)
        # The last is a norm's scale; see `parameter_groups`.
        without_decay(self.A_log, self.D, self.dt_bias, self.norm.weight)

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
        rows, steps, _ = x.shape
        behind = None if lengths is None else behind_lengths(lengths, steps)
        x = x if behind is None else x.masked_fill(behind, 0.0)
        z, convolved, dt = self.in_proj(x).split([self.d_inner, self._convolved, self.nheads], dim=-1)
        convolved = F.silu(self.conv1d(convolved.transpose(1, 2))[..., :steps]).transpose(1, 2)
        grouped = self.ngroups * self.d_state
        u, B, C = torch.split(convolved, [self.d_inner, grouped, grouped], dim=-1)
        # In float32 at least, autocast or not: errors of decays multiply over the steps.
        kind = torch.float64 if x.dtype == torch.float64 else torch.float32
        with torch.autocast(x.device.type, enabled=False):
            u = u.to(kind).reshape(rows, steps, self.nheads, self.headdim)
            y = scan_by_heads(
                u,
                F.softplus(dt.to(kind) + self.dt_bias).clamp(*self.dt_limit),
                -torch.exp(self.A_log.to(kind)),
                B.to(kind).reshape(rows, steps, self.ngroups, self.d_state),
                C.to(kind).reshape(rows, steps, self.ngroups, self.d_state),
                chunk_size=self.chunk_size,
            )
            y = self.norm((y + self.D[:, None] * u).reshape(rows, steps, self.d_inner), z.to(kind))
        y = y if behind is None else y.masked_fill(behind, 0.0)
        return cast(Tensor, self.out_proj(y.to(x.dtype)))


class _GatedNorm(nn.Module):
    """Root mean square norm over each group of channels, with a silu gate before or after it."""

    def __init__(self, width: int, groups: int, norm_before_gate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.groups, self.norm_before_gate = groups, norm_before_gate

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        gate = F.silu(z)
        y = y if self.norm_before_gate else y * gate
        parts = y.reshape(*y.shape[:-1], self.groups, y.shape[-1] // self.groups)
        scale = torch.rsqrt(parts.square().mean(dim=-1, keepdim=True) + _EPS)
        normed = (parts * scale).flatten(-2) * self.weight
        return normed * gate if self.norm_before_gate else normed
