"""Beginning with what another run learned: which run it is, and its weights put into a fresh model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from feature_repo.errors import BadInputError
from trainers.parameter_groups import own_rates
from trainers.runs.groups import find_runs, group_name
from trainers.runs.run import Run, finished_runs

if TYPE_CHECKING:
    from torch import nn

    from feature_repo.files import FileLayer

_SHOWN = 3


def started_runs(files: FileLayer, name: str) -> tuple[Run, ...]:
    """The finished runs of the group that a name means, by seed and fold.

    Args:
        files: the store's file layer.
        name: a group, or a run of it, as ``affectstore runs`` takes them.

    Raises:
        UnknownNameError: a name that means none, or several.
    """
    meant = find_runs(files, name)
    group = group_name(meant.first)
    # What was named comes last: it stands where a seed and fold were run twice.
    candidates = [*(run for run in finished_runs(files) if group_name(run) == group), *meant.runs]
    found = {(run.record["seed"], run.record["fold"]): run for run in candidates}
    return tuple(found[place] for place in sorted(found))


def start_of(runs: Sequence[Run], seed: int, fold: int, folds: int) -> Run | None:
    """The run that a seed's fold begins with; None where there are none to begin with.

    Args:
        runs: finished runs of one group.
        seed: of the run that begins.
        fold: its fold; runs of a protocol with another number of folds begin it only where they have one alone.
        folds: its protocol's number of folds.

    Raises:
        BadInputError: none of the runs is of that seed and fold.
    """
    if not runs:
        return None
    fits = [
        run
        for run in runs
        if run.record["seed"] == seed
        and (run.record["folds"] == 1 or (run.record["folds"], run.record["fold"]) == (folds, fold))
    ]
    if len(fits) != 1:
        there = ", ".join(
            f"seed {run.record['seed']}, fold {run.record['fold']} of {run.record['folds']} ({run.key})"
            for run in runs
        )
        raise BadInputError(f"nothing to start seed {seed}, fold {fold} of {folds} from; there is {there}")
    return fits[0]


def begin_with(model: nn.Module, inputs: Sequence[str], classes: Sequence[str], start: Run) -> None:
    """Put a run's weights, and what it scales its inputs by, into a model.

    Args:
        model: fresh; parts that learn at a rate of their own and that the run does not have keep their weights, as the
            encoders do above which a run on stored features trained the fusion.
        inputs: names of the model's slots, in its order.
        classes: names of the classes.
        start: the run.

    Raises:
        BadInputError: other classes, slots or parameters; the message names what differs.
    """
    from safetensors.torch import load  # after torch, which it would import

    refuse = f"run {start.key} is nothing to start from here"
    if list(start.record["classes"]) != list(classes):
        raise BadInputError(
            f"{refuse}: its classes are {', '.join(start.record['classes'])}; allowed: {', '.join(classes)}"
        )
    theirs = (
        start.record["inputs"]
        if "inputs" in start.record
        else [{"name": name} for name in start.record["slots"]]
    )
    if [slot["name"] for slot in theirs] != list(inputs):
        raise BadInputError(
            f"{refuse}: its slots are {', '.join(slot['name'] for slot in theirs)}; allowed: {', '.join(inputs)}, in"
            " this order"
        )
    state: dict[str, Any] = load(start.checkpoint())
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    brought = tuple(f"{part}." for part in own_rates(model))
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    differs = [
        *(
            f"{name} is {list(shapes[name])}, not {list(shape)}"
            for name, shape in own.items()
            if shapes.get(name, shape) != shape
        ),
        *(f"it lacks {name}" for name in own if name not in state and not name.startswith(brought)),
        *(f"{name} has no place" for name in state if name not in own),
    ]
    if differs:
        more = f" and {len(differs) - _SHOWN} more" if len(differs) > _SHOWN else ""
        raise BadInputError(
            f"{refuse}: {'; '.join(differs[:_SHOWN])}{more}; allowed: a run of a model with the same settings of size"
        )
    model.load_state_dict(state, strict=False)
