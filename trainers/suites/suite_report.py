"""The numbers of a suite's tables: means, deviations, intervals, paired tests, and the papers' values beside them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feature_repo.errors import BadInputError
from trainers.experiments.reference import Cell, reference_cell
from trainers.runs.comparison import Difference, compare, intervals
from trainers.runs.held_out import global_means, held_out_scores
from trainers.runs.predictions import Predictions, common_rows, predictions_of
from trainers.suites.caveats import suite_caveats
from trainers.suites.suite_results import SCORES, SuiteResult, VariantResult


@dataclass(frozen=True)
class Reached:
    """A score over the seeds.

    Attributes:
        mean: over the seeds.
        deviation: sample deviation over the seeds; None of one seed.
        low: lower end of the mean's bootstrap interval over the rows; None where there is none.
        high: its upper end.
    """

    mean: float
    deviation: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Row:
    """A variant on some test rows.

    Attributes:
        variant: its name.
        seeds: how many.
        rows: test rows.
        reached: by score.
        against: the difference to the first variant by score; why there is none, in words; None for the first itself.
        paper: what the paper reports for it, by score.
        stand_ins: its corpora that are generated ones.
        compared: test rows of that difference, where they are fewer than those of either; else None.
    """

    variant: str
    seeds: int
    rows: int
    reached: Mapping[str, Reached]
    against: Mapping[str, Difference] | str | None
    paper: Mapping[str, float]
    stand_ins: tuple[str, ...] = ()
    compared: int | None = None

    def relative(self, score: str) -> float | None:
        """The change against the first in percent of the first's mean; None without a comparison, or of nothing."""
        if self.against is None or isinstance(self.against, str):
            return None
        first = statistics.fmean(self.against[score].first)
        return 100 * self.against[score].difference / first if first else None


@dataclass(frozen=True)
class ScoreTable:
    """The variants on all test rows, or on those of one saved selection.

    Attributes:
        selection: its name; None for all test rows.
        rows: the variants that have such rows, in the suite's order.
    """

    selection: str | None
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class HeldOut:
    """A variant on the corpora that were left out of its training, one after the other.

    Attributes:
        variant: its name.
        corpora: scores by corpus: mean and deviation over the seeds.
        rows: test rows by corpus.
        mean: the mean of the corpora's scores, each corpus counting alike (papers/003 5.4.3 B); None where no seed was
            trained for all of them.
    """

    variant: str
    corpora: Mapping[str, Mapping[str, Reached]]
    rows: Mapping[str, int]
    mean: Mapping[str, Reached] | None


@dataclass(frozen=True)
class AcrossFolds:
    """A variant's scores fold by fold (papers/003 5.4.2).

    Attributes:
        variant: its name.
        folds: how many.
        reached: by score the mean over the folds and their deviation, a fold's score being its mean over the seeds.
    """

    variant: str
    folds: int
    reached: Mapping[str, Reached]


@dataclass(frozen=True)
class SuiteReport:
    """All numbers of a suite's tables.

    Attributes:
        result: what they are of.
        tables: of all test rows, then of each selection.
        held_out: of the variants that leave corpora out.
        across_folds: of the other variants with several folds.
        notes: what a reader has to know, a sentence each.
    """

    result: SuiteResult
    tables: tuple[ScoreTable, ...]
    held_out: tuple[HeldOut, ...]
    across_folds: tuple[AcrossFolds, ...]
    notes: tuple[str, ...]


def suite_report(result: SuiteResult, *, on_step: Callable[[], None] | None = None) -> SuiteReport:
    """Compare the variants with the first, on all test rows and on each selection.

    Args:
        result: what the suite came to.
        on_step: called after each variant of each table: a comparison takes seconds.
    """
    sets: dict[str, Predictions | str] = {}
    for variant in result.variants:
        try:
            sets[variant.name] = predictions_of(variant.trained.runs, variant.name)
        except BadInputError as error:
            sets[variant.name] = str(error)
    tables = []
    for selection in (None, *result.selections):
        rows = _rows(result, sets, selection, on_step)
        if rows or selection is None:
            tables.append(ScoreTable(selection, tuple(rows)))
    held_out = tuple(told for each in result.variants if (told := _held_out(each)) is not None)
    left_out = {told.variant for told in held_out}
    across = (_across_folds(each) for each in result.variants if each.name not in left_out)
    across_folds = tuple(told for told in across if told.folds > 1)
    return SuiteReport(result, tuple(tables), held_out, across_folds, tuple(suite_caveats(result, tables)))


