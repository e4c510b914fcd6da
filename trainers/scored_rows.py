"""What a model says of the rows that it is scored on: probabilities, and the table that a run keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from trainers.examples import Examples
from trainers.protocols.plan import Split
from trainers.training_data import TrainingData
from trainers.training_loop import forward


def shares_of(
    model: nn.Module, examples: Examples, which: torch.Tensor, wanted: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Probabilities ``[wanted, classes]``; a dialogue's other turns are left out.

    Args:
        model: trained.
        examples: on its device.
        which: numbers of the examples that hold the wanted rows.
        wanted: rows of the training set, ascending.
    """
    logits, rows = forward(model, examples, which)
    found = rows.cpu().numpy()
    shares: npt.NDArray[np.float32] = logits.float().softmax(1).cpu().numpy()[np.isin(found, wanted)]
    return shares


def prediction_rows(data: TrainingData, split: Split, shares: npt.NDArray[np.float32]) -> pl.DataFrame:
    """The test rows as a run keeps them: ``utterance_id, fold, true, predicted``, then ``p_<class>`` of each class.

    Args:
        data: what was pulled.
        split: the fold.
        shares: probabilities ``[test rows, classes]``.
    """
    rows = data.rows
    classes = np.array(rows.classes)
    columns: Mapping[str, Any] = {
        "utterance_id": rows.manifest[split.test.tolist()]["utterance_id"],
        "fold": np.full(len(split.test), split.fold, np.int32),
        "true": classes[data.labels[split.test]].tolist(),
        "predicted": classes[shares.argmax(1)].tolist(),
        **{f"p_{name}": shares[:, index] for index, name in enumerate(rows.classes)},
    }
    return pl.DataFrame(columns)
