"""Fit a classifier on examples: epochs, validation, the learning rate's schedule, stopping, and what is kept."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from feature_repo.errors import BadInputError
from trainers.config import TrainingConfig
from trainers.examples import Examples
from trainers.metrics import score
from trainers.optimisation import Optimisation, PartOfEpoch
from trainers.runs.resumption import Resumption

# Within an epoch the state is saved so often: what a kill costs at most where an epoch takes an hour.
SECONDS_BETWEEN_SAVES = 60.0


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training rows gave.

    Attributes:
        number: from 1.
        lr: learning rate during the epoch.
        train_loss: mean loss over the epoch's batches, in training mode.
        validation_loss: mean loss over the validation rows, without class weights' and smoothing's change of scale.
        accuracy: validation accuracy.
        weighted_f1: validation weighted F1.
        macro_f1: validation macro F1.
        uar: validation unweighted average recall.
        best: whether the epoch was the best so far by the selection score.
        seconds: wall-clock time since training began.
    """

    number: int
    lr: float
    train_loss: float
    validation_loss: float
    accuracy: float
    weighted_f1: float
    macro_f1: float
    uar: float
    best: bool
    seconds: float


@dataclass(frozen=True)
class Fit:
    """How training went; the model holds the parameters of ``best_epoch``.

    Attributes:
        epochs: one per epoch, in order.
        best_epoch: number of the epoch whose parameters were kept.
        stopped: ``patience`` for early stopping, else ``max_epochs``.
    """

    epochs: tuple[Epoch, ...]
    best_epoch: int
    stopped: Literal["patience", "max_epochs"]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within it, torch's draws (initial weights, order of rows, dropout) depend on the seed alone.

    Afterwards torch's generators are as they were before.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def fit(
    model: nn.Module,
    examples: Examples,
    *,
    train: Tensor,
    validation: Tensor,
    classes: Sequence[str],
    config: TrainingConfig,
    resumption: Resumption | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_part: Callable[[float], None] | None = None,
) -> Fit:
    """Train and keep the epoch with the best validation score (papers/000 III-B2).

    Draws from torch's global generator: call it within :func:`seeded` for the same numbers again.

    Args:
        model: gives logits ``[..., classes]`` for a batch's arguments; trained in place. Its attribute ``rates`` may
            name parts that learn at a rate of their own, its method ``begin_epoch`` is told each epoch's number.
        examples: on the model's device.
        train: numbers of the examples to fit.
        validation: numbers of the examples to select on.
        classes: names of the classes, in the order of their indices.
        config: optimiser, schedule, stopping, loss and selection.
        resumption: where a killed run of the same model, rows and settings goes on; None begins anew and saves nothing.
        on_epoch: told of every epoch as it ends.
        on_part: told after every step how many epochs are done, such as 2.25.

    Raises:
        UnknownNameError: a class weight for an emotion that is no class.
        BadInputError: fewer than two training examples, none to validate on, a precision that the device does not have,
            or a loss that is not a number.
    """
    if train.numel() < 2 or validation.numel() < 1:
        raise BadInputError(
            f"{train.numel()} training and {validation.numel()} validation rows; allowed: at least 2 and 1"
        )
    optimisation = Optimisation(model, examples, classes=classes, config=config, train=train)
    optimizer = optimisation.optimizer
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode="max" if config.plateau_on == "score" else "min",
        factor=config.plateau_factor,
        patience=config.plateau_patience,
    )
    best_score, best_epoch, best_state = float("-inf"), 0, model.state_dict()
    epochs: list[Epoch] = []
    stopped: Literal["patience", "max_epochs"] = "max_epochs"
    began = time.perf_counter()
    begun: PartOfEpoch | None = None

    def save(resumption: Resumption, done: PartOfEpoch | None = None) -> None:
        within = done and {"groups": done.groups, "losses": torch.stack(done.losses)}
        resumption.save(
            {
                "optimisation": optimisation.state(),
                "schedule": schedule.state_dict(),
                "epochs": [asdict(epoch) for epoch in epochs],
                "best_state": best_state,
                "best_epoch": best_epoch,
                "best_score": best_score,
                "seconds": time.perf_counter() - began,
                "within": within,
            }
        )

    last_saved = time.monotonic()

    def keep(done: PartOfEpoch) -> None:
        nonlocal last_saved
        if resumption and time.monotonic() - last_saved >= SECONDS_BETWEEN_SAVES:
            save(resumption, done)
            last_saved = time.monotonic()
        if on_part:
            on_part(len(epochs) + len(done.losses) / len(done.groups))

    if resumption and (saved := resumption.load()):
        optimisation.restore(saved["optimisation"])
        schedule.load_state_dict(saved["schedule"])
        epochs = [Epoch(**epoch) for epoch in saved["epochs"]]
        best_state, best_epoch, best_score = saved["best_state"], saved["best_epoch"], saved["best_score"]
        # States of before there were parts of epochs have neither.
        began -= saved["seconds"] if "seconds" in saved else epochs[-1].seconds
        if saved.get("within"):
            groups = [group.to(train.device) for group in saved["within"]["groups"]]
            begun = PartOfEpoch(groups, list(saved["within"]["losses"]))
    for number in range(len(epochs) + 1, config.max_epochs + 1):
        lr = optimizer.param_groups[0]["lr"]
        # A model may have something to do then, such as to let a part learn from some epoch on.
        if begin_epoch := getattr(model, "begin_epoch", None):
            begin_epoch(number)
        train_loss, begun = optimisation.epoch(train, begun, keep), None
        logits, rows = forward(optimisation.result, examples, validation)
        targets = examples.targets(rows)
        judged = targets >= 0  # turns of a dialogue may be context alone
        logits, targets = logits[judged], targets[judged]
        loss = float(nn.functional.cross_entropy(logits, targets))
        scores = score(targets.cpu(), logits.argmax(1).cpu(), classes)
        if math.isnan(train_loss):
            raise BadInputError(
                f"epoch {number}: the loss is not a number; lower lr={config.lr} or check the features"
            )
        reached = getattr(scores, config.selection)
        best = reached > best_score
        if best:
            best_score, best_epoch = reached, number
            best_state = {name: tensor.clone() for name, tensor in optimisation.result.state_dict().items()}
        seconds = time.perf_counter() - began
        epochs.append(Epoch(number, lr, train_loss, loss, **scores.summary(), best=best, seconds=seconds))
        schedule.step(reached if config.plateau_on == "score" else loss)
        stops = number - best_epoch >= config.patience
        if resumption and not stops:
            save(resumption)
        if on_epoch:
            on_epoch(epochs[-1])
        if stops:
            stopped = "patience"
            break
    model.load_state_dict(best_state)
    return Fit(tuple(epochs), best_epoch, stopped)


def forward(
    model: nn.Module,
    examples: Examples,
    which: Tensor | None = None,
    layer: Callable[..., Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """What the model gives for examples in evaluation mode, without gradients.

    Args:
        model: put into evaluation mode.
        examples: on the model's device.
        which: numbers of examples; all by default.
        layer: a method of the model to call in place of the model, such as one that gives a hidden layer.

    Returns:
        (outputs ``[k, width]``, their rows of the training set ``[k]``, ascending).
    """
    model.eval()
    if which is None:
        which = examples.holding(np.arange(len(examples.labels)))
    if examples.cost is not None:  # examples of like length together, since padding is computed too
        which = which[torch.from_numpy(np.argsort(examples.cost[which.numpy()], kind="stable"))]
    made, found = [], []
    with torch.inference_mode():
        for part in torch.split(which, examples.rows_at_once):
            arguments, rows = examples.batch(part)
            outputs = (layer or model)(*arguments)
            there = rows >= 0
            made.append(outputs[there.to(outputs.device)] if rows.dim() > 1 else outputs)
            found.append(rows[there] if rows.dim() > 1 else rows)
        rows = torch.cat(found)
        order = rows.argsort(stable=True)
        return torch.cat(made)[order.to(made[0].device)], rows[order]
