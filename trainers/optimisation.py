"""One step of training: the loss of a batch, in parts if asked, its gradients clipped, the weights averaged."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.config import TrainingConfig
from trainers.examples import Examples
from trainers.parameter_groups import by_rate, own_rates, parameter_groups

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_NO_TARGET = -1
# Batches are made of like lengths within so many batches' worth of examples, which keeps them random enough.
_BATCHES_SORTED = 32


@dataclass(frozen=True)
class PartOfEpoch:
    """How far a pass over the training examples is.

    Attributes:
        groups: numbers of the examples of each of its steps.
        losses: of the steps that are done.
    """

    groups: list[Tensor]
    losses: list[Tensor]


class Optimisation:
    """The optimizer with what the settings add to it: accumulation, clipping, mixed precision, a running average.

    Args:
        model: trained in place.
        examples: what it learns from, on its device.
        classes: names of the classes, in the order of their indices.
        config: the settings.
        train: numbers of the examples that are trained on, which classes are balanced over; all by default.

    Raises:
        UnknownNameError: a class weight for an emotion that is no class.
        BadInputError: a precision that the device does not have.
    """

    def __init__(
        self,
        model: nn.Module,
        examples: Examples,
        *,
        classes: Sequence[str],
        config: TrainingConfig,
        train: Tensor | None = None,
    ) -> None:
        device = examples.labels.device
        check_precision(config.precision, device.type)
        self.model, self.examples, self.config = model, examples, config
        self._weight = class_weights(config.class_weights, classes, device)
        if config.class_balance == "balanced":
            rows = examples.rows(torch.arange(len(examples)) if train is None else train)
            balanced = balanced_classes(examples.targets(rows), len(classes))
            self._weight = balanced if self._weight is None else self._weight * balanced
        self._criterion = nn.CrossEntropyLoss(
            weight=self._weight, label_smoothing=config.label_smoothing, ignore_index=_NO_TARGET
        )
        self.optimizer = _optimizer(model, config)
        # Half precision's small gradients would vanish unscaled; bfloat16 reaches as low as float32.
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
        # Batch norm's statistics are running averages already: they are taken over as they are.
        self._average = (
            AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema))  # type: ignore[no-untyped-call]
            if config.ema
            else None
        )

    @property
    def result(self) -> nn.Module:
        """What is validated and kept: the average of the weights if there is one, else the model."""
        return self.model if self._average is None else self._average.module

    def epoch(
        self,
        train: Tensor,
        begun: PartOfEpoch | None = None,
        on_step: Callable[[PartOfEpoch], None] | None = None,
    ) -> float:
        """Pass over the examples of these numbers once in random order; returns the mean loss of its steps.

        Args:
            train: numbers of examples.
            begun: where an epoch that was begun goes on.
            on_step: told after every step what is done of the epoch.
        """
        self.model.train()
        # Losses stay on the device until the epoch ends, since reading one waits for the device.
        done = begun or PartOfEpoch(self._groups(train), [])
        for group in done.groups[len(done.losses) :]:
            done.losses.append(self.step(group))
            if on_step:
                on_step(done)
        return float(torch.stack(done.losses).mean())

    def _groups(self, train: Tensor) -> list[Tensor]:
        size = self.config.batch_size * self.config.accumulate
        order = train[torch.randperm(len(train), device=train.device)]  # one permutation an epoch
        cost = self.examples.cost
        return batches(order, size) if cost is None else like_batches(order, cost, size)

    def step(self, which: Tensor) -> Tensor:
        """Change the weights once by the loss over these examples; returns the loss."""
        self.optimizer.zero_grad()
        if self.examples.weights is None and self.config.accumulate == 1:
            loss = self._backward(which, None)
        else:
            # The whole step's weight, so that parts of it add up to the loss of one large batch.
            rows = self.examples.rows(which)
            total = self._weights(rows, self.examples.targets(rows)).sum()
            parts = [self._backward(part, total) for part in batches(which, self.config.batch_size)]
            loss = torch.stack(parts).sum()
        if self.config.clip_norm:
            self._scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        if self._average is not None:
            self._average.update_parameters(self.model)
        return loss

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as :meth:`restore` takes it."""
        average = None if self._average is None else self._average.state_dict()
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "average": average,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state` of the same model and settings."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    def _backward(self, which: Tensor, total: Tensor | None) -> Tensor:
        """Add a batch's gradients; its loss is the mean over itself, or its share of a step of that total weight."""
        arguments, rows = self.examples.batch(which)
        targets = self.examples.targets(rows).flatten()
        with self._precision():
            # The loss in float32 whatever the precision; of float32 logits this is no copy.
            logits = self.model(*arguments).float().flatten(0, -2)
            loss: Tensor
            if total is None:
                loss = self._criterion(logits, targets)
            else:
                losses = nn.functional.cross_entropy(
                    logits,
                    targets,
                    weight=self._weight,
                    label_smoothing=self.config.label_smoothing,
                    ignore_index=_NO_TARGET,
                    reduction="none",
                )
                if self.examples.weights is not None:
                    losses = losses * self.examples.weights[rows.flatten()]
                loss = losses.sum() / total
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _weights(self, rows: Tensor, targets: Tensor) -> Tensor:
        """What each row counts in the loss, zero where it is no target."""
        weights = (targets != _NO_TARGET).float()
        if self._weight is not None:
            weights = weights * self._weight[targets]
        if self.examples.weights is not None:
            weights = weights * self.examples.weights[rows]
        return weights

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self.config.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.examples.labels.device.type, _DTYPES[self.config.precision])


def _optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    # Fused: one kernel for all parameters; an epoch of the adapter takes 0.44 s in place of 0.57 s (one thread).
    rates = own_rates(model)
    if config.optimizer == "adamw":
        groups = parameter_groups(model, config.weight_decay, rates)
        return torch.optim.AdamW(groups, lr=config.lr, fused=True)
    each = [
        {"params": learned} | ({} if lr is None else {"lr": lr})
        for lr, learned in by_rate(model, rates)
        if learned
    ]
    return torch.optim.Adam(each, lr=config.lr, weight_decay=config.weight_decay, fused=True)


def check_precision(precision: str, device: str) -> None:
    """Refuse what the device can't compute in.

    Raises:
        BadInputError: float16 on a CPU.
    """
    if precision == "float16" and device != "cuda":
        raise BadInputError(
            f"precision 'float16' needs a GPU, and the device is {device!r}; allowed there: float32, bfloat16"
        )


def class_weights(named: dict[str, float], classes: Sequence[str], device: torch.device) -> Tensor | None:
    """Loss weights in the order of the classes, from weights by emotion name; None when none is named.

    By name, since the papers' order of classes is neither MELD's numbering nor alphabetical (papers/000 III-B3).

    Raises:
        UnknownNameError: an emotion that is no class.
    """
    return _named_weights("emotion in class_weights", named, classes, device)


def balanced_classes(targets: Tensor, classes: int) -> Tensor:
    """``n / (classes * n_c)`` of each class over the ``n`` targets, float32 ``[classes]``; 1 for one that has none.

    Counted are the classes that there are, as scikit-learn's "balanced" does (papers/003 4.3: balanced class weights).

    Args:
        targets: class indices of any shape, -1 where there is none.
        classes: number of classes.
    """
    counts = torch.bincount(targets[targets >= 0].flatten(), minlength=classes).float()
    balanced = counts.sum() / ((counts > 0).sum() * counts.clamp(min=1))
    return torch.where(counts > 0, balanced, 1.0)


def corpus_weights(named: dict[str, float], corpora: Sequence[str], device: torch.device) -> Tensor | None:
    """Loss weight of each row from weights by corpus name; None when none is named.

    Args:
        named: corpus to weight; a corpus that is not named weighs 1.
        corpora: the corpus of each row.
        device: where the weights are.

    Raises:
        UnknownNameError: a corpus that no row is of.
    """
    known = sorted(set(corpora))
    weights = _named_weights("corpus in corpus_weights", named, known, device)
    if weights is None:
        return None
    places = {name: place for place, name in enumerate(known)}
    return weights[torch.tensor([places[corpus] for corpus in corpora], device=device)]


def _named_weights(
    kind: str, named: dict[str, float], names: Sequence[str], device: torch.device
) -> Tensor | None:
    for name in named:
        if name not in names:
            raise UnknownNameError(kind, name, names)
    return torch.tensor([named.get(name, 1.0) for name in names], device=device) if named else None


def batches(order: Tensor, size: int) -> list[Tensor]:
    """Index batches of ``size``; a last batch of one row joins the one before, as batch norm needs two rows."""
    parts = list(torch.split(order, size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [order[(len(parts) - 2) * size :]]
    return parts


def like_batches(order: Tensor, cost: npt.NDArray[np.int64], size: int) -> list[Tensor]:
    """Index batches of ``size`` whose examples cost about alike, in random order.

    A batch is as long as its longest sequence, so batches of like lengths pad less. Draws from torch's generator.

    Args:
        order: examples in random order, int64 on the CPU.
        cost: of every example.
        size: examples a batch.
    """
    found = []
    for window in torch.split(order, size * _BATCHES_SORTED):
        by_cost = np.argsort(cost[window.numpy()], kind="stable")
        found += batches(window[torch.from_numpy(by_cost)], size)
    return [found[place] for place in torch.randperm(len(found)).tolist()]
