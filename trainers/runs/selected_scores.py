"""Scores of runs on some of their test rows: TestA and TestB, texts never seen, what passed a verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from feature_repo.console import Table, console
from feature_repo.errors import BadInputError
from trainers.metrics import Scores, score
from trainers.runs.run import Run
from trainers.runs.tables import HEADLINE, mean_and_deviation


def scores_on(runs: Sequence[Run], ids: Collection[str] | pl.Series) -> dict[int, Scores]:
    """Test scores on these utterances by seed, the folds' predictions taken together.

    Args:
        runs: finished runs of one setting.
        ids: utterance ids; those that no run tests are left out.

    Raises:
        BadInputError: no run tests any of them.
    """
    wanted = ids if isinstance(ids, pl.Series) else pl.Series(sorted(ids), dtype=pl.String)
    frames: dict[int, list[pl.DataFrame]] = {}
    for run in runs:
        tested = run.predictions().select("utterance_id", "true", "predicted")
        found = tested.filter(pl.col("utterance_id").is_in(wanted.implode()))
        if found.height:
            frames.setdefault(run.record["seed"], []).append(found)
    if not frames:
        keys = ", ".join(run.key for run in runs)
        raise BadInputError(f"none of these {len(wanted)} utterances is a test row of {keys or 'no run'}")
    classes = tuple(runs[0].record["classes"])
    number = {name: index for index, name in enumerate(classes)}
    made = {}
    for seed, each in sorted(frames.items()):
        rows = pl.concat(each)
        true, predicted = ([number[name] for name in rows[column]] for column in ("true", "predicted"))
        made[seed] = score(true, predicted, classes)
    return made


def selected_table(selected: Mapping[str, Mapping[int, Scores] | str]) -> None:
    """Print a line per selection: test rows, and mean and deviation over seeds.

    Args:
        selected: name of the selection to scores by seed, or why there are none.
    """
    table = Table(title="Test rows by selection, mean ± deviation over seeds")
    table.add_column("selection")
    for name in ("seeds", "test rows", *HEADLINE.values()):
        table.add_column(name, justify="right")
    for name, seeds in selected.items():
        if isinstance(seeds, str):
            console.print(f"{name}: {seeds}", style="yellow", highlight=False)
            continue
        rows = {int(scores.support.sum()) for scores in seeds.values()}
        told = [
            mean_and_deviation([float(getattr(each, key)) for each in seeds.values()]) for key in HEADLINE
        ]
        table.add_row(name, str(len(seeds)), " to ".join(map(str, sorted(rows))), *told)
    if table.row_count:
        console.print(table)
