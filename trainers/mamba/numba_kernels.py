"""The kernels of the fused selective scan: plain loops over arrays, compiled by Numba.

The formula is in `scan.py`. Softplus, skip and gate are part of the pass, so that nothing but the scan's result is
written; the backward pass computes the states of one row and one channel at a time anew, in scratch memory of
steps x states numbers per thread. What is as large as batch x steps x channels x states never exists.

All arrays are float32 and contiguous: u, delta, z and what is made of them ``[b, n, d]``, B and C ``[b, n, s]``,
D and bias ``[d]``, lengths int64 ``[b]``; A2 ``[d, s]`` is A over log(2), for decays as powers of two. Steps behind a
row's length are neither read nor written.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# A piece of work is this many channels of this many rows. Gradients of B and C are added up per block of channels and
# those of A per block of rows, so that smaller blocks take memory; fixed, so that sums do not depend on the cores.
CHANNELS = 256
ROWS = 4
# Channels whose step sizes are made together: enough to fill vector registers, few enough that the scratch stays in
# the first cache.
_ABREAST = 32

_LOG2_E = np.float32(1.4426950408889634)
LN_2 = np.float32(0.6931471805599453)
_ZERO, _HALF, _ONE, _TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
# Powers of two beyond are no normal float32; a decay of 2 ** -126 is as good as none.
_LEAST, _MOST = np.float32(-126), np.float32(127)
# 2 ** x on [-0.5, 0.5], fitted for the least relative error: 2e-9, and none at 0, since errors of decays multiply.
_P1, _P2, _P3 = np.float32(0.6931472057), np.float32(0.2402264689), np.float32(0.0555032878)
_P4, _P5, _P6 = np.float32(0.0096184890), np.float32(0.0013399931), np.float32(0.0001534581)
# Of artanh(s) / s in powers of s * s, up to 1e-8 at s = 1/3.
_Q1, _Q2, _Q3, _Q4, _Q5, _Q6, _Q7 = (np.float32(1 / odd) for odd in (3, 5, 7, 9, 11, 13, 15))

_NEXT = np.uintp(1)

# Sums may be reordered, as they have to be in vector registers; nothing may be assumed of NaN and infinity.
_SUMS = {"reassoc", "contract", "nsz"}
# Single formulas are not reordered: `_exp2` lives of the difference between a number and what is left of it.
_FORMULA = {"contract"}


def _compiled(fastmath: set[str], *, parallel: bool = False) -> Callable[[Kernel], Kernel]:
    """Compile a function at its first call, and keep the machine code where Numba keeps such things."""

    def compiled(function: Kernel) -> Kernel:
        options: dict[str, Any] = {"fastmath": fastmath, "error_model": "numpy", "parallel": parallel}
        try:
            return cast(Kernel, njit(cache=True, **options)(function))
        except RuntimeError:  # neither beside this file nor in the home can anything be written
            return cast(Kernel, njit(**options)(function))

    return compiled


@_compiled(_FORMULA)
def _exp2(x: np.float32) -> np.float32:
    """2 ** x in plain arithmetic, so that a loop around it becomes vector instructions; relative error 2e-7."""
    x = _LEAST if x < _LEAST else x
    x = _MOST if x > _MOST else x
    whole = np.floor(x + _HALF)
    part = x - whole
    power = _ONE + part * (_P1 + part * (_P2 + part * (_P3 + part * (_P4 + part * (_P5 + part * _P6)))))
    scale = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    result: np.float32 = power * scale
    return result


@_compiled(_FORMULA)
def _sigmoid(x: np.float32) -> np.float32:
    return _ONE / (_ONE + _exp2(-x * _LOG2_E))


@_compiled(_FORMULA)
def _softplus(x: np.float32) -> np.float32:
    """log(1 + exp(x)), by log(1 + e) = 2 artanh(e / (2 + e)) so that small values keep their digits."""
    small = _exp2(-abs(x) * _LOG2_E)
    s = small / (_TWO + small)
    q = s * s
    series = _ONE + q * (_Q1 + q * (_Q2 + q * (_Q3 + q * (_Q4 + q * (_Q5 + q * (_Q6 + q * _Q7))))))
    return max(x, _ZERO) + _TWO * s * series


@_compiled(_SUMS)
def _scan_block(
    row: int,
    first: int,
    last: int,
    length: int,
    u: Floats,
    delta: Floats,
    A2: Floats,
    B: Floats,
    C: Floats,
    D: Floats,
    bias: Floats,
    z: Floats,
    gated: bool,
    read: Floats,
    out: Floats,
) -> None:
    """Scan the channels from `first` to `last` of one row; the arguments are those of `scan`."""
    states = B.shape[2]
    width = last - first
    state = np.zeros((width, states), np.float32)
    step = np.empty(width, np.float32)
    for t in range(length):
        for c in range(width):
            step[c] = _softplus(delta[row, t, first + c] + bias[first + c])
        for c in range(width):
            size = step[c]
            entering = size * u[row, t, first + c]
            total = _ZERO
            for s in range(states):
                h = _exp2(size * A2[first + c, s]) * state[c, s] + entering * B[row, t, s]
                state[c, s] = h
                total += h * C[row, t, s]
            read[row, t, first + c] = total + D[first + c] * u[row, t, first + c]
        if gated:
            for c in range(first, last):
                gate = z[row, t, c]
                out[row, t, c] = read[row, t, c] * gate * _sigmoid(gate)


@_compiled(_SUMS, parallel=True)
def scan(
    u: Floats,
    delta: Floats,
    A2: Floats,
    B: Floats,
    C: Floats,
    D: Floats,
    bias: Floats,
    z: Floats,
    gated: bool,
    lengths: Integers,
    read: Floats,
    out: Floats,
) -> None:
    """The whole scan; `read` becomes what is behind the skip and before the gate, `out` what is behind the gate."""
    channels = u.shape[2]
    blocks = (channels + _ABREAST - 1) // _ABREAST
    for task in prange(u.shape[0] * blocks):
        row = task // blocks
        first = (task % blocks) * _ABREAST
        last = min(first + _ABREAST, channels)
        _scan_block(row, first, last, lengths[row], u, delta, A2, B, C, D, bias, z, gated, read, out)


@_compiled(_SUMS)
def _states_back(
    length: int,
    column: int,
    backwards: NDArray[np.uintp],
    size: Floats,
    entering: Floats,
    dread: Floats,
    A2: Floats,
    B: Floats,
    C: Floats,
    state: Floats,
    decay: Floats,
    carry: Floats,
    dA: Floats,
    dB: Floats,
    dC: Floats,
    dsize: Floats,
    dentering: Floats,
) -> None:
    """The gradients of one channel of one row.

    Args:
        length: steps.
        column: the channel's column in the arrays ``[steps, _ABREAST]``.
        backwards: the steps from last to first. Looked up, since with a plain countdown the compiler compares the
            bounds of whole arrays, finds them overlapping, and does without vectors: four times the time.
        size: step sizes.
        entering: step sizes times inputs.
        dread: gradients of what was read from the states.
        A2: ``[states]``, in powers of two.
        B: ``[steps, states]``.
        C: ``[steps, states]``.
        state: scratch ``[steps + 1, states]``, zeros in the first row: the states before each step.
        decay: scratch ``[steps, states]``: the decays, then the gradients of their exponents.
        carry: scratch ``[states]``: the gradient of the state.
        dA: added to, ``[states]``.
        dB: added to, ``[steps, states]``.
        dC: added to, ``[steps, states]``.
        dsize: written, from decays alone, in powers of two.
        dentering: written.
    """
    states = A2.shape[0]
    steps = B.shape[0]
    for s in range(states):
        carry[s] = _ZERO
    for t in range(length):
        d = size[t, column]
        e = entering[t, column]
        for s in range(states):
            decay[t, s] = _exp2(d * A2[s])
        for s in range(states):
            h = decay[t, s] * carry[s] + e * B[t, s]
            carry[s] = h
            state[t + 1, s] = h
    for s in range(states):
        carry[s] = _ZERO
    for k in range(length):
        t = backwards[steps - length + k]
        d = size[t, column]
        e = entering[t, column]
        dy = dread[t, column]
        sum_e = _ZERO
        sum_d = _ZERO
        # Several loops, since the compiler gives up on vectors where one loop writes to many arrays.
        for s in range(states):
            carry[s] += dy * C[t, s]
            dC[t, s] += dy * state[t + _NEXT, s]
        for s in range(states):
            dB[t, s] += carry[s] * e
            sum_e += carry[s] * B[t, s]
        for s in range(states):
            back = carry[s] * decay[t, s]
            carry[s] = back
            decay[t, s] = back * state[t, s]
        for s in range(states):
            dA[s] += decay[t, s] * d
            sum_d += decay[t, s] * A2[s]
        dentering[t, column] = sum_e
        dsize[t, column] = sum_d


@_compiled(_SUMS, parallel=True)
def scan_back(
    dout: Floats,
    u: Floats,
    delta: Floats,
    A2: Floats,
    B: Floats,
    C: Floats,
    D: Floats,
    bias: Floats,
    z: Floats,
    gated: bool,
    lengths: Integers,
    read: Floats,
    du: Floats,
    ddelta: Floats,
    dA: Floats,
    dB: Floats,
    dC: Floats,
    dD: Floats,
    dbias: Floats,
    dz: Floats,
) -> None:
    """The whole backward pass; gradients are added up per piece of work and have a first axis for it."""
    rows, steps, channels = u.shape
    states = B.shape[2]
    blocks = (channels + CHANNELS - 1) // CHANNELS
    slices = (rows + ROWS - 1) // ROWS
    for task in prange(slices * blocks):
        piece = task // blocks
        block = task % blocks
        size = np.empty((steps, _ABREAST), np.float32)
        entering = np.empty((steps, _ABREAST), np.float32)
        dread = np.empty((steps, _ABREAST), np.float32)
        dsize = np.empty((steps, _ABREAST), np.float32)
        dentering = np.empty((steps, _ABREAST), np.float32)
        state = np.zeros((steps + 1, states), np.float32)
        decay = np.empty((steps, states), np.float32)
        carry = np.empty(states, np.float32)
        backwards = np.arange(steps - 1, -1, -1).astype(np.uintp)
        for row in range(piece * ROWS, min(piece * ROWS + ROWS, rows)):
            length = lengths[row]
            for first in range(block * CHANNELS, min(block * CHANNELS + CHANNELS, channels), _ABREAST):
                width = min(_ABREAST, channels - first)
                for t in range(length):
                    for c in range(width):
                        x = u[row, t, first + c]
                        d = _softplus(delta[row, t, first + c] + bias[first + c])
                        size[t, c] = d
                        entering[t, c] = d * x
                        dy = dout[row, t, first + c]
                        if gated:
                            gate = z[row, t, first + c]
                            opened = _sigmoid(gate)
                            dz[row, t, first + c] = (
                                dy * read[row, t, first + c] * opened * (_ONE + gate * (_ONE - opened))
                            )
                            dy = dy * gate * opened
                        dread[t, c] = dy
                        dD[piece, first + c] += dy * x
                for c in range(width):
                    _states_back(
                        length,
                        c,
                        backwards,
                        size,
                        entering,
                        dread,
                        A2[first + c],
                        B[row],
                        C[row],
                        state,
                        decay,
                        carry,
                        dA[piece, first + c],
                        dB[block, row],
                        dC[block, row],
                        dsize,
                        dentering,
                    )
                for t in range(length):
                    for c in range(width):
                        x = u[row, t, first + c]
                        du[row, t, first + c] = size[t, c] * dentering[t, c] + D[first + c] * dread[t, c]
                        slope = _sigmoid(delta[row, t, first + c] + bias[first + c])
                        change = (LN_2 * dsize[t, c] + x * dentering[t, c]) * slope
                        ddelta[row, t, first + c] = change
                        dbias[piece, first + c] += change
