"""Fitting: it learns, it repeats, and a run that was ended goes on to the same numbers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from extractors.encoders.sentence import SentenceEncoder
from feature_repo.errors import BadInputError
from feature_repo.files import FileLayer
from tests.trainers.text_encoder.conftest import EMOTIONS, corpus_rows
from trainers.runs import resumption
from trainers.runs.resumption import Resumption
from trainers.text_encoder import fitting
from trainers.text_encoder.config import TextEncoderConfig
from trainers.text_encoder.fitting import (
    Checked,
    Progress,
    StoppedError,
    Texts,
    fabric_for,
    fit,
    predict,
    steps_of,
)
from trainers.text_encoder.model import TextClassifier

CONFIG = TextEncoderConfig(
    epochs=3, lr=3e-3, batch_size=8, accumulate=2, clip_norm=1.0, warmup=0.1, decay="linear"
)


@pytest.fixture(autouse=True)
def _save_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(resumption, "_TIMES_THE_LAST", 0)


def planted(each: int, name: str = "a") -> Texts:
    rows = corpus_rows(name, EMOTIONS, each, ("train",))
    labels = np.array([EMOTIONS.index(label) for label in rows["emotion"]], np.int64)
    return Texts(rows["text"].to_list(), labels)


class Fitted:
    """One call of `fit` on planted texts."""

    def __init__(self, folder: Path, config: TextEncoderConfig = CONFIG, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.encoder = SentenceEncoder(folder, "cpu")
        self.model = TextClassifier(self.encoder, 16, len(EMOTIONS), config)
        self.config, self.seed = config, seed
        self.train, self.validation = planted(12), planted(4, "bcd")
        self.checks: list[Checked] = []

    def run(self, store: Resumption | None = None, **callbacks: Callable[..., Any]) -> "Fitted":
        self.checks = fit(
            fabric_for("cpu", self.config.precision),
            self.encoder,
            self.model,
            train=self.train,
            validation=self.validation,
            classes=EMOTIONS,
            config=self.config,
            seed=self.seed,
            resumption=store,
            progress=Progress(**callbacks),
        )
        return self

    def numbers(self) -> list[Checked]:
        return [replace(told, seconds=0.0) for told in self.checks]


def same_weights(one: Fitted, other: Fitted) -> bool:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def test_it_learns_the_encoder_and_keeps_the_lowest_loss(tiny_encoder: Path) -> None:
    before = SentenceEncoder(tiny_encoder, "cpu").model.state_dict()
    fitted = Fitted(tiny_encoder, replace(CONFIG, epochs=12, accumulate=1)).run()
    losses = [told.validation_loss for told in fitted.checks]
    assert min(losses) < 0.7 * losses[0]
    assert max(told.accuracy for told in fitted.checks) > 0.6
    assert [told.best for told in fitted.checks] == [
        loss == min(losses[: at + 1]) for at, loss in enumerate(losses)
    ]
    # What is kept has the lowest loss, by a pass of its own.
    logits = predict(fitted.encoder, fitted.model, fitted.validation.texts)
    kept = torch.nn.functional.cross_entropy(logits, torch.from_numpy(fitted.validation.labels))
    assert float(kept) == pytest.approx(min(losses), abs=1e-6)
    after = fitted.encoder.model.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_validations_come_at_the_epochs_or_where_asked(tiny_encoder: Path) -> None:
    an_epoch, steps = steps_of(84, CONFIG)
    assert (an_epoch, steps) == (6, 18)  # 11 batches of 8, two a step
    assert [told.step for told in Fitted(tiny_encoder).run().checks] == [6, 12, 18]
    fitted = Fitted(tiny_encoder, replace(CONFIG, validate_every=4, max_steps=10)).run()
    assert [told.step for told in fitted.checks] == [4, 8, 10]
    assert fitted.checks[-1].lr == pytest.approx(
        CONFIG.lr / 9
    )  # one of the nine steps after the warm-up is left


def test_predictions_keep_the_order_of_the_texts(tiny_encoder: Path) -> None:
    fitted = Fitted(tiny_encoder)
    texts = [" ".join(["w1"] * (1 + 7 * number % 11)) + f" w{number}" for number in range(90)]
    together = predict(fitted.encoder, fitted.model, texts)
    alone = torch.cat([predict(fitted.encoder, fitted.model, [text]) for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tiny_encoder: Path) -> None:
    one, again = Fitted(tiny_encoder).run(), Fitted(tiny_encoder).run()
    assert one.numbers() == again.numbers()
    assert same_weights(one, again)
    assert not same_weights(one, Fitted(tiny_encoder, seed=1).run())


class KilledError(Exception):
    pass


@pytest.mark.parametrize("step", [1, 6, 9])  # the first, the last of an epoch, the middle of one
def test_a_killed_run_goes_on_to_the_same_bits(tiny_encoder: Path, tmp_path: Path, step: int) -> None:
    whole = Fitted(tiny_encoder).run()
    store = Resumption(FileLayer(str(tmp_path)), "abc", "cpu")

    def kill(done: int) -> None:
        if done == step + 1:  # before this step's state was saved
            raise KilledError

    with pytest.raises(KilledError):
        Fitted(tiny_encoder).run(store, on_step=kill)
    begun: list[int] = []
    torch.manual_seed(99)  # another process draws otherwise until it goes on
    again = Fitted(tiny_encoder).run(
        Resumption(FileLayer(str(tmp_path)), "abc", "cpu"), on_start=lambda steps, done: begun.append(done)
    )
    assert begun == [step]
    assert again.numbers() == whole.numbers()
    assert same_weights(again, whole)


def test_asked_to_stop_it_saves_at_once_and_holds_the_best(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "_SAVE_SECONDS", 1e9)
    store = Resumption(FileLayer(str(tmp_path)), "abc", "cpu")
    stopped, asked = Fitted(tiny_encoder), iter(range(1, 100))
    with pytest.raises(StoppedError) as told:
        stopped.run(store, should_stop=lambda: next(asked) == 8)
    assert (told.value.step, told.value.steps) == (8, 18)
    assert told.value.best is not None
    logits = predict(stopped.encoder, stopped.model, stopped.validation.texts)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(stopped.validation.labels))
    assert float(loss) == pytest.approx(told.value.best.validation_loss, abs=1e-6)
    assert same_weights(Fitted(tiny_encoder).run(store), Fitted(tiny_encoder).run())


def test_bfloat16_keeps_weights_in_float32(tiny_encoder: Path) -> None:
    fitted = Fitted(tiny_encoder, replace(CONFIG, epochs=1, precision="bfloat16")).run()
    assert {tensor.dtype for tensor in fitted.model.parameters()} == {torch.float32}
    exact = Fitted(tiny_encoder, replace(CONFIG, epochs=1)).run()
    assert fitted.checks[0].validation_loss == pytest.approx(exact.checks[0].validation_loss, rel=0.05)
    assert not same_weights(fitted, exact)


def test_a_loss_that_is_no_number_is_told(tiny_encoder: Path) -> None:
    with pytest.raises(BadInputError, match="the loss is not a number; lower lr"):
        Fitted(tiny_encoder, replace(CONFIG, lr=1e30, clip_norm=0.0, warmup=0.0)).run()
