"""The fill loop: what is missing is computed, committed as it goes, and every failure filed (DESIGN sections 2 and 4).

The runner that extracts and the trainer that embeds give it their computing function; nothing else writes rows.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from feature_repo.compaction import FLUSH_BYTES
from feature_repo.content import subjects
from feature_repo.context import reads_other_turns
from feature_repo.errors import StoreWriteError
from feature_repo.feature_table import FeatureTable
from feature_repo.gate import gated
from feature_repo.outcome import Fault, Outcome
from feature_repo.part import Row
from feature_repo.recipe import Recipe
from feature_repo.store import Store

# Given {view: utterance ids still to compute}; yields (view, utterance id, outcome) in any order, one for each.
Compute = Callable[[Mapping[str, Sequence[str]]], Generator[tuple[str, str, Outcome], None, None]]

FLUSH_SECONDS = 30.0
FLUSH_ROWS = 65_536  # a row takes a kilobyte of memory before it is Arrow, however few its numbers
_ATTEMPTS = 100  # at copying forward; each after the first has one damaged part less to read


@dataclass(frozen=True)
class ViewPlan:
    """What one view lacks.

    Attributes:
        recipe: the view's recipe.
        keys: wanted content key by utterance id, for what is to be computed.
        copy: older rows that have the wanted key and become live again, in the columns of ``FeatureTable.history``.
        bury: ids that left the manifest, or that the recipe no longer applies to.
        faulted: how many are left alone because they failed with the same content.
        retried: ids among those to compute that failed before with the same content.
        up_to_date: how many live rows have the wanted key.
    """

    recipe: Recipe
    keys: Mapping[str, str]
    copy: pl.DataFrame
    bury: Sequence[str]
    faulted: int
    retried: Collection[str]
    up_to_date: int


@dataclass
class ViewReport:
    """What filling one view did: counts of utterances."""

    computed: int = 0
    copied: int = 0
    buried: int = 0
    faulted: int = 0
    skipped_faults: int = 0
    up_to_date: int = 0


@dataclass
class FillReport:
    """What a fill did, by view, its faults by reason (``stage: error``), and rows that hold nothing by their reason.

    The reason of a nothing is its note up to the first colon: ``silence: clip.wav is cut off`` counts as ``silence``.
    """

    views: dict[str, ViewReport] = field(default_factory=dict)
    faults_by_reason: Counter[str] = field(default_factory=Counter)
    nothings_by_reason: Counter[str] = field(default_factory=Counter)

    @property
    def computed(self) -> int:
        """Rows computed, over all views."""
        return sum(view.computed for view in self.views.values())

    @property
    def everything_failed(self) -> bool:
        """Whether something was tried and nothing of it succeeded."""
        return self.computed == 0 and sum(view.faulted for view in self.views.values()) > 0


def writing(view: str) -> str:
    """Name of the lock under which a fill commits rows to a view, none of them forgotten."""
    return f"write-{view}"


def plan(
    store: Store,
    recipes: Sequence[Recipe],
    *,
    corpora: Sequence[str] | None = None,
    ids: Collection[str] | None = None,
    retry_faults: bool = False,
) -> dict[str, ViewPlan]:
    """What each recipe's view lacks; nothing is written and no model is touched.

    Args:
        store: the store.
        recipes: the wanted embedding spaces.
        corpora: only these corpora; all by default.
        ids: only these utterances, such as a shard's; of a recipe about speakers, their speakers.
        retry_faults: plan also what failed before with the same content.

    Raises:
        UnknownNameError: a corpus that was not ingested.
    """
    everything = store.manifest()
    chosen = everything if corpora is None else store.manifest(corpora)
    if ids is not None:
        chosen = chosen.filter(pl.col("utterance_id").is_in(list(ids)))
    return {recipe.view: _plan_view(store, recipe, everything, chosen, retry_faults) for recipe in recipes}


def _plan_view(
    store: Store, recipe: Recipe, everything: pl.DataFrame, chosen: pl.DataFrame, retry_faults: bool
) -> ViewPlan:
    by_key = ["utterance_id", "content_key"]
    applicable = store.wanted_in(recipe, everything)
    wanted = applicable.join(subjects(recipe, chosen), on="utterance_id", how="semi", maintain_order="left")
    table = (
        FeatureTable(store.files, recipe) if recipe.view not in store.views() else store.table(recipe.view)
    )
    live = table.live_keys()
    lacking = wanted.join(live, on=by_key, how="anti", maintain_order="left")
    older = (
        table.history()
        .join(lacking, on=by_key, how="semi")
        .sort("created_timestamp", "part", descending=True)
    )
    copy = older.unique("utterance_id", keep="first", maintain_order=True)
    lacking = lacking.join(copy, on="utterance_id", how="anti", maintain_order="left")
    tried = lacking.join(store.faults.entries(recipe.view), on=by_key, how="semi")
    if not retry_faults:
        lacking = lacking.join(tried, on=by_key, how="anti", maintain_order="left")
    gone = live.join(applicable, on="utterance_id", how="anti")["utterance_id"].sort().to_list()
    return ViewPlan(
        recipe,
        dict(lacking.iter_rows()),
        copy,
        gone,
        0 if retry_faults else tried.height,
        frozenset(tried["utterance_id"]) if retry_faults else frozenset(),
        wanted.join(live, on=by_key, how="semi").height,
    )


def fill(
    store: Store,
    recipes: Sequence[Recipe],
    compute: Compute,
    *,
    corpora: Sequence[str] | None = None,
    ids: Collection[str] | None = None,
    retry_faults: bool = False,
    provenance: Mapping[str, Mapping[str, str]] | None = None,
    on_plan: Callable[[Mapping[str, ViewPlan]], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    flush_bytes: int = FLUSH_BYTES,
    flush_seconds: float = FLUSH_SECONDS,
) -> FillReport:
    """Bring the recipes' views up to date; ``compute`` is not called when nothing is missing.

    Finished rows are committed at 64 MiB or 65,536 rows, every 30 s, and at the end, also of a run that Ctrl-C or an
    error ends.

    Args:
        store: the store.
        recipes: the wanted embedding spaces.
        compute: computes what is missing.
        corpora: only these corpora; all by default.
        ids: only these utterances.
        retry_faults: compute also what failed before with the same content.
        provenance: by view, what is told in ``recipe.json`` and in each part.
        on_plan: told the plan before anything is done.
        on_progress: told 1 after each outcome.
        flush_bytes: a view's unflushed rows of this size become a part.
        flush_seconds: unflushed rows of this age become a part.

    Raises:
        StoreWriteError: disk full or read-only; what was committed stays readable.
        RuntimeError: ``compute`` gave no outcome for an utterance; the others are committed.
    """
    told = provenance or {}
    forgotten = frozenset(store.manifests.forgotten())
    plans = plan(store, recipes, corpora=corpora, ids=ids, retry_faults=retry_faults)
    if on_plan:
        on_plan(plans)
    report = FillReport()
    writers: dict[str, _ViewWriter] = {}
    for view, todo in plans.items():
        table = store.ensure_table(todo.recipe, told.get(view))
        for _ in range(_ATTEMPTS):
            try:
                with store.files.lock(writing(view)):
                    table.copy_forward(
                        _not_forgotten(store, table.recipe, todo.copy, forgotten), told.get(view)
                    )
                break
            except FileNotFoundError as error:
                # A part that gc took, or a damaged one, whose rows are missing now.
                unread = error
                again = plan(store, [todo.recipe], corpora=corpora, ids=ids, retry_faults=retry_faults)
                todo = plans[view] = again[view]
        else:
            raise unread
        table.bury(todo.bury)
        report.views[view] = ViewReport(
            copied=todo.copy.height,
            buried=len(todo.bury),
            skipped_faults=todo.faulted,
            up_to_date=todo.up_to_date,
        )
        writers[view] = _ViewWriter(
            store, table, todo, told.get(view, {}), forgotten, flush_bytes, flush_seconds
        )
    missing = {view: list(todo.keys) for view, todo in plans.items() if todo.keys}
    if not missing:
        return report
    awaited = {view: set(utterance_ids) for view, utterance_ids in missing.items()}
    try:
        with contextlib.closing(compute(missing)) as outcomes:
            for view, utterance_id, outcome in outcomes:
                stored = writers[view].add(utterance_id, outcome)
                awaited[view].discard(utterance_id)
                if isinstance(stored, Fault):
                    report.views[view].faulted += 1
                    report.faults_by_reason[f"{stored.stage}: {stored.error}"] += 1
                else:
                    report.views[view].computed += 1
                    if stored.note:  # empty where there is something
                        report.nothings_by_reason[stored.note.partition(":")[0]] += 1
                if on_progress:
                    on_progress(1)
    except StoreWriteError:
        raise  # the disk takes nothing more; trying the other views would only hide the reason
    except BaseException:
        for writer in writers.values():
            writer.flush()
        raise
    for writer in writers.values():
        writer.flush()
    for view, utterance_ids in awaited.items():
        if utterance_ids:
            raise RuntimeError(
                f"{view}: no outcome was given for {len(utterance_ids)}, such as {min(utterance_ids)!r}"
            )
    return report


class _ViewWriter:
    """Gathers one view's rows and faults and commits them in parts."""

    def __init__(
        self,
        store: Store,
        table: FeatureTable,
        todo: ViewPlan,
        provenance: Mapping[str, str],
        forgotten: Collection[str],
        flush_bytes: int,
        flush_seconds: float,
    ) -> None:
        self.store, self.table, self.todo, self.provenance = store, table, todo, provenance
        self.forgotten = forgotten
        self.flush_bytes, self.flush_seconds = flush_bytes, flush_seconds
        self.rows: dict[str, Row] = {}
        self.faults: dict[tuple[str, str], Fault] = {}
        self.size = 0
        self.since = time.monotonic()

    def add(self, utterance_id: str, outcome: Outcome) -> Outcome:
        outcome = gated(self.table.recipe, outcome)
        key = self.todo.keys[utterance_id]
        if not self.rows and not self.faults:
            self.since = time.monotonic()  # loading a model takes longer than a flush may wait
        if isinstance(outcome, Fault):
            self.faults[utterance_id, key] = outcome
        else:
            self.rows[utterance_id] = Row(utterance_id, key, outcome.value, outcome.note, outcome.columns)
            self.size += 0 if outcome.value is None else outcome.value.nbytes
            self.size += sum(_size(entry) for entry in outcome.columns.values())
        full = self.size >= self.flush_bytes or len(self.rows) >= FLUSH_ROWS
        if full or time.monotonic() - self.since >= self.flush_seconds:
            self.flush()
        return outcome

    def flush(self) -> None:
        if not self.rows and not self.faults:
            return
        # Emptied only after the commit: what an interrupt leaves half done is then committed by the last flush, and
        # a row that was committed twice has one live copy.
        view, faults = self.table.view, self.store.faults
        with self.store.files.lock(writing(view)):
            done = [*((row.utterance_id, row.content_key) for row in self.rows.values()), *self.faults]
            keys = pl.DataFrame(done, {"utterance_id": pl.String, "content_key": pl.String}, orient="row")
            kept = set(_not_forgotten(self.store, self.table.recipe, keys, self.forgotten).iter_rows())
            rows = [row for row in self.rows.values() if (row.utterance_id, row.content_key) in kept]
            self.table.append(rows, self.provenance)
            retried = [row for row in rows if row.utterance_id in self.todo.retried]
            faults.cancel(view, [(row.utterance_id, row.content_key) for row in retried])
            self.rows.clear()
            self.size = 0
            faults.add(view, {key: fault for key, fault in self.faults.items() if key in kept})
            self.faults.clear()


def _not_forgotten(store: Store, recipe: Recipe, rows: pl.DataFrame, before: Collection[str]) -> pl.DataFrame:
    """The rows (utterance_id, content_key, ...) without those that were computed from what is forgotten now.

    Args:
        store: the store.
        recipe: the rows' recipe.
        rows: what was planned or computed.
        before: what was forgotten already when it was planned.
    """
    forgotten = store.manifests.forgotten()
    kept = rows.filter(~pl.col("utterance_id").is_in(forgotten))
    if (recipe.inputs or reads_other_turns(recipe)) and not set(forgotten).issubset(before):
        # A speaker's clip may have gone, the speaker's row that others were computed from, or a turn before: their
        # keys are others.
        wanted = store.wanted_in(recipe, store.manifest())
        kept = kept.join(wanted, on=["utterance_id", "content_key"], how="semi", maintain_order="left")
    return kept


def _size(entry: object) -> int:
    """About how many bytes an entry of a further column takes."""
    if isinstance(entry, np.ndarray):
        return entry.nbytes
    if isinstance(entry, str):
        return len(entry)
    return sum(len(text) for text in entry) if isinstance(entry, list) else 8
