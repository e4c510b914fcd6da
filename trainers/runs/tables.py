"""What the command line prints of runs: coverage, scores over seeds, and one run in detail."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from feature_repo.console import Table, console
from feature_repo.pull_command import print_verdict
from feature_repo.training_set import Coverage
from trainers.metrics import Scores
from trainers.runs.comparison import LEVEL, mean_interval
from trainers.runs.groups import group_name
from trainers.runs.run import Run

if TYPE_CHECKING:
    from trainers.train import Trained

_DIGITS = 4  # of a view's name that are left out
HEADLINE = {"accuracy": "accuracy", "weighted_f1": "weighted F1", "uar": "UAR"}


def coverage_table(done: Trained) -> None:
    """Print what pull gave of each slot, and the rows that are in no part."""
    data = done.training_set
    if data.verdict is not None:
        print_verdict(data.verdict)
    table = Table(title="What was pulled")
    table.add_column("slot")
    table.add_column("view")
    states = [item.name for item in dataclasses.fields(Coverage)]
    for name in states:
        table.add_column(name, justify="right")
    for slot, told in data.coverage.items():
        table.add_row(slot, data.views[slot], *(str(getattr(told, name)) for name in states))
    console.print(table)
    for reason, count in done.plan.left_out.items():
        console.print(f"{count} of {len(data.ids)} rows left out: {reason}", style="yellow")


def scores_table(done: Trained) -> None:
    """Print the test scores per seed, and their mean and deviation."""
    first = done.runs[0].record
    folds = (
        f"{first['protocol']}, {len({run.record['fold'] for run in done.runs})} of {first['folds']} fold(s)"
    )
    table = Table(title=f"{' + '.join(first['slots'])} on {', '.join(first['corpora'])}: test, {folds}")
    table.add_column("seed")
    for name in ("runs", "test rows", *HEADLINE.values()):
        table.add_column(name, justify="right")
    for seed, scores in done.by_seed().items():
        keys = [run.key for run in done.runs if run.record["seed"] == seed]
        table.add_row(
            str(seed),
            keys[0] if len(keys) == 1 else f"{len(keys)} runs",
            str(int(scores.support.sum())),
            *(f"{getattr(scores, name):.4f}" for name in HEADLINE),
        )
    table.add_section()
    told = [
        f"{mean:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")
        for mean, deviation in (done.summary()[name] for name in HEADLINE)
    ]
    table.add_row("mean ± deviation", "", "", *told, style="bold")
    seeds = list(done.by_seed().values())
    if len(seeds) > 1:
        ends = (interval_words([getattr(scores, name) for scores in seeds]) for name in HEADLINE)
        table.add_row(f"{LEVEL:.0%} interval of the mean", "", "", *ends)
    console.print(table)
    _tell_shared_texts(done.runs)
    kept = len(done.runs) - done.trained
    console.print(
        f"{done.trained} run(s) trained, {kept} finished before; [cyan]affectstore runs[/cyan] lists them"
    )


def _tell_shared_texts(runs: Sequence[Run]) -> None:
    """How many test rows have words that were trained on, of one seed's folds; nothing where there are none."""
    of_seed = [run.record for run in runs if run.record["seed"] == runs[0].record["seed"]]
    shared = sum(record.get("test_texts_in_train", 0) for record in of_seed)
    if shared:
        rows = sum(record["rows"]["test"] for record in of_seed)
        console.print(
            f"{shared} of {rows} test rows have a text that stands in train letter by letter",
            style="dim",
            highlight=False,
        )


def mean_and_deviation(reached: Sequence[float]) -> str:
    """Mean and sample deviation of a score over seeds, in words; the mean alone of one seed."""
    if not reached:
        return "–"
    mean = f"{statistics.fmean(reached):.4f}"
    return mean if len(reached) == 1 else f"{mean} ± {statistics.stdev(reached):.4f}"


def interval_words(reached: Sequence[float]) -> str:
    """The interval of a score's mean over seeds, two or more, in words."""
    mean, half = mean_interval(reached)
    return f"{mean - (half or 0):.4f} to {mean + (half or 0):.4f}"


