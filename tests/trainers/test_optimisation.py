"""Steps against loops by hand: parts of a batch, clipped gradients, averaged weights, weighted rows, half precision."""

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.adapters.mlp_adapter import MLPAdapter
from trainers.config import TrainingConfig
from trainers.examples import TensorExamples
from trainers.optimisation import Optimisation, batches, class_weights, corpus_weights, like_batches
from trainers.training_loop import Fit, fit, forward, seeded

CLASSES = ("neutral", "joy", "anger")
ROWS = 203


def _data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(ROWS) % 3
    centres = torch.randn(3, 6, generator=generator) * 1.5
    return centres[labels] + torch.randn(ROWS, 6, generator=generator), labels


def _plain_model() -> nn.Module:
    """Without statistics of the batch and without draws."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


def _optimisation(model: nn.Module, row_weights: Tensor | None = None, **settings: Any) -> Optimisation:
    inputs, labels = _data()
    examples = TensorExamples([inputs], labels, row_weights)
    return Optimisation(model, examples, classes=CLASSES, config=TrainingConfig(**settings))


def _fit(model: nn.Module, row_weights: Tensor | None = None, **settings: Any) -> Fit:
    inputs, labels = _data()
    with seeded(1):
        return fit(
            model,
            TensorExamples([inputs], labels, row_weights),
            train=torch.arange(150),
            validation=torch.arange(150, ROWS),
            classes=CLASSES,
            config=TrainingConfig(max_epochs=3, lr=0.01, **settings),
        )


@pytest.mark.parametrize(
    "settings", [{}, {"class_weights": {"joy": 5.0}, "label_smoothing": 0.2}, {"clip_norm": 0.05}]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_of_a_step_are_the_large_batch(settings: dict[str, Any], weighted: bool) -> None:
    # 150 rows: four steps of 32 and one of 22, whose last part is shorter than the others.
    rows = torch.linspace(0.5, 4, ROWS) if weighted else None
    whole, parts = _plain_model(), _plain_model()
    one = _fit(whole, rows, batch_size=32, **settings)
    other = _fit(parts, rows, batch_size=8, accumulate=4, **settings)
    assert [epoch.train_loss for epoch in other.epochs] == pytest.approx(
        [epoch.train_loss for epoch in one.epochs], rel=1e-4
    )
    for left, right in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(left, right, atol=1e-4, rtol=1e-4)
    smaller = _fit(_plain_model(), rows, batch_size=8, **settings)
    assert smaller.epochs[-1].train_loss != pytest.approx(one.epochs[-1].train_loss, rel=1e-2)


def _gradients(model: nn.Module) -> Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])  # type: ignore[union-attr]


@pytest.mark.parametrize(("longest", "clipped"), [(0.01, True), (100.0, False)])
def test_long_gradients_are_brought_to_the_length_and_short_ones_left(longest: float, clipped: bool) -> None:
    free, bound = _plain_model(), _plain_model()
    rows = torch.arange(32)
    _optimisation(free).step(rows)
    _optimisation(bound, clip_norm=longest).step(rows)
    before = _gradients(free)
    assert 0.01 < before.norm() < 100
    expected = before * (longest / before.norm()) if clipped else before
    torch.testing.assert_close(_gradients(bound), expected, rtol=1e-3, atol=1e-6)


def test_the_average_of_the_weights_is_the_one_by_hand() -> None:
    torch.manual_seed(0)
    model = MLPAdapter(6, 3, hidden=(8, 4), dropout=0.0)
    hand = copy.deepcopy(model)
    inputs, labels = _data()
    optimisation = _optimisation(model, ema=0.9)
    plain = torch.optim.Adam(hand.parameters(), lr=1e-3, weight_decay=1e-5)
    average: list[Tensor] = []
    model.train()
    hand.train()
    for start in range(0, 160, 32):
        rows = torch.arange(start, start + 32)
        optimisation.step(rows)
        plain.zero_grad()
        nn.functional.cross_entropy(hand(inputs[rows]), labels[rows]).backward()
        plain.step()
        now = [parameter.detach().clone() for parameter in hand.parameters()]
        average = [0.9 * old + 0.1 * new for old, new in zip(average, now, strict=True)] if average else now
    for told, expected in zip(optimisation.result.parameters(), average, strict=True):
        torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-5)
    # Batch norm's statistics are averages already, and those of the model.
    for told, expected in zip(optimisation.result.buffers(), hand.buffers(), strict=True):
        torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-5)


def test_without_an_average_the_model_itself_is_kept_and_nothing_is_copied() -> None:
    model = _plain_model()
    plain = _optimisation(model)
    assert plain.result is model
    assert plain.state()["average"] is None


def test_the_average_is_what_is_validated_and_kept() -> None:
    plain, averaged = _plain_model(), _plain_model()
    one = _fit(plain)
    other = _fit(averaged, ema=0.99)
    assert one.epochs[0].train_loss == other.epochs[0].train_loss  # the training itself is the same
    assert one.epochs[0].validation_loss != other.epochs[0].validation_loss
    inputs, labels = _data()
    kept = nn.functional.cross_entropy(forward(averaged, TensorExamples([inputs[150:]]))[0], labels[150:])
    assert float(kept) == pytest.approx(other.epochs[other.best_epoch - 1].validation_loss)


def test_a_row_that_weighs_three_counts_as_three_rows() -> None:
    inputs, labels = _data()
    weights = torch.where(torch.arange(ROWS) < 10, 3.0, 1.0)
    model, hand = _plain_model(), _plain_model()
    loss = _optimisation(model, weights, class_weights={"joy": 4.0}).step(torch.arange(32))
    thrice = torch.cat([torch.arange(10).repeat(3), torch.arange(10, 32)])
    expected = nn.functional.cross_entropy(
        hand(inputs[thrice]), labels[thrice], weight=torch.tensor([1.0, 4.0, 1.0])
    )
    expected.backward()
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-5)
    torch.testing.assert_close(_gradients(model), _gradients(hand), rtol=1e-4, atol=1e-6)


def test_corpus_weights_go_by_name() -> None:
    corpora = ["meld", "ravdess", "meld", "esd"]
    told = corpus_weights({"meld": 6.0, "esd": 0.5}, corpora, torch.device("cpu"))
    assert told is not None
    assert told.tolist() == [6.0, 1.0, 6.0, 0.5]
    assert corpus_weights({}, corpora, torch.device("cpu")) is None
    with pytest.raises(UnknownNameError, match="'iemocap'; allowed: esd, meld, ravdess"):
        corpus_weights({"iemocap": 2.0}, corpora, torch.device("cpu"))


def test_bfloat16_multiplies_in_it_and_keeps_weights_and_loss_in_float32() -> None:
    seen: list[torch.dtype] = []
    model, full = _plain_model(), _plain_model()
    model[0].register_forward_hook(lambda layer, given, gave: seen.append(gave.dtype))  # type: ignore[index,operator]
    loss = _optimisation(model, precision="bfloat16").step(torch.arange(64))
    exact = _optimisation(full).step(torch.arange(64))
    assert seen == [torch.bfloat16]
    assert {loss.dtype, *(parameter.dtype for parameter in model.parameters())} == {torch.float32}
    # bfloat16 has eight bits of mantissa.
    assert float(loss) != float(exact)
    assert float(loss) == pytest.approx(float(exact), rel=2e-2)
    forward(model, TensorExamples([_data()[0]]))
    assert seen == [torch.bfloat16, torch.float32]


def test_float16_is_refused_without_a_gpu() -> None:
    with pytest.raises(
        BadInputError, match="'float16' needs a GPU, .* 'cpu'; allowed there: float32, bfloat16"
    ):
        _optimisation(_plain_model(), precision="float16")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="float16 needs a GPU")
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_learns_on_a_gpu(precision: str) -> None:
    inputs, labels = (tensor.cuda() for tensor in _data())
    model = _plain_model().cuda()
    config = TrainingConfig(max_epochs=30, lr=0.01, clip_norm=1.0, accumulate=2)
    with seeded(1):
        told = fit(
            model,
            TensorExamples([inputs], labels),
            train=torch.arange(150).cuda(),
            validation=torch.arange(150, ROWS).cuda(),
            classes=CLASSES,
            config=dataclasses.replace(config, precision=precision),
        )
    assert told.epochs[-1].train_loss < 0.7 * told.epochs[0].train_loss


@pytest.mark.parametrize("rows", [2, 31, 32, 33, 64, 65])
def test_every_row_is_in_one_batch_and_no_batch_has_one_row(rows: int) -> None:
    parts = batches(torch.randperm(rows), 32)
    assert sorted(torch.cat(parts).tolist()) == list(range(rows))
    assert all(2 <= len(part) <= 33 for part in parts)


def test_class_weights_go_by_name() -> None:
    # papers/000 III-B3 lists surprise 15, fear 15, disgust 6, ...: by name whatever the order of the classes.
    named = {"anger": 6.0, "neutral": 4.0}
    assert class_weights(named, CLASSES, torch.device("cpu")).tolist() == [4.0, 1.0, 6.0]  # type: ignore[union-attr]
    assert class_weights(named, CLASSES[::-1], torch.device("cpu")).tolist() == [6.0, 1.0, 4.0]  # type: ignore[union-attr]
    assert class_weights({}, CLASSES, torch.device("cpu")) is None
    with pytest.raises(UnknownNameError, match="'happy'; allowed: anger, joy, neutral"):
        class_weights({"happy": 1.0}, CLASSES, torch.device("cpu"))


def test_batches_of_like_length_hold_every_example_once_and_pad_less() -> None:
    torch.manual_seed(0)
    cost = np.random.default_rng(0).integers(1, 60, size=1000)
    order = torch.randperm(1000)
    parts = like_batches(order, cost, 16)
    assert sorted(torch.cat(parts).tolist()) == list(range(1000))
    assert all(2 <= len(part) <= 17 for part in parts)

    def padded(groups: list[Tensor]) -> int:
        return sum(len(part) * int(cost[part.numpy()].max()) for part in groups)

    assert padded(parts) < 0.65 * padded(batches(order, 16))
    # Short and long batches take turns: an epoch does not end with all the long ones.
    longest = [int(cost[part.numpy()].max()) for part in parts]
    assert longest != sorted(longest)


def test_adamw_takes_decay_off_the_weights_and_adam_adds_it_to_the_gradient() -> None:
    rows = torch.arange(32)
    for name, kind in (("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)):
        model, hand = _plain_model(), _plain_model()
        _optimisation(model, optimizer=name, weight_decay=0.3, lr=0.05).step(rows)
        optimizer = kind(hand.parameters(), lr=0.05, weight_decay=0.3)
        inputs, labels = _data()
        nn.functional.cross_entropy(hand(inputs[rows]), labels[rows]).backward()
        optimizer.step()
        for told, expected in zip(model.parameters(), hand.parameters(), strict=True):
            torch.testing.assert_close(told, expected, rtol=1e-4, atol=1e-6)
