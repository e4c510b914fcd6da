"""The loop learns, stops, keeps its best epoch, repeats itself, and survives a last batch of one row."""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from feature_repo.errors import BadInputError
from feature_repo.files import FileLayer
from trainers import training_loop
from trainers.adapters.mlp_adapter import MLPAdapter
from trainers.config import AdapterConfig
from trainers.examples import TensorExamples
from trainers.optimisation import Optimisation
from trainers.runs import resumption
from trainers.runs.resumption import Resumption
from trainers.training_loop import Epoch, Fit, fit, forward, seeded

CLASSES = ("neutral", "joy", "anger")


def _data(rows: int = 300, width: int = 6) -> tuple[Tensor, Tensor]:
    """Rows around one centre per class, close enough to be learned but not at once."""
    generator = torch.Generator().manual_seed(7)
    centres = torch.randn(len(CLASSES), width, generator=generator) * 1.5
    labels = torch.arange(rows) % len(CLASSES)
    return centres[labels] + torch.randn(rows, width, generator=generator), labels


def _fit(
    seed: int = 0, rows: int = 300, on_epoch: Any = None, **settings: Any
) -> tuple[Fit, MLPAdapter, Tensor, Tensor]:
    inputs, labels = _data(rows)
    config = dataclasses.replace(AdapterConfig(max_epochs=12), **settings)
    with seeded(seed):
        model = MLPAdapter(inputs.shape[1], len(CLASSES), hidden=(16, 8))
        cut = rows * 2 // 3
        told = fit(
            model,
            TensorExamples([inputs], labels),
            train=torch.arange(cut),
            validation=torch.arange(cut, rows),
            classes=CLASSES,
            config=config,
            on_epoch=on_epoch,
        )
    return told, model, inputs, labels


def test_it_learns_separable_classes_and_not_shuffled_ones() -> None:
    told, *_ = _fit(lr=0.01, max_epochs=30)
    assert max(epoch.accuracy for epoch in told.epochs) > 0.85
    inputs, _ = _data()
    noise = torch.randint(0, 3, (300,), generator=torch.Generator().manual_seed(1))
    with seeded(0):
        model = MLPAdapter(6, 3, hidden=(16, 8))
        told = fit(
            model,
            TensorExamples([inputs], noise),
            train=torch.arange(200),
            validation=torch.arange(200, 300),
            classes=CLASSES,
            config=AdapterConfig(lr=0.01, max_epochs=30),
        )
    assert told.epochs[-1].accuracy < 0.5


