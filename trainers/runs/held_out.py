"""Leave one corpus out: the scores on each corpus that was left out, and their mean (papers/003 5.4.3 B)."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from feature_repo.console import Table, console
from trainers.metrics import Scores
from trainers.runs.run import Run
from trainers.runs.tables import HEADLINE, mean_and_deviation


def held_out_scores(runs: Sequence[Run]) -> dict[str, dict[int, Scores]]:
    """Corpus that was left out to test scores by seed; empty for runs of another protocol."""
    found: dict[str, dict[int, Scores]] = {}
    for run in sorted(runs, key=lambda run: (run.record["fold"], run.record["seed"])):
        if tested := run.record.get("tested"):
            found.setdefault(tested, {})[run.record["seed"]] = run.test
    return found


def global_means(held_out: Mapping[str, Mapping[int, Scores]], score: str) -> dict[int, float]:
    """By seed the mean of a score over the corpora, each counting the same however large it is.

    Seeds that were not trained for every corpus are left out.

    Args:
        held_out: what :func:`held_out_scores` gave.
        score: such as ``uar``.
    """
    if not held_out:
        return {}
    seeds = set.intersection(*(set(each) for each in held_out.values()))
    return {
        seed: statistics.fmean(float(getattr(each[seed], score)) for each in held_out.values())
        for seed in sorted(seeds)
    }


def held_out_table(runs: Sequence[Run]) -> None:
    """Print a line per corpus that was left out, and the mean over them; nothing for another protocol."""
    found = held_out_scores(runs)
    if not found:
        return
    shared = {run.record["tested"]: run.record.get("test_texts_in_train", 0) for run in runs}
    table = Table(title="Each corpus left out in turn, mean ± deviation over seeds")
    table.add_column("left out")
    for name in ("test rows", "of them with a text of train", *HEADLINE.values()):
        table.add_column(name, justify="right")
    for corpus, seeds in found.items():
        rows = int(next(iter(seeds.values())).support.sum())
        told = [
            mean_and_deviation([float(getattr(each, key)) for each in seeds.values()]) for key in HEADLINE
        ]
        table.add_row(corpus, str(rows), str(shared[corpus]), *told)
    means = [list(global_means(found, key).values()) for key in HEADLINE]
    if all(means):
        table.add_section()
        table.add_row("mean over corpora", "", "", *map(mean_and_deviation, means), style="bold")
    console.print(table)
