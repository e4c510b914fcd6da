"""The bar stands where the training is, within an epoch too, and is not drawn for every step."""

import pytest

from trainers import training_bar
from trainers.training_loop import Epoch


def test_the_bar_moves_within_an_epoch_but_not_with_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(training_bar.time, "monotonic", lambda: now)
    bar = training_bar.training_bar()
    progress = training_bar.shown(bar, 4, "uar")
    assert progress.on_begin
    assert progress.on_part
    assert progress.on_epoch
    progress.on_begin(0, 0, "key", {})
    (task,) = bar.tasks
    progress.on_part(0.25)
    assert task.completed == 0.25
    now = 100.1
    progress.on_part(0.5)
    assert task.completed == 0.25
    now = 100.3
    progress.on_part(0.75)
    assert task.completed == 0.75
    progress.on_epoch(Epoch(1, 1e-3, 1.0, 1.0, 0.5, 0.5, 0.5, 0.625, best=True, seconds=1.0))
    assert (task.completed, task.fields["told"]) == (1, "epoch 1, validation uar 0.6250")
