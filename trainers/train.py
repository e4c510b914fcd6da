"""Train a model on stored views: pull once, then one run per seed and fold, of which finished ones are kept."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.named_ids import named_ids
from feature_repo.quality_weights import quality_weights
from trainers.config import TrainingConfig
from trainers.end_to_end.config import EndToEndConfig
from trainers.metrics import Scores
from trainers.models import model_name, model_reads
from trainers.optimisation import check_precision
from trainers.protocols.plan import NO_LABEL, Plan, Split
from trainers.protocols.registry import corpora_of, plan_splits
from trainers.protocols.restriction import check_rows, of_corpora, of_ids
from trainers.runs.fold_views import view_family, views_of_fold
from trainers.runs.lineage import check_lineage, upstream_runs
from trainers.runs.run import Run, finished_run, run_key
from trainers.training_data import Join, Request, TrainingData
from trainers.training_job import TrainingJob, parts_of
from trainers.training_loop import Epoch

if TYPE_CHECKING:
    from feature_repo.store import Store
    from feature_repo.training_set import TrainingSet


@dataclass(frozen=True)
class Trained:
    """What a call of :func:`train` has now.

    Attributes:
        runs: one per seed and fold, in that order.
        trained: how many of them were trained by this call; the others had been finished before.
        plan: the protocol's folds.
        training_set: what was pulled, with its coverage.
    """

    runs: tuple[Run, ...]
    trained: int
    plan: Plan
    training_set: TrainingSet

    def by_seed(self) -> dict[int, Scores]:
        """Test scores per seed, the folds' predictions taken together."""
        confusion: dict[int, Any] = {}
        for run in self.runs:
            confusion[run.record["seed"]] = confusion.get(run.record["seed"], 0) + run.test.confusion
        return {seed: Scores(counts, tuple(self.training_set.classes)) for seed, counts in confusion.items()}

    def summary(self) -> dict[str, tuple[float, float | None]]:
        """Per score the mean and sample deviation over the seeds; no deviation of one seed."""
        seeds = [scores.summary() for scores in self.by_seed().values()]
        told = {}
        for name in seeds[0]:
            reached = [scores[name] for scores in seeds]
            told[name] = (statistics.fmean(reached), statistics.stdev(reached) if len(reached) > 1 else None)
        return told


@dataclass(frozen=True)
class Progress:
    """Callbacks that tell how far training is; each may be None.

    Attributes:
        on_begin: told ``(seed, fold, key, identity)`` before a run is trained.
        on_epoch: told of every epoch.
        on_end: told ``(run, trained)`` when a run is there, whether this call trained it or it had been finished.
        on_part: told after every step how many epochs are done, such as 2.25.
    """

    on_begin: Callable[[int, int, str, Mapping[str, Any]], None] | None = None
    on_epoch: Callable[[Epoch], None] | None = None
    on_end: Callable[[Run, bool], None] | None = None
    on_part: Callable[[float], None] | None = None


