"""What the command line prints of groups of runs: a line each, one in detail, and several against the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from feature_repo.console import Table, console
from trainers.metrics import Scores
from trainers.runs.comparison import LEVEL, RESAMPLES, Comparison
from trainers.runs.groups import RunGroup, settings_that_differ
from trainers.runs.tables import (
    HEADLINE,
    confusion_table,
    data_and_settings,
    interval_words,
    mean_and_deviation,
    slot_words,
)

# What of its data is shown with the settings, where a group has it.
_DATA = ("train_corpora", "train_on", "row_weights", "start")
_OF_ONE_RUN = ("fold", "seed", "snapshot")


def groups_table(groups: Sequence[RunGroup]) -> None:
    """Print a line per group: mean and deviation of its seeds' test scores."""
    table = Table(title="Runs by settings, test scores as mean ± deviation over seeds")
    for name in ("group", "model", "slots", "corpora", "labels", "protocol", "set"):
        table.add_column(name, no_wrap=name == "group")
    for name in ("runs", *HEADLINE.values()):
        table.add_column(name, justify="right")
    told = slot_words([group.first for group in groups])
    for group, slots in zip(groups, told, strict=True):
        record = group.first.record
        table.add_row(
            group.name,
            record["trainer"],
            slots,
            ", ".join(record["corpora"]),
            record["labels"],
            record["protocol"],
            ", ".join(changed_settings(group)),
            _counted(group),
            *(mean_and_deviation(group.score(name)) for name in HEADLINE),
        )
    console.print(table)
    for group in groups:
        _tell_left_out(group)


def group_tables(group: RunGroup) -> None:
    """Print one group: data, settings with their sources, scores of each seed with the interval, confusion."""
    console.print(f"[bold]group {group.name}[/bold] {group.first.record['trainer']}, {_counted(group)} runs")
    data_and_settings(group.first, _OF_ONE_RUN)
    table = Table(title="Scores on test, a seed's folds taken together")
    table.add_column("seed")
    table.add_column("runs")
    for name in ("rows", *HEADLINE.values()):
        table.add_column(name, justify="right")
    for seed, scores in group.by_seed.items():
        keys = ", ".join(run.key for run in group.runs if run.record["seed"] == seed)
        reached = (f"{getattr(scores, name):.4f}" for name in HEADLINE)
        table.add_row(str(seed), keys, str(int(scores.support.sum())), *reached)
    table.add_section()
    means = [mean_and_deviation(group.score(name)) for name in HEADLINE]
    table.add_row("mean ± deviation", "", "", *means, style="bold")
    if len(group.by_seed) > 1:
        ends = (interval_words(group.score(name)) for name in HEADLINE)
        table.add_row(f"{LEVEL:.0%} interval of the mean", "", "", *ends)
    console.print(table)
    _tell_left_out(group)
    if group.by_seed:
        whole: Any = sum(scores.confusion for scores in group.by_seed.values())
        over = f", {len(group.by_seed)} seeds together" if len(group.by_seed) > 1 else ""
        confusion_table(
            Scores(whole, group.classes), f"Confusion on test{over}: row is true, column is predicted"
        )


def comparison_tables(groups: Sequence[RunGroup], comparisons: Mapping[str, Comparison]) -> None:
    """Print what differs between groups, and the scores of each against the first's.

    Args:
        groups: two or more.
        comparisons: by name of each group but the first, with the first.
    """
    apart = settings_that_differ(groups)
    settings = Table(title="Settings that differ" if apart else "No setting differs")
    settings.add_column("setting")
    for group in groups:
        settings.add_column(group.name)
    for name, each in apart.items():
        settings.add_row(name, *each)
    if apart:
        console.print(settings)
    base, *others = groups
    some = next(iter(comparisons.values()))
    table = Table(title=f"Scores on test, against {base.name}")
    for name in ("score", "runs"):
        table.add_column(name)
    table.add_column("seeds", justify="right")
    for name in ("mean ± deviation", "difference", f"{some.level:.0%} interval", "p"):
        table.add_column(name, justify="right")
    for score, words in HEADLINE.items():
        for group in groups:
            seeds = str(len(group.by_seed))
            shown = [words if group is base else "", group.name, seeds]
            found = comparisons.get(group.name)
            if found is None:
                table.add_row(*shown, mean_and_deviation(some.scores[score].first), "", "", "")
                continue
            told = found.scores[score]
            table.add_row(
                *shown,
                mean_and_deviation(told.second),
                f"{told.difference:+.4f}",
                f"{told.low:+.4f} to {told.high:+.4f}",
                p_words(told.p),
                style="bold" if told.p < 1 - some.level else None,
            )
        table.add_section()
    console.print(table)
    for group in others:
        found = comparisons[group.name]
        if found.mcnemar is not None:
            console.print(
                f"{group.name}: {found.only_second} rows that only it got right, {found.only_first} that only"
                f" {base.name} did; exact McNemar p {p_words(found.mcnemar)}",
                highlight=False,
            )
    console.print(
        f"{some.rows} test rows; interval: paired bootstrap over rows; p: paired randomisation over rows, {RESAMPLES}"
        " draws each, with all seeds' predictions of a row together",
        style="dim",
        highlight=False,
    )
    for group in groups:
        _tell_left_out(group)


def changed_settings(group: RunGroup) -> list[str]:
    """What is set to another value than the model's default, as ``key=value``."""
    record = group.first.record
    defaults = _defaults(record["trainer"])
    told = [f"verdict={record['verdict']['name']}"] if "verdict" in record else []
    for name, value in group.settings().items():
        if name in _DATA:
            told.append(f"{name}={','.join(value) if isinstance(value, list) else value}")
        if name not in defaults or value == defaults[name]:
            continue
        if isinstance(value, dict):
            told += [f"{name}.{key}={each:g}" for key, each in value.items()]
        else:
            words = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            told.append(f"{name}={words}")
    return told


def p_words(p: float) -> str:
    """A p-value in words; below one in ten thousand its digits say nothing."""
    return f"{p:.4f}" if p > 1e-4 else "≤ 0.0001"


def _defaults(trainer: str) -> dict[str, Any]:
    """The settings that a model has by itself; none of a model that is no longer there."""
    from trainers.config import values
    from trainers.models import TEXT_ENCODER, model_config, model_names

    if trainer in model_names():
        return values(model_config(trainer)())
    if trainer == TEXT_ENCODER:
        from trainers.text_encoder.config import TextEncoderConfig

        return values(TextEncoderConfig())
    return {}


def _counted(group: RunGroup) -> str:
    seeds, folds = len({run.record["seed"] for run in group.runs}), len(group.folds)
    return str(seeds) if folds == 1 else f"{seeds} x {folds} folds"


def _tell_left_out(group: RunGroup) -> None:
    if left := len(group.runs) - len(group.whole):
        console.print(
            f"{group.name}: {left} run(s) left out, of seeds that have not all of its {len(group.folds)} folds yet",
            style="yellow",
            highlight=False,
        )