def test_a_seed_gives_the_same_numbers_again_and_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    one, model, inputs, _ = _fit(seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    again, other, _, _ = _fit(seed=3)
    different, third, _, _ = _fit(seed=4)
    assert [epoch.train_loss for epoch in one.epochs] == [epoch.train_loss for epoch in again.epochs]
    assert torch.equal(
        forward(model, TensorExamples([inputs]))[0], forward(other, TensorExamples([inputs]))[0]
    )
    assert not torch.equal(
        forward(model, TensorExamples([inputs]))[0], forward(third, TensorExamples([inputs]))[0]
    )
    assert one.epochs[0].train_loss != different.epochs[0].train_loss


def test_the_best_epochs_parameters_are_kept() -> None:
    seen: list[Epoch] = []
    told, model, inputs, labels = _fit(on_epoch=seen.append, lr=0.05, max_epochs=15, selection="accuracy")
    assert list(told.epochs) == seen
    best = max(seen, key=lambda epoch: epoch.accuracy)
    assert told.best_epoch == best.number  # the first of equals
    reached = (
        (forward(model, TensorExamples([inputs[200:]]))[0].argmax(1) == labels[200:]).float().mean().item()
    )
    assert reached == pytest.approx(best.accuracy)


def _fit_frozen(**settings: Any) -> Fit:
    """A linear layer at a rate that changes no prediction: the first epoch stays the best."""
    inputs, labels = _data()
    with seeded(0):
        return fit(
            nn.Linear(6, 3),
            TensorExamples([inputs], labels),
            train=torch.arange(200),
            validation=torch.arange(200, 300),
            classes=CLASSES,
            config=AdapterConfig(lr=1e-12, max_epochs=12, **settings),
        )


@pytest.mark.parametrize("patience", [1, 4])
def test_early_stopping_waits_for_its_patience(patience: int) -> None:
    told = _fit_frozen(patience=patience)
    assert (told.best_epoch, len(told.epochs), told.stopped) == (1, 1 + patience, "patience")


def test_it_stops_at_the_last_epoch() -> None:
    told, *_ = _fit(max_epochs=3)
    assert (len(told.epochs), told.stopped) == (3, "max_epochs")


def test_the_learning_rate_falls_on_a_plateau() -> None:
    told = _fit_frozen(patience=12, plateau_patience=2, plateau_factor=0.1)
    # Epoch 1 is the best; epochs 2 to 4 are three without improvement, one more than the patience.
    assert [epoch.lr for epoch in told.epochs[:5]] == pytest.approx([1e-12] * 4 + [1e-13])


def test_a_last_batch_of_one_row_does_not_crash_batch_norm() -> None:
    inputs, labels = _data(43)
    with seeded(0):
        told = fit(
            MLPAdapter(6, 3),
            TensorExamples([inputs], labels),
            train=torch.arange(33),
            validation=torch.arange(33, 43),
            classes=CLASSES,
            config=AdapterConfig(max_epochs=2),
        )
    assert len(told.epochs) == 2


@pytest.mark.parametrize(("train", "validation"), [(0, 5), (1, 5), (5, 0)])
def test_too_few_rows_are_refused(train: int, validation: int) -> None:
    inputs, labels = _data(20)
    with pytest.raises(BadInputError, match=f"{train} training and {validation} validation rows"):
        fit(
            MLPAdapter(6, 3),
            TensorExamples([inputs], labels),
            train=torch.arange(train),
            validation=torch.arange(validation),
            classes=CLASSES,
            config=AdapterConfig(),
        )


def test_a_loss_that_is_not_a_number_is_told_and_not_trained_on() -> None:
    inputs, labels = _data(40)
    inputs[3, 0] = float("nan")
    with pytest.raises(BadInputError, match="epoch 1: the loss is not a number"):
        fit(
            MLPAdapter(6, 3),
            TensorExamples([inputs], labels),
            train=torch.arange(30),
            validation=torch.arange(30, 40),
            classes=CLASSES,
            config=AdapterConfig(),
        )


@pytest.mark.parametrize("heavy", CLASSES)
def test_a_heavy_class_is_predicted_where_nothing_can_be_learned(heavy: str) -> None:
    inputs, _ = _data()
    noise = torch.randint(0, 3, (300,), generator=torch.Generator().manual_seed(1))
    noise[200:] = CLASSES.index(heavy)  # so that selection waits for it
    with seeded(0):
        model = MLPAdapter(6, 3, hidden=(16, 8))
        fit(
            model,
            TensorExamples([inputs], noise),
            train=torch.arange(200),
            validation=torch.arange(200, 300),
            classes=CLASSES,
            config=AdapterConfig(lr=0.01, max_epochs=10, class_weights={heavy: 50.0}),
        )
    predicted = forward(model, TensorExamples([inputs]))[0].argmax(1)
    assert (predicted == CLASSES.index(heavy)).float().mean() > 0.9


def test_label_smoothing_raises_the_least_possible_loss() -> None:
    plain, *_ = _fit(lr=0.01, max_epochs=8)
    smooth, *_ = _fit(lr=0.01, max_epochs=8, label_smoothing=0.4)
    # Entropy of (0.7333, 0.1333, 0.1333): no prediction reaches a smaller loss.
    assert smooth.epochs[-1].train_loss > 0.7646 > plain.epochs[-1].train_loss


def test_several_inputs_are_selected_alike() -> None:
    inputs, labels = _data()

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.adapter = MLPAdapter(6, 3, hidden=(16, 8))

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            assert left.shape == (*right.shape[:1], 2)
            return self.adapter(torch.cat([left, right], 1))  # type: ignore[no-any-return]

    with seeded(0):
        model = Two()
        fit(
            model,
            TensorExamples([inputs[:, :2], inputs[:, 2:]], labels),
            train=torch.arange(200),
            validation=torch.arange(200, 300),
            classes=CLASSES,
            config=AdapterConfig(max_epochs=12),
        )
    _, adapter, *_ = _fit()
    torch.testing.assert_close(
        forward(model, TensorExamples([inputs[:, :2], inputs[:, 2:]]))[0],
        forward(adapter, TensorExamples([inputs]))[0],
    )


def test_forward_in_parts_gives_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TensorExamples, "rows_at_once", 7)
    model = MLPAdapter(6, 3)
    inputs, _ = _data(50)
    parted = forward(model, TensorExamples([inputs]), layer=model.hidden)[0]
    torch.testing.assert_close(parted, model.eval().hidden(inputs))


