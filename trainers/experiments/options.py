"""Options of the command line that say what to train: those that were given go on top of an experiment's file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from feature_repo.errors import BadInputError
from trainers.experiments.experiment import Experiment, load_experiment

SlotsOption = Annotated[
    str | None,
    typer.Option(
        "--slots",
        "-s",
        help="Slots or views, by commas: text,speaker; with a name of your own: raw=VIEW.",
        show_default=False,
    ),
]
ProtocolOption = Annotated[
    str,
    typer.Option(
        help="[cyan]official[/cyan]: the corpus's train, dev and test; [cyan]speaker-folds[/cyan]: every speaker is"
        " tested once, by a model that has not heard them; [cyan]subject-folds[/cyan]: the same, rows of nobody known"
        " split too; [cyan]session-folds[/cyan]: IEMOCAP's sessions, each tested once; [cyan]split:NAME[/cyan]: what"
        " [cyan]affectstore split NAME[/cyan] saved; [cyan]leave-corpus-out[/cyan]: every corpus tested once."
    ),
]
FoldsOption = Annotated[int, typer.Option(help="Number of folds for speaker-folds and subject-folds.")]
OnlyFoldOption = Annotated[
    list[int] | None, typer.Option("--fold", help="Only this fold; may be given several times.")
]
SeedsOption = Annotated[str, typer.Option(help="Seeds, by commas; a run each.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: lr=1e-4, class_weights.fear=15, ..."),
]
TrainJoinOption = Annotated[
    str | None,
    typer.Option(
        help="[cyan]inner[/cyan]: utterances that have every slot; [cyan]outer[/cyan]: that have any.",
        show_default="inner; outer for conversation",
    ),
]


TrainCorpusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--train-corpus",
        help="Only this corpus or domain ([cyan]acted[/cyan]) trains and selects, all are tested; several times.",
        show_default=False,
    ),
]
TrainOnOption = Annotated[
    str | None,
    typer.Option(help="Only the rows of this saved selection or verdict train.", show_default=False),
]
StartOption = Annotated[
    str | None,
    typer.Option(
        help="Begin with the weights of this run's group, each seed and fold with its own.",
        show_default=False,
    ),
]
ReportOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Score the test rows of this saved selection or verdict by themselves too; several times.",
        show_default=False,
    ),
]
RowWeightsOption = Annotated[
    str | None,
    typer.Option(
        help="Weigh training rows by how far they fall short of this verdict's thresholds.",
        show_default=False,
    ),
]


def given_values(context: typer.Context, *, defaults: bool = False) -> dict[str, Any]:
    """What the command line says of an experiment's keys.

    Args:
        context: of a command with any of the options above; a text that is empty takes the file's value away.
        defaults: also the options that were not given.

    Raises:
        BadInputError: seeds that are no whole numbers by commas.
    """
    values = {}
    for key, (parameter, parsed) in _OPTIONS.items():
        if parameter not in context.params:
            continue
        source = context.get_parameter_source(parameter)
        if defaults or (source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP")):
            values[key] = parsed(context.params[parameter])
    return values


def asked_experiment(
    context: typer.Context, name: str | None, settings: Sequence[str]
) -> tuple[Experiment, Experiment | None]:
    """What to train, and the experiment's file as it was before options went on top; None without one.

    Args:
        context: of a command with the options above.
        name: of an experiment, or a file of one's own; None for what the options say alone.
        settings: ``key=value`` each.

    Raises:
        UnknownNameError: no experiment has that name.
        BadInputError: no slots, or a file or an option that is not what it should be.
    """
    if name is None:
        values = given_values(context, defaults=True)
        if not values["slots"]:
            raise BadInputError(
                "--slots is missing; allowed: slots or views by commas, such as text,speaker, or an --experiment"
            )
        return Experiment("", "", **values).with_settings(settings), None
    file = load_experiment(name)
    return dataclasses.replace(file, **given_values(context)).with_settings(settings), file


def check_profile(asked: Experiment, profiles: Sequence[str]) -> None:
    """Tell how the profile of an experiment's file is made, where the store has none of that name.

    Raises:
        BadInputError: there is none.
    """
    if asked.name and asked.profile is not None and asked.profile not in profiles:
        raise BadInputError(
            f"experiment {asked.name} reads profile {asked.profile!r}, which this store does not have; adapted views"
            f" get into it by `affectstore embed RUN --profile {asked.profile}`, those of extractors by `affectstore"
            f" extract ... --as {asked.profile}` or `affectstore use VIEW --profile {asked.profile}`; or name another"
            f" with --profile: {', '.join(profiles) or 'none exist yet'}"
        )


def seed_numbers(given: str) -> tuple[int, ...]:
    """Seeds of ``0,1,2``.

    Raises:
        BadInputError: something else, a number below 0, or one that is there twice.
    """
    try:
        numbers = tuple(int(seed) for seed in given.split(","))
    except ValueError:
        raise BadInputError(f"seeds {given!r}; allowed: whole numbers by commas, such as 0,1,2") from None
    if len(set(numbers)) != len(numbers) or min(numbers) < 0:
        raise BadInputError(f"seeds {given!r}; allowed: 0 or more, each once")
    return numbers


def _names(given: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (given or "").split(",") if name.strip())


def _as_it_is(given: Any) -> Any:
    return given


def _or_none(given: str | None) -> str | None:
    return given or None


def _several(given: Sequence[Any] | None) -> tuple[Any, ...]:
    return tuple(given or ())


# Experiment's key: the command's parameter, and what its value means.
_OPTIONS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "slots": ("slots", _names),
    "model": ("model", _as_it_is),
    "protocol": ("protocol", _as_it_is),
    "folds": ("folds", _as_it_is),
    "only_folds": ("only_fold", _several),
    "seeds": ("seeds", seed_numbers),
    "corpora": ("corpus", _several),
    "verdict": ("verdict", _or_none),
    "labels": ("labels", _as_it_is),
    "profile": ("profile", _or_none),
    "join": ("join", _or_none),
    "train_corpora": ("train_corpus", _several),
    "train_on": ("train_on", _or_none),
    "start": ("start", _or_none),
    "report": ("report", _several),
    "row_weights": ("row_weights", _or_none),
}
