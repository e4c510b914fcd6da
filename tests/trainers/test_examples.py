"""Tensors as examples: rows by index, their labels, nothing to learn without any."""

import numpy as np
import torch

from trainers.examples import TensorExamples


def test_a_batch_is_the_rows_of_every_input() -> None:
    one, two = torch.arange(12.0).view(6, 2), torch.arange(6.0)
    labels = torch.tensor([0, 1, 2, 0, 1, -1])
    examples = TensorExamples([one, two], labels)
    (given, rows) = examples.batch(torch.tensor([4, 0]))
    assert torch.equal(given[0], torch.tensor([[8.0, 9.0], [0.0, 1.0]]))
    assert torch.equal(given[1], torch.tensor([4.0, 0.0]))
    assert examples.targets(rows).tolist() == [1, 0]
    assert examples.holding(np.array([2, 5])).tolist() == [2, 5]
    assert (len(examples), examples.cost) == (6, None)


def test_turns_that_are_padding_have_no_target() -> None:
    examples = TensorExamples([torch.zeros(3, 1)], torch.tensor([2, 1, 0]))
    assert examples.targets(torch.tensor([[0, 2], [1, -1]])).tolist() == [[2, 0], [1, -1]]


def test_without_labels_nothing_is_a_target() -> None:
    assert TensorExamples([torch.zeros(3, 1)]).labels.tolist() == [-1, -1, -1]
