"""What a row counts in the loss, against scikit-learn and products by hand."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from feature_repo.errors import UnknownNameError
from trainers.config import AdapterConfig, TrainingConfig
from trainers.optimisation import balanced_classes
from trainers.row_weights import balanced_corpora, row_weights

CPU = torch.device("cpu")
CORPORA = ["meld"] * 6 + ["esd"] * 3 + ["savee"]


def test_balanced_classes_are_scikit_learns() -> None:
    targets = np.array([0, 0, 0, 2, 2, 3, -1, 0])
    there = targets[targets >= 0]
    expected = compute_class_weight("balanced", classes=np.array([0, 2, 3]), y=there)
    found = balanced_classes(torch.from_numpy(targets), 5).numpy()
    np.testing.assert_allclose(found[[0, 2, 3]], expected, rtol=1e-6)
    np.testing.assert_array_equal(found[[1, 4]], 1)  # no such target


def test_targets_of_dialogues_are_counted_turn_by_turn() -> None:
    turns = torch.tensor([[0, 1, -1], [0, -1, -1], [0, 2, 0]])
    flat = torch.tensor([0, 1, 0, 0, 2, 0])
    assert balanced_classes(turns, 3).tolist() == balanced_classes(flat, 3).tolist()


def test_balanced_corpora_are_scikit_learns_over_the_training_rows() -> None:
    train = np.array([0, 1, 2, 3, 6, 7])
    named = [CORPORA[row] for row in train]
    found = balanced_corpora(CORPORA, train)
    np.testing.assert_allclose(found[train], compute_sample_weight("balanced", named), rtol=1e-6)
    assert found[9] == 1  # savee trains nothing
    # Every corpus weighs the same in a pass: 6 rows, of which 4 are meld's and 2 are esd's.
    assert found[[0, 1, 2, 3]].sum() == pytest.approx(found[[6, 7]].sum())


def test_what_applies_is_multiplied() -> None:
    train = np.arange(9)
    config = AdapterConfig(corpus_balance="balanced", corpus_weights={"meld": 4.0})
    quality = np.linspace(0.1, 1, 10, dtype=np.float32)
    found = row_weights(config, CORPORA, train, CPU, quality)
    assert found is not None
    # 9 rows of 2 corpora: 9 / (2 * 6) for meld, 9 / (2 * 3) for esd.
    by_hand = np.array([4 * 0.75] * 6 + [1.5] * 3 + [1.0]) * quality
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-6)


def test_where_nothing_applies_there_are_none() -> None:
    assert row_weights(TrainingConfig(), CORPORA, np.arange(10), CPU) is None


def test_an_unknown_corpus_is_named() -> None:
    config = AdapterConfig(corpus_weights={"mead": 4.0})
    with pytest.raises(UnknownNameError, match="'mead'; allowed: esd, meld, savee"):
        row_weights(config, CORPORA, np.arange(10), CPU)
