"""A paper's cell beside ours: which scores, on which rows, and what makes them no like for like."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainers.experiments.reference import Cell
from trainers.metrics import Scores

if TYPE_CHECKING:
    from trainers.experiments.experiment import Experiment

# Keys of which a change makes another experiment of it than the paper's.
_DECISIVE = (
    "model",
    "slots",
    "corpora",
    "labels",
    "protocol",
    "folds",
    "only_folds",
    "verdict",
    "join",
    "settings",
    "train_corpora",
    "train_on",
    "row_weights",
)


@dataclass(frozen=True)
class Beside:
    """One score, ours and the paper's, as shares from 0 to 1.

    Attributes:
        score: its name, as in ``reference.yaml``.
        ours: mean over the seeds.
        deviation: sample deviation over the seeds, None of one seed.
        paper: what the paper reports.
    """

    score: str
    ours: float
    deviation: float | None
    paper: float

    @property
    def difference(self) -> float:
        """``ours - paper``."""
        return self.ours - self.paper


def beside(
    cell: Cell, seeds: Mapping[int, Scores], selected: Mapping[str, Mapping[int, Scores]] | None = None
) -> list[Beside]:
    """Our scores beside a cell's; a score that our runs do not have is left out.

    Args:
        cell: of a paper's table.
        seeds: test scores by seed.
        selected: the same on saved selections by their names. ``testa.uar`` is the UAR on one that is called ``testa``,
            or whose name ends so: ``audio-text-testa``.
    """
    rows = []
    for score, paper in cell.values.items():
        those, name = _of_selection(score, seeds, selected or {})
        found = [value_of(scores, name) for scores in those.values()]
        ours = [value for value in found if value is not None]
        if ours:
            deviation = statistics.stdev(ours) if len(ours) > 1 else None
            rows.append(Beside(score, statistics.fmean(ours), deviation, paper))
    return rows


def _of_selection(
    score: str, seeds: Mapping[int, Scores], selected: Mapping[str, Mapping[int, Scores]]
) -> tuple[Mapping[int, Scores], str]:
    """The scores that a name of ``reference.yaml`` is about, and the rest of the name."""
    begin, _, rest = score.partition(".")
    for name, those in selected.items():
        if rest and (name == begin or name.endswith(f"-{begin}")):
            return those, rest
    return seeds, score


def value_of(scores: Scores, name: str) -> float | None:
    """A score by its name in ``reference.yaml``: ``accuracy``, ``recall.fear``, ``confusion.fear.anger``.

    None when there is none: a class that no test row has, or a score of another part than the test rows.
    """
    kind, *classes = name.split(".")
    if not classes:
        return scores.summary().get(name)
    places = [scores.classes.index(each) for each in classes if each in scores.classes]
    if kind not in ("recall", "confusion") or len(places) != len(classes):
        return None
    true, predicted = places[0], places[-1]
    rows = int(scores.support[true])
    return float(scores.confusion[true, predicted] / rows) if rows else None


def caveats(asked: Experiment, file: Experiment | None, rows: int) -> list[str]:
    """What a reader has to know before the two are compared, a sentence each.

    Args:
        asked: what was trained.
        file: the experiment before options went on top; None for the same.
        rows: test rows of ours.
    """
    changed = [key for key in _DECISIVE if file is not None and getattr(asked, key) != getattr(file, key)]
    told = [f"ours has another {', '.join(changed)} than {asked.name}"] if changed else []
    if asked.verdict is None and (file or asked).verdict is not None:
        told.append(f"ours is on all {rows} test rows, the paper's is not: not like for like")
    return told


def beside_tables(
    asked: Experiment,
    seeds: Mapping[int, Scores],
    file: Experiment | None = None,
    cells: Sequence[Cell] = (),
    selected: Mapping[str, Mapping[int, Scores]] | None = None,
) -> None:
    """Print every cell that the experiment refers to beside our scores."""
    from feature_repo.console import Table, console  # rich: not for a caller in Python
    from trainers.experiments.reference import reference_cell

    rows = int(next(iter(seeds.values())).support.sum())
    for cell in cells or [reference_cell(name) for name in asked.reference]:
        table = Table(title=f"Beside {cell.cite} (in percent)")
        table.add_column("score")
        for name in ("ours", "paper", "difference"):
            table.add_column(name, justify="right")
        for each in beside(cell, seeds, selected):
            spread = "" if each.deviation is None else f" ± {100 * each.deviation:.1f}"
            table.add_row(
                each.score.replace(".", " "),
                f"{100 * each.ours:.1f}{spread}",
                f"{100 * each.paper:.1f}",
                f"{100 * each.difference:+.1f}",
            )
        console.print(table)
        judged = f" that passed verdict {asked.verdict!r}" if asked.verdict else ""
        parts = ", ".join(
            f"{name} of {int(next(iter(those.values())).support.sum())}"
            for name, those in (selected or {}).items()
        )
        console.print(
            f"the paper's is on {cell.subset}; ours on {rows} test rows{judged}{f' ({parts})' if parts else ''}",
            highlight=False,
        )
    for caveat in caveats(asked, file, rows) if asked.reference or cells else []:
        console.print(caveat, style="yellow", highlight=False)
