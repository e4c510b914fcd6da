"""What a reader has to know of a suite's numbers: what is not like for like, and what has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainers.experiments.experiment import merged
from trainers.experiments.reference import reference_cell

if TYPE_CHECKING:
    from trainers.suites.suite_report import ScoreTable
    from trainers.suites.suite_results import SuiteResult

# Keys of which a change makes another experiment of it than the paper's.
_DECISIVE = (
    *("model", "slots", "corpora", "labels", "protocol", "verdict", "join", "settings", "profile"),
    *("train_corpora", "train_on", "row_weights"),
)


def suite_caveats(result: SuiteResult, tables: Sequence[ScoreTable]) -> list[str]:
    """What keeps numbers from being like for like, and what has none, a sentence each.

    Args:
        result: what the suite came to.
        tables: its scores.
    """
    told = []
    generated = sorted({name for variant in result.variants for name in variant.stand_ins})
    if generated:
        told.append(
            f"* with stand-ins, generated sounds and texts in place of a corpus: {', '.join(generated)};"
            " they show the way, and stand beside no number of the real corpus"
        )
    cells = [reference_cell(name) for one in result.variants for name in one.experiment.reference]
    if cells:
        rows = ", ".join(
            f"{table.rows[0].rows:,} of {table.selection or 'all test rows'}"
            for table in tables
            if table.rows
        )
        papers = sorted({f"{cell.cite}: {cell.subset}" for cell in cells})
        told.append(f"paper: {'; '.join(papers)}; ours: {rows}")
    told += _changed(result)
    for table in tables:
        where = f" on {table.selection}" if table.selection else ""
        told += [
            f"{row.variant} can't be compared{where}: {row.against}"
            for row in table.rows
            if isinstance(row.against, str)
        ]
    told += [
        f"{row.variant} is compared{f' on {table.selection}' if table.selection else ''} on the {row.compared:,} test"
        f" rows that {table.rows[0].variant} has too"
        for table in tables
        for row in table.rows
        if row.compared is not None
    ]
    told += [f"{name} is not scored by itself: {why}" for name, why in result.unselected.items()]
    told += [f"{name}: {why.splitlines()[-1]}" for name, why in result.untold.items()]
    return told


def _changed(result: SuiteResult) -> list[str]:
    """Where options made another experiment of a variant than its file is."""
    variants = {variant.name: variant for variant in result.suite.variants if variant.base is not None}
    experiments = result.suite.experiments() if variants else {}
    by_keys: dict[tuple[str, ...], list[str]] = {}
    for one in result.variants:
        variant = variants.get(one.name)
        if variant is None:
            continue
        expected = merged(variant.below, variant.changes, one.name)
        now = experiments[one.name].values()
        keys = tuple(key for key in _DECISIVE if now[key] != expected[key])
        if keys:
            by_keys.setdefault(keys, []).append(one.name)
    return [
        f"{', '.join(names)}: trained with other {', '.join(keys)} than the experiment's file says"
        for keys, names in by_keys.items()
    ]
