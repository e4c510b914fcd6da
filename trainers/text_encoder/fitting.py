"""Fit the encoder and its head with Lightning Fabric: validate, keep the best, and go on where a run was ended."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from extractors.encoders.sentence import SentenceEncoder
from feature_repo.errors import BadInputError
from trainers.metrics import score
from trainers.runs.resumption import Resumption
from trainers.text_encoder.batches import shuffled_batches, sorted_batches
from trainers.text_encoder.config import TextEncoderConfig
from trainers.text_encoder.model import TextClassifier, learning_rate_share, mean_loss

if TYPE_CHECKING:
    from lightning.fabric import Fabric

_PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
# Texts of a pass without gradients; bounds memory.
_TEXTS_AT_ONCE = 64
# Saving a state of several times the model's size takes seconds: no sooner than this after the last time.
_SAVE_SECONDS = 60.0


@dataclass(frozen=True)
class Texts:
    """Texts and their classes.

    Attributes:
        texts: as the encoder reads them.
        labels: class indices, int64 ``[texts]``.
    """

    texts: Sequence[str]
    labels: npt.NDArray[np.int64]

    def lengths(self) -> list[int]:
        """Characters of each text, which its tokens grow with."""
        return [len(text) for text in self.texts]


@dataclass(frozen=True)
class Checked:
    """One validation.

    Attributes:
        number: from 1.
        step: steps done.
        lr: the encoder's learning rate at the last of them.
        train_loss: mean loss since the validation before, in training mode.
        train_accuracy: share of the training texts since then that were told right, in training mode.
        validation_loss: mean cross-entropy over the validation texts.
        accuracy: validation accuracy.
        weighted_f1: validation weighted F1.
        macro_f1: validation macro F1.
        uar: validation unweighted average recall.
        best: whether the loss was the lowest so far.
        seconds: spent in training until then, over all sittings.
    """

    number: int
    step: int
    lr: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    accuracy: float
    weighted_f1: float
    macro_f1: float
    uar: float
    best: bool
    seconds: float


@dataclass
class Progress:
    """Callbacks that tell how far training is, and ask whether to end; each may be None.

    Attributes:
        on_start: told the steps there are and the steps that an earlier sitting did.
        on_step: told the steps done.
        on_check: told of every validation.
        should_stop: asked after every step.
    """

    on_start: Callable[[int, int], None] | None = None
    on_step: Callable[[int], None] | None = None
    on_check: Callable[[Checked], None] | None = None
    should_stop: Callable[[], bool] | None = None


class StoppedError(Exception):
    """Training was asked to end; its state is saved, and the model holds the best checkpoint if there is one.

    Args:
        step: steps done.
        steps: steps there are.
        best: the best validation, None before the first.
    """

    def __init__(self, step: int, steps: int, best: Checked | None) -> None:
        super().__init__(f"ended at step {step} of {steps}")
        self.step, self.steps, self.best = step, steps, best


@dataclass
class _State:
    """Where training is, beside the model and its optimizer."""

    step: int = 0
    epoch: int = 0
    group: int = 0  # of the epoch's groups of batches
    loss: float = 0.0  # summed since the last validation
    right: int = 0
    seen: int = 0
    seconds: float = 0.0
    checks: list[Checked] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)


def fabric_for(device: str, precision: str) -> Fabric:
    """Lightning's device and precision for a run.

    Args:
        device: ``cpu`` or ``cuda``.
        precision: the setting.
    """
    from lightning.fabric import Fabric  # seconds to import

    return Fabric(accelerator=device, devices=1, precision=_PRECISIONS[precision])  # type: ignore[arg-type]


def steps_of(texts: int, config: TextEncoderConfig) -> tuple[int, int]:
    """(Steps of an epoch, steps in all) over so many training texts."""
    batches = len(shuffled_batches([0] * texts, config.batch_size, 0, 0))
    an_epoch = math.ceil(batches / config.accumulate)
    whole = an_epoch * config.epochs
    return an_epoch, min(whole, config.max_steps) if config.max_steps else whole


def fit(
    fabric: Fabric,
    encoder: SentenceEncoder,
    model: TextClassifier,
    *,
    train: Texts,
    validation: Texts,
    classes: Sequence[str],
    config: TextEncoderConfig,
    seed: int,
    resumption: Resumption | None = None,
    progress: Progress | None = None,
) -> list[Checked]:
    """Train with AdamW and keep the checkpoint of the lowest validation loss (papers/000 III-B1c).

    Draws from torch's global generator (dropout), so it must have been seeded for the same numbers again.

    Args:
        fabric: device and precision.
        encoder: tokenises.
        model: trained in place; holds the best checkpoint afterwards.
        train: texts to fit.
        validation: texts to select on.
        classes: names of the classes, in the order of their indices.
        config: the settings.
        seed: of the order of texts.
        resumption: where an ended run of the same texts and settings goes on; None begins anew and saves nothing.
        progress: callbacks.

    Returns:
        The validations, in order.

    Raises:
        StoppedError: ``progress.should_stop`` said so; what was reached is saved.
        BadInputError: a loss that is not a number.
    """
    progress = progress or Progress()
    optimizer = torch.optim.AdamW(
        model.parameter_groups(config),
        fused=config.precision == "float32",  # with the others Fabric scales gradients itself
    )
    base = [group["lr"] for group in optimizer.param_groups]
    module, optimizer = fabric.setup(model, optimizer)
    scaler = fabric.strategy.precision
    state = _State()
    if resumption and (stored := resumption.load()):
        model.load_state_dict(stored["model"])
        optimizer.load_state_dict(stored["optimizer"])
        scaler.load_state_dict(stored["scaler"])
        state = _State(
            **{**stored["state"], "checks": [Checked(**told) for told in stored["state"]["checks"]]}
        )
    labels = torch.from_numpy(train.labels).to(fabric.device)
    lengths = train.lengths()
    an_epoch, steps = steps_of(len(train.texts), config)
    if progress.on_start:
        progress.on_start(steps, state.step)

    def save(target: Resumption) -> None:
        plain = {item.name: getattr(state, item.name) for item in dataclasses.fields(state)}
        target.save(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "state": plain | {"checks": [asdict(told) for told in state.checks]},
            }
        )

    def step(group: list[Tensor]) -> None:
        share = learning_rate_share(state.step, steps, config)
        for settings, lr in zip(optimizer.param_groups, base, strict=True):
            settings["lr"] = lr * share
        rows = sum(len(batch) for batch in group)
        for place, batch in enumerate(group):
            with fabric.no_backward_sync(module, enabled=place < len(group) - 1):
                logits = module(encoder.tokenise([train.texts[row] for row in batch.tolist()]))
                targets = labels[batch.to(labels.device)]
                loss = mean_loss(logits, targets, rows, config.label_smoothing)
                fabric.backward(loss)
            state.loss += float(loss.detach()) * rows
            state.right += int((logits.argmax(1) == targets).sum())
        state.seen += rows
        if config.clip_norm:
            fabric.clip_gradients(module, optimizer, max_norm=config.clip_norm, error_if_nonfinite=False)
        optimizer.step()
        optimizer.zero_grad()
        state.step += 1

    def check() -> None:
        model.eval()
        logits = predict(encoder, model, validation.texts)
        targets = torch.from_numpy(validation.labels)
        loss = float(torch.nn.functional.cross_entropy(logits, targets))
        if math.isnan(loss) or math.isnan(state.loss):
            raise BadInputError(f"step {state.step}: the loss is not a number; lower lr={config.lr}")
        best = loss < min((told.validation_loss for told in state.checks), default=math.inf)
        if best:
            state.best = model.snapshot()
        state.checks.append(
            Checked(
                number=len(state.checks) + 1,
                step=state.step,
                lr=float(optimizer.param_groups[0]["lr"]),
                train_loss=state.loss / max(1, state.seen),
                train_accuracy=state.right / max(1, state.seen),
                validation_loss=loss,
                **score(targets, logits.argmax(1), classes).summary(),
                best=best,
                seconds=state.seconds,
            )
        )
        state.loss, state.right, state.seen = 0.0, 0, 0
        model.train()
        if progress.on_check:
            progress.on_check(state.checks[-1])

    model.train()
    began, saved = time.perf_counter() - state.seconds, time.monotonic()
    while state.step < steps:
        batches = shuffled_batches(lengths, config.batch_size, seed, state.epoch)
        groups = [batches[at : at + config.accumulate] for at in range(0, len(batches), config.accumulate)]
        assert len(groups) == an_epoch
        while state.group < an_epoch and state.step < steps:
            step(groups[state.group])
            state.group += 1
            state.seconds = time.perf_counter() - began
            if progress.on_step:
                progress.on_step(state.step)
            last = state.step == steps or (state.group == an_epoch and not config.validate_every)
            if last or (config.validate_every and state.step % config.validate_every == 0):
                check()
            if progress.should_stop and progress.should_stop() and state.step < steps:
                if resumption:
                    save(dataclasses.replace(resumption))  # a new one saves at once
                best = next((told for told in reversed(state.checks) if told.best), None)
                if best:
                    model.load_state_dict(state.best)
                raise StoppedError(state.step, steps, best)
            if resumption and time.monotonic() >= saved + _SAVE_SECONDS:
                save(resumption)
                saved = time.monotonic()
        if state.group == an_epoch:
            state.epoch, state.group = state.epoch + 1, 0
    model.load_state_dict(state.best)
    return state.checks


def predict(encoder: SentenceEncoder, model: TextClassifier, texts: Sequence[str]) -> Tensor:
    """Logits ``[texts, classes]`` float32 on the CPU, in evaluation mode and the texts' order."""
    model.eval()
    order = sorted_batches([len(text) for text in texts], _TEXTS_AT_ONCE)
    with torch.inference_mode():
        made = [
            model(encoder.tokenise([texts[row] for row in batch.tolist()])).float().cpu() for batch in order
        ]
    logits = torch.empty_like(torch.cat(made))
    logits[torch.cat(order)] = torch.cat(made)
    return logits
