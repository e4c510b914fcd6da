"""What each training row counts in the loss: by its corpus's name, by its corpus's size, by its quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainers.config import TrainingConfig
from trainers.optimisation import corpus_weights

Weights = npt.NDArray[np.float32]


def row_weights(
    config: TrainingConfig,
    corpora: Sequence[str],
    train: npt.NDArray[np.int64],
    device: torch.device,
    quality: Weights | None = None,
) -> Tensor | None:
    """The product of what applies, float32 ``[rows]``; None where all rows weigh alike.

    Args:
        config: ``corpus_weights`` and ``corpus_balance``.
        corpora: the corpus of each row.
        train: the fold's training rows, which corpora are balanced over.
        device: where the weights are.
        quality: weight of each row by its quality.

    Raises:
        UnknownNameError: a corpus weight for a corpus that no row is of.
    """
    made = [corpus_weights(config.corpus_weights, corpora, device)]
    if config.corpus_balance == "balanced":
        made.append(torch.from_numpy(balanced_corpora(corpora, train)).to(device))
    if quality is not None:
        made.append(torch.from_numpy(quality).to(device))
    applying = [weights for weights in made if weights is not None]
    if not applying:
        return None
    whole = applying[0]
    for weights in applying[1:]:
        whole = whole * weights
    return whole


def balanced_corpora(corpora: Sequence[str], train: npt.NDArray[np.int64]) -> Weights:
    """``n / (corpora * n_c)`` of each row: every corpus counts the same in a pass over the ``n`` training rows.

    A row of a corpus that does not train weighs 1; it is in no loss.
    """
    names, places = np.unique(np.array(corpora, dtype=np.str_), return_inverse=True)
    counts = np.bincount(places[train], minlength=len(names))
    balanced = np.where(counts > 0, len(train) / (max(1, (counts > 0).sum()) * np.maximum(counts, 1)), 1.0)
    return balanced[places].astype(np.float32)
