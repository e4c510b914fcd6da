"""Sequences that lie on a GPU whole, so that a batch is gathered there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from feature_repo.steps import Steps

# The model, its gradients and the batches need the rest.
_SHARE_OF_FREE_MEMORY = 0.25


def fits_device(steps: Steps, device: torch.device) -> bool:
    """Whether sequences are to lie on the device: on a GPU, while they take at most a quarter of its free memory."""
    if device.type != "cuda":
        return False  # the mirror's pages are the CPU's memory already
    free, _ = torch.cuda.mem_get_info(device)
    size = int(steps.lengths.sum(dtype=np.int64)) * steps.width * steps.dtype.itemsize
    return size <= _SHARE_OF_FREE_MEMORY * free


class DeviceSteps:
    """The sequences of a training set on a device, gathered as :class:`Steps` gathers them.

    Args:
        steps: read whole.
        device: where they lie.
    """

    def __init__(self, steps: Steps, device: torch.device) -> None:
        values, offsets = steps.flat()
        self.values = torch.from_numpy(values).to(device)
        self.starts = torch.from_numpy(offsets[:-1])
        self.lengths = torch.from_numpy(steps.lengths.astype(np.int64))

    def gather(self, index: npt.NDArray[np.int64], *, device: torch.device) -> tuple[Tensor, Tensor]:
        """A padded batch: values ``[b, n, width]``, zeros in the padding, and the mask bool ``[b, n]``."""
        rows = torch.from_numpy(index)
        lengths, starts = self.lengths[rows], self.starts[rows]
        step = torch.arange(int(lengths.max()) if len(rows) else 0)
        mask = (step < lengths[:, None]).to(device)
        place = (starts[:, None] + step).clamp(max=max(len(self.values) - 1, 0)).to(device)
        return torch.where(mask[..., None], self.values[place], 0), mask
