"""What a suite came to: a result per variant, and all of them in one frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from trainers.complexity import BATCH_SIZES, Complexity
from trainers.experiments.experiment import Experiment
from trainers.metrics import score
from trainers.runs.run import Run
from trainers.suites.suite import Suite
from trainers.train import Trained

SCORES = ("accuracy", "weighted_f1", "macro_f1", "uar")
_STAND_IN = "-standin"


@dataclass(frozen=True)
class VariantResult:
    """What a variant came to.

    Attributes:
        name: the variant's.
        experiment: what was trained, with adapted slots where the variant has them.
        trained: its runs, one per seed and fold.
        cost: of its model on 32 examples of the data; None where the suite measures none.
        dropped: ``run, rate, draw`` and scores with slots taken away at test; None where the suite drops none.
    """

    name: str
    experiment: Experiment
    trained: Trained
    cost: Complexity | None = None
    dropped: pl.DataFrame | None = None

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Its corpora that are generated ones in place of the real."""
        return tuple(name for name in self.trained.runs[0].record["corpora"] if is_stand_in(name))


@dataclass(frozen=True)
class SuiteResult:
    """What a suite came to.

    Attributes:
        suite: the suite.
        variants: results in its order.
        path: where in the store the results are.
        selections: ids of each saved selection whose test rows are scored by themselves.
        untold: variants without a result, and why.
        failed: those of them that went wrong; others need a corpus that the store does not have.
        unselected: selections that the store does not have, and what it has.
    """

    suite: Suite
    variants: tuple[VariantResult, ...]
    path: str
    selections: Mapping[str, frozenset[str]] = field(default_factory=dict)
    untold: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    unselected: Mapping[str, str] = field(default_factory=dict)

    @property
    def selection(self) -> str:
        """The score that the variants are compared by: what the first one's training selects by."""
        return self.variants[0].experiment.config().selection


def is_stand_in(corpus: str) -> bool:
    """Whether a corpus is a generated one, by its name: ``cremad-standin``."""
    return _STAND_IN in corpus


def results_frame(
    variants: Sequence[VariantResult], selections: Mapping[str, frozenset[str]] | None = None
) -> pl.DataFrame:
    """A row per variant, seed, fold and selection, and one more per rate and draw where slots are dropped at test.

    ``variant, seed, fold, held_out`` (the corpus that the fold leaves out, null in other protocols), ``selection``
    (null for all test rows), ``rate, draw`` (null where nothing was dropped), the four scores on ``rows`` test rows
    (null without any), what the model is and costs (``flops`` of a forward pass per example, ``latency_ms_<batch>``),
    the ``corpora``, those of them that are generated (``stand_in``, null if none), and the ``run``.

    Args:
        variants: the results.
        selections: ids by name.
    """
    rows: list[dict[str, Any]] = []
    for result in variants:
        cost = result.cost
        for run in result.trained.runs:
            record = run.record
            told = {
                "variant": result.name,
                "seed": record["seed"],
                "fold": record["fold"],
                "held_out": record.get("tested"),
                "selection": None,
                "rate": None,
                "draw": None,
                **{score: record["scores"]["test"][score] for score in SCORES},
                "rows": record["rows"]["test"],
                "model": record["trainer"],
                "slots": ", ".join(record["slots"]),
                "corpora": ", ".join(record["corpora"]),
                "stand_in": ", ".join(result.stand_ins) or None,
                "parameters": record["parameters"],
                "flops": cost.flops if cost else None,
                **{f"latency_ms_{size}": cost.latency_ms[size] if cost else None for size in BATCH_SIZES},
                "run": run.key,
            }
            rows.append(told)
            for name, ids in (selections or {}).items():
                rows.append({**told, "selection": name, **_on(run, ids)})
            if result.dropped is not None:
                own = result.dropped.filter(pl.col("run") == run.key)
                rows += [{**told, **drawn} for drawn in own.iter_rows(named=True)]
    return pl.DataFrame(rows, schema_overrides=_SCHEMA, infer_schema_length=None)


_SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("rate", *SCORES, *(f"latency_ms_{size}" for size in BATCH_SIZES)), pl.Float64),
    **dict.fromkeys(("seed", "fold", "draw", "rows", "parameters", "flops"), pl.Int64),
    **dict.fromkeys(("held_out", "selection", "stand_in"), pl.String),
}


def _on(run: Run, ids: frozenset[str]) -> dict[str, Any]:
    rows = run.predictions().filter(pl.col("utterance_id").is_in(list(ids)))
    if not rows.height:
        return {**dict.fromkeys(SCORES), "rows": 0}
    number = {name: index for index, name in enumerate(run.record["classes"])}
    true, predicted = ([number[name] for name in rows[column]] for column in ("true", "predicted"))
    return {**score(true, predicted, run.record["classes"]).summary(), "rows": rows.height}