def run_tables(run: Run) -> None:
    """Print one run: its data, settings with their sources, scores and confusion."""
    record = run.record
    console.print(
        f"[bold]run {run.key}[/bold] {record['trainer']}, {record['created'][:19]} UTC, {record['seconds']} s"
    )
    data_and_settings(run)
    scores = Table(
        title=f"Scores, best of {record['epochs']} epochs was {record['best_epoch']} ({record['stopped']})"
    )
    scores.add_column("part")
    for name in ("rows", *record["scores"]["test"]):
        scores.add_column(name, justify="right")
    for part, reached in record["scores"].items():
        scores.add_row(part, str(record["rows"][part]), *(f"{value:.4f}" for value in reached.values()))
    console.print(scores)
    confusion_table(run.test, "Confusion on test: row is true, column is predicted")


def data_and_settings(run: Run, leave_out: Collection[str] = ()) -> None:
    """Print what a run was trained on, and its settings with their sources.

    Args:
        run: a run.
        leave_out: names of its data that are not printed.
    """
    config = run.config()
    for name, value in config["data"].items():
        if name in leave_out:
            continue
        told = ", ".join(f"{key}={view}" for key, view in value.items()) if isinstance(value, dict) else value
        told = ", ".join(map(str, told)) if isinstance(told, list) else told
        console.print(f"  {name}: {told}", highlight=False, soft_wrap=True)
    settings = Table(title="Settings")
    for name in ("setting", "value", "where from"):
        settings.add_column(name)
    for name, entry in config["settings"].items():
        told = f"assumed: {entry['why']}" if entry.get("assumed") else entry["source"]
        settings.add_row(name, str(entry["value"]), told)
    console.print(settings)


def confusion_table(scores: Scores, title: str) -> None:
    """Print counts ``[true class, predicted class]`` with recall and precision."""
    confusion = Table(title=title)
    confusion.add_column("")
    for name in (*scores.classes, "recall", "precision"):
        confusion.add_column(name, justify="right")
    each = scores.per_class()
    for name, counts in zip(scores.classes, scores.confusion.tolist(), strict=True):
        told = [f"{each[name][key]:.3f}" if name in each else "–" for key in ("recall", "precision")]
        confusion.add_row(name, *map(str, counts), *told)
    console.print(confusion)


def runs_table(runs: Sequence[Run]) -> None:
    """Print a line per run."""
    table = Table(title="Runs, scores on test")
    for name in ("run", "group", "model", "slots", "corpora", "labels", "protocol", "fold"):
        table.add_column(name, no_wrap=name in ("run", "group"))
    for name in ("seed", "epochs", *HEADLINE.values()):
        table.add_column(name, justify="right")
    for one, slots in zip(runs, slot_words(runs), strict=True):
        record = one.record
        table.add_row(
            one.key,
            group_name(one),
            record["trainer"],
            slots,
            ", ".join(record["corpora"]),
            record["labels"],
            record["protocol"],
            f"{record['fold'] + 1} of {record['folds']}",
            str(record["seed"]),
            str(record["epochs"]),
            *(f"{record['scores']['test'][name]:.4f}" for name in HEADLINE),
        )
    console.print(table)


def slot_words(runs: Sequence[Run]) -> list[str]:
    """Per run its slots; a slot that means several views among these runs with the beginning of its view's name.

    So ``speaker=adapter_fd64`` stands apart from ``speaker=resemblyzer_7fec``; the folds' own adapters are told apart
    too.
    """
    meant: dict[str, set[str]] = {}
    for run in runs:
        for slot, view in run.record["views"].items():
            meant.setdefault(slot, set()).add(view)

    def words(slot: str, view: str) -> str:
        if len(meant[slot]) == 1:
            return slot
        _, _, rest = view.partition("_")  # the modality says nothing that the slot does not
        return f"{slot}={rest[:-_DIGITS]}"

    return [", ".join(words(slot, view) for slot, view in run.record["views"].items()) for run in runs]