def test_a_model_is_told_of_each_epoch_before_it_and_all_rates_fall_alike() -> None:
    class Told(MLPAdapter):
        def __init__(self) -> None:
            super().__init__(6, 3, hidden=(8,))
            self.rates = {"head": 1e-5}
            self.told: list[tuple[int, bool]] = []

        def begin_epoch(self, number: int) -> None:
            self.told.append((number, self.body[0].weight.grad is None))

    inputs, _ = _data()
    saved = _Kept()
    with seeded(0):
        model = Told()
        # Labels of one class: no score gets better after the first epoch, so every later one is a plateau.
        fit(
            model,
            TensorExamples([inputs], torch.zeros(300, dtype=torch.int64)),
            train=torch.arange(200),
            validation=torch.arange(200, 300),
            classes=CLASSES,
            config=AdapterConfig(max_epochs=4, lr=1e-2, plateau_patience=0, optimizer="adamw"),
            resumption=saved,  # type: ignore[arg-type]
        )
    assert [number for number, _ in model.told] == [1, 2, 3, 4]
    assert model.told[0][1]  # before the epoch's first gradient
    rates = [
        [group["lr"] for group in state["optimisation"]["optimizer"]["param_groups"]]
        for state in saved.states
    ]
    for own, *_, part in rates:
        assert part / own == pytest.approx(1e-3)
    assert rates[-1][0] < 2e-5  # it fell


class _Kept:
    """Keeps the states that it is given."""

    def __init__(self) -> None:
        self.states: list[Any] = []

    def load(self) -> None:
        return None

    def save(self, state: Any) -> None:
        self.states.append(copy.deepcopy(state))


class _Stopped(Exception):
    pass


@pytest.mark.parametrize("step", [1, 7, 10, 13])
@pytest.mark.parametrize("like_lengths", [False, True])
def test_a_run_that_ends_within_an_epoch_goes_on_from_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, like_lengths: bool
) -> None:
    monkeypatch.setattr(training_loop, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(resumption, "_TIMES_THE_LAST", 0)
    inputs, labels = _data()
    config = AdapterConfig(max_epochs=3, lr=0.01, ema=0.8, accumulate=2, batch_size=16, dropout=0.4)
    taken: list[int] = []
    take = Optimisation.step

    def run(folder: Path, stops_at: int) -> tuple[Fit, dict[str, Tensor]]:
        def counted(self: Optimisation, which: Tensor) -> Tensor:
            if len(taken) == stops_at:
                raise _Stopped
            taken.append(len(which))
            return take(self, which)

        taken.clear()
        monkeypatch.setattr(Optimisation, "step", counted)
        examples = TensorExamples([inputs], labels)
        if like_lengths:
            examples.cost = np.arange(300) % 17
        with seeded(3):
            model = MLPAdapter(6, 3, hidden=(16, 8))
            told = fit(
                model,
                examples,
                train=torch.arange(200),
                validation=torch.arange(200, 300),
                classes=CLASSES,
                config=config,
                resumption=Resumption(FileLayer(str(folder)), "abc", "cpu"),
            )
        return told, model.state_dict()

    whole, weights = run(tmp_path / "whole", -1)
    steps = len(taken)
    assert steps == 3 * 7  # of 32 rows at most
    with pytest.raises(_Stopped):
        run(tmp_path / "stopped", step)
    again, after = run(tmp_path / "stopped", -1)
    assert len(taken) == steps - step  # and none twice
    assert [dataclasses.replace(epoch, seconds=0.0) for epoch in again.epochs] == [
        dataclasses.replace(epoch, seconds=0.0) for epoch in whole.epochs
    ]
    assert all(torch.equal(weights[name], after[name]) for name in weights)


def test_how_much_is_done_is_told_after_every_step() -> None:
    inputs, labels = _data()
    parts: list[float] = []
    with seeded(0):
        fit(
            MLPAdapter(6, 3, hidden=(8,)),
            TensorExamples([inputs], labels),
            train=torch.arange(200),
            validation=torch.arange(200, 300),
            classes=CLASSES,
            config=AdapterConfig(max_epochs=2, batch_size=50),
            on_part=parts.append,
        )
    assert parts == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