def paper_scores(cells: Sequence[Cell], selection: str | None) -> dict[str, float]:
    """What cells report on a selection: ``testb.uar`` is the UAR on the one that is called so behind its last hyphen.

    Args:
        cells: of a paper's tables.
        selection: name of a saved selection, such as ``audio-text-testb``; None for all test rows, whose scores have
            their plain names.
    """
    before = "" if selection is None else f"{selection.rpartition('-')[2]}."
    found: dict[str, float] = {}
    for cell in cells:
        for score in SCORES:
            if before + score in cell.values:
                found.setdefault(score, cell.values[before + score])
    return found


def on_selection(every: Predictions, ids: Collection[str] | None) -> Predictions | None:
    """The predictions of these rows alone; None where it has none of them.

    Args:
        every: of all test rows.
        ids: of a selection; None for all rows.
    """
    if ids is None:
        return every
    which = np.flatnonzero(np.array([name in ids for name in every.ids], bool))
    return every.only(which) if len(which) else None


# Of either's test rows, that both must have to be compared on those: an utterance may lack the one slot of a variant.
_NEARLY_ALL = 0.9


def _rows(
    result: SuiteResult,
    sets: Mapping[str, Predictions | str],
    selection: str | None,
    on_step: Callable[[], None] | None,
) -> list[Row]:
    first: Predictions | str | None = None
    made = []
    ids = None if selection is None else result.selections[selection]
    for variant in result.variants:
        every = sets[variant.name]
        cells = [reference_cell(name) for name in variant.experiment.reference]
        paper = paper_scores(cells, selection)
        against: Mapping[str, Difference] | str | None
        compared: int | None = None
        if isinstance(every, str):
            # No set of predictions, so no rows of a selection; but scores of each seed all the same.
            if selection is not None:
                continue
            some: Predictions | str = every
            reached, against, rows = _by_seed(variant), every, variant.trained.runs[0].record["rows"]["test"]
        else:
            chosen = on_selection(every, ids)
            if chosen is None:
                continue
            some = chosen
            against, compared = (None, None) if first is None else _against(first, chosen)
            ends = (
                {score: each.second_interval for score, each in against.items()}
                if isinstance(against, Mapping) and compared is None
                else intervals(chosen)
            )
            reached = _reached([scores.summary() for scores in chosen.scores()], ends)
            rows = len(chosen.ids)
        first = some if first is None else first
        seeds = len(variant.experiment.seeds)
        made.append(Row(variant.name, seeds, rows, reached, against, paper, variant.stand_ins, compared))
        if on_step:
            on_step()
    return made


def _against(
    first: Predictions | str, second: Predictions
) -> tuple[Mapping[str, Difference] | str, int | None]:
    """The differences by score, or why there are none; and the rows that both have, where they are not all."""
    if isinstance(first, str):
        return first, None
    shared = len(set(first.ids) & set(second.ids))
    most = max(len(first.ids), len(second.ids))
    compared = shared if _NEARLY_ALL * most <= shared < most else None
    try:
        pair = [first, second] if compared is None else common_rows([first, second])
        return compare(*pair).scores, compared
    except BadInputError as error:
        return str(error), None


def _by_seed(variant: VariantResult) -> dict[str, Reached]:
    return _reached([scores.summary() for scores in variant.trained.by_seed().values()], {})


def _reached(
    seeds: Sequence[Mapping[str, float]], ends: Mapping[str, tuple[float, float]]
) -> dict[str, Reached]:
    told = {}
    for score in SCORES:
        each = [one[score] for one in seeds]
        spread = statistics.stdev(each) if len(each) > 1 else None
        told[score] = Reached(statistics.fmean(each), spread, *ends.get(score, (None, None)))
    return told


def _held_out(variant: VariantResult) -> HeldOut | None:
    found = held_out_scores(variant.trained.runs)
    if not found:
        return None
    corpora = {
        corpus: _reached([scores.summary() for scores in seeds.values()], {})
        for corpus, seeds in sorted(found.items())
    }
    by_score = {score: list(global_means(found, score).values()) for score in SCORES}
    whole = len(by_score[SCORES[0]])  # seeds that were trained for every corpus
    means = [{score: each[seed] for score, each in by_score.items()} for seed in range(whole)]
    rows = {corpus: int(next(iter(seeds.values())).support.sum()) for corpus, seeds in found.items()}
    return HeldOut(variant.name, corpora, rows, _reached(means, {}) if means else None)


def _across_folds(variant: VariantResult) -> AcrossFolds:
    by_fold: dict[int, list[dict[str, float]]] = {}
    for run in variant.trained.runs:
        by_fold.setdefault(run.record["fold"], []).append(run.record["scores"]["test"])
    folds = [
        {score: statistics.fmean(one[score] for one in seeds) for score in SCORES}
        for seeds in by_fold.values()
    ]
    return AcrossFolds(variant.name, len(folds), _reached(folds, {}))