def train(
    store: Store,
    slots: Sequence[str],
    *,
    config: TrainingConfig,
    protocol: str,
    folds: int = 4,
    only_folds: Sequence[int] = (),
    seeds: Sequence[int] = (0,),
    corpora: Sequence[str] | None = None,
    labels: str = "seven",
    profile: str | None = None,
    verdict: str | None = None,
    join: Join | None = None,
    start: Sequence[Run] = (),
    train_corpora: Sequence[str] = (),
    train_on: str | None = None,
    row_weights: str | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Trained:
    """Train a model on stored views, one run per seed and fold.

    A view that was learned in a fold of the same protocol stands for its siblings: each fold reads what its own run
    learned (:mod:`trainers.runs.fold_views`).

    Args:
        store: the store.
        slots: slots or views, with an alias where two are of one slot: ``raw=VIEW``.
        config: the model's settings, whose type says which model.
        protocol: one of ``trainers.protocols.registry.PROTOCOLS``, or ``split:NAME`` of a saved split.
        folds: number of folds, where the protocol lets one choose.
        only_folds: train only these folds; all by default.
        seeds: seeds of the initial weights, the order of rows and dropout.
        corpora: only these corpora; all by default, or those of the saved split.
        labels: label scheme.
        profile: catalogue profile that says which view a slot means.
        verdict: name of a stored verdict: fit, select and score on the utterances that passed it; in a conversation
            the others stay as context.
        join: ``inner`` takes the utterances that have all slots, ``outer`` those that have any; by default ``inner``,
            and ``outer`` for conversations, whose turns all count.
        start: finished runs of one group: each seed and fold begins with the weights of its own among them.
        train_corpora: corpora, or domains such as ``acted``, whose rows alone train and select; all are tested.
        train_on: name of a saved selection or verdict whose rows alone train.
        row_weights: name of a verdict by whose measures each training row is weighed in the loss.
        device: where the model is.
        progress: callbacks.

    Raises:
        UnknownNameError: a slot, corpus, label scheme, protocol, fold, verdict, selection, class or corpus weight that
            does not exist.
        BadInputError: a view that the model can't read, a slot named twice, rows that the protocol can't split, a
            conversation in two parts of a fold, a precision that the device does not have, or a run to start from that
            another seed, fold or model has.
        LeakageError: a view, or the weights to start from, were learned from rows that would be selected or scored on.
    """
    progress = progress or Progress()
    check_precision(config.precision, device)
    reads = model_reads(model_name(config))
    chosen: Join = join or ("outer" if reads == "dialogues" else "inner")
    encoders = config if isinstance(config, EndToEndConfig) else None
    only = tuple(corpora or ()) or corpora_of(protocol, store.splits)
    request = Request(tuple(slots), reads, chosen, only, labels, profile, verdict, encoders)
    asked = request.views(store)
    data = request.pull(store, asked)
    plan = plan_splits(
        protocol,
        data.rows.manifest,
        data.labels,
        folds=folds,
        validation_share=config.validation_share,
        splits=store.splits,
    )
    plan = _with_left_out(plan, data.left_out)
    if train_corpora:
        plan = of_corpora(plan, data.rows.manifest, train_corpora)
    if train_on is not None:
        plan = of_ids(plan, data.rows.manifest, named_ids(store, train_on))
    quality = None if row_weights is None else quality_weights(store, row_weights)
    families = {name: view_family(store, view) for name, view in asked.items()}
    jobs: dict[tuple[str, ...], TrainingJob] = {}
    todo = []
    for split in _chosen(plan, only_folds):
        check_rows(split, train_corpora, train_on)
        views = views_of_fold(store, asked, protocol, len(plan.splits), split.fold)
        key = tuple(views.values())
        if key not in jobs:
            pulled = data if views == asked else _same_rows(request.pull(store, views), data, views)
            upstream = upstream_runs(store, list(views.values()), pulled.encoders.values())
            jobs[key] = TrainingJob(
                store, pulled, config, plan, request, upstream, families, device, tuple(start), quality
            )
        for seed in seeds:  # all of them before the first is trained
            check_lineage(
                jobs[key].above(split, seed), parts_of(data.rows, split), by_speaker=plan.by_speaker
            )
        todo.append((split, jobs[key]))
    runs, trained = [], 0
    for seed in seeds:
        for split, job in todo:
            identity = job.identity(split, seed)
            run = finished_run(store.files, run_key(identity))
            new = run is None
            if run is None:
                if progress.on_begin:
                    progress.on_begin(seed, split.fold, run_key(identity), identity)
                run = job.run(split, seed, progress.on_epoch, progress.on_part)
                trained += 1
            if progress.on_end:
                progress.on_end(run, new)
            runs.append(run)
    return Trained(tuple(runs), trained, plan, data.rows)


def _with_left_out(plan: Plan, reasons: Mapping[str, int]) -> Plan:
    """The plan took rows that are no targets for unlabelled: say what they are."""
    unlabelled = plan.left_out.get(NO_LABEL, 0) - sum(reasons.values())
    counts = {**plan.left_out, NO_LABEL: unlabelled, **reasons}
    told = {reason: count for reason, count in counts.items() if count}
    return replace(plan, left_out=told)


def _same_rows(pulled: TrainingData, first: TrainingData, views: Mapping[str, str]) -> TrainingData:
    """The folds of a protocol are of the same rows, so their views must be.

    Raises:
        BadInputError: they are not.
    """
    if pulled.rows.ids != first.rows.ids:
        raise BadInputError(
            f"{', '.join(views.values())} have {len(pulled.rows)} rows, the views of another fold {len(first.rows)};"
            " allowed: the same rows in every fold; `affectstore status` tells what is missing"
        )
    return pulled


def _chosen(plan: Plan, only: Sequence[int]) -> Sequence[Split]:
    for fold in only:
        if not 0 <= fold < len(plan.splits):
            raise UnknownNameError("fold", str(fold), [str(split.fold) for split in plan.splits])
    return [split for split in plan.splits if not only or split.fold in only]
