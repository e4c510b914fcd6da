"""Train an adapter on stored views: pull once, then one run per seed and fold, of which finished ones are kept."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.selection import Selection
from trainers.adapters import adapter_name, adapter_shape, build_adapter
from trainers.config import AdapterConfig, described, identity_values
from trainers.lineage import check_lineage, upstream_runs
from trainers.metrics import Scores, score
from trainers.optimisation import check_precision, corpus_weights
from trainers.protocols import Plan, Split, plan_splits
from trainers.resumption import Resumption
from trainers.run import CODE_VERSION, Run, finished_run, ids_digest, run_key, write_run
from trainers.training_loop import Epoch, fit, forward, seeded

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
        on_run: told ``(seed, fold, run)`` before a run is trained (run None) and when it is there.
        on_epoch: told of every epoch.
    """

    on_run: Callable[[int, int, Run | None], None] | None = None
    on_epoch: Callable[[Epoch], None] | None = None


def train(
    store: Store,
    slots: Sequence[str],
    *,
    config: AdapterConfig,
    protocol: str,
    folds: int = 4,
    only_folds: Sequence[int] = (),
    seeds: Sequence[int] = (0,),
    corpora: Sequence[str] | None = None,
    labels: str = "seven",
    profile: str | None = None,
    verdict: str | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Trained:
    """Train an adapter on pooled views, one run per seed and fold.

    Args:
        store: the store.
        slots: slots or views; their vectors are put side by side in this order.
        config: the adapter's settings, whose type says which adapter.
        protocol: ``official`` or ``speaker-folds``.
        folds: number of folds for ``speaker-folds``.
        only_folds: train only these folds; all by default.
        seeds: seeds of the initial weights, the order of rows and dropout.
        corpora: only these corpora; all by default.
        labels: label scheme.
        profile: catalogue profile that says which view a slot means.
        verdict: name of a stored verdict: fit, select and score on the utterances that passed it.
        device: where the tensors are.
        progress: callbacks.

    Raises:
        UnknownNameError: a slot, corpus, label scheme, protocol, fold, verdict, class weight or corpus weight that does
            not exist.
        BadInputError: a sequence view, a slot named twice, rows that the protocol can't split, or a precision that the
            device does not have.
        LeakageError: a view was learned from rows that would be selected or scored on.
    """
    progress = progress or Progress()
    check_precision(config.precision, device)
    if not slots or len(set(slots)) != len(slots):
        raise BadInputError(f"slots {', '.join(slots) or '(none)'}: name one or more, each once")
    training_set = store.pull(
        slots, where=Selection(corpora=tuple(corpora or ())), labels=labels, profile=profile, verdict=verdict
    )
    for slot in training_set.steps:
        raise BadInputError(f"slot {slot!r} is a sequence; an adapter takes pooled views")
    plan = plan_splits(
        protocol,
        training_set.manifest,
        training_set.labels,
        folds=folds,
        validation_share=config.validation_share,
    )
    splits = _chosen(plan, only_folds)
    runs_above = upstream_runs(store, list(training_set.views.values()))
    for split in splits:
        check_lineage(runs_above, parts_of(training_set, split), by_speaker=plan.by_speaker)
    job = _Job(store, training_set, config, plan, labels, [run.key for run in runs_above], device)
    runs, trained = [], 0
    for seed in seeds:
        for split in splits:
            run = finished_run(store.files, run_key(job.identity(split, seed)))
            if run is None:
                if progress.on_run:
                    progress.on_run(seed, split.fold, None)
                run = job.run(split, seed, progress.on_epoch)
                trained += 1
            if progress.on_run:
                progress.on_run(seed, split.fold, run)
            runs.append(run)
    return Trained(tuple(runs), trained, plan, training_set)


def parts_of(training_set: TrainingSet, split: Split) -> pl.DataFrame:
    """A fold's rows: ``utterance_id, speaker_id, part``."""
    frames: list[pl.DataFrame] = [
        training_set.manifest[rows.tolist()].select("utterance_id", "speaker_id", part=pl.lit(part))
        for part, rows in split.parts().items()
    ]
    return pl.concat(frames)


@dataclass
class _Job:
    """What the runs of one call have in common."""

    store: Store
    training_set: TrainingSet
    config: AdapterConfig
    plan: Plan
    labels: str
    upstream: list[str]
    device: str

    def __post_init__(self) -> None:
        # In the order that the caller asked for, which is the order of the model's inputs.
        pooled = self.training_set.pooled
        self.widths = [value.shape[1] for value in pooled.values()]
        features = np.concatenate(list(pooled.values()), axis=1)
        self.inputs = torch.from_numpy(features).to(self.device)
        self.targets = torch.from_numpy(self.training_set.labels).to(self.device)
        self.row_weights = corpus_weights(
            self.config.corpus_weights, self.training_set.manifest["corpus"].to_list(), self.targets.device
        )
        self.snapshot = self.training_set.snapshot()
        self.trainer = adapter_name(self.config)
        self.shape = adapter_shape(self.config)

    def identity(self, split: Split, seed: int) -> dict[str, Any]:
        """Everything that decides the run's numbers."""
        verdict = self.training_set.verdict
        return {
            # Without one nothing is said, so that the keys of earlier runs stand.
            **({"verdict": verdict.identity()} if verdict else {}),
            "trainer": self.trainer,
            "settings": identity_values(self.config),
            "protocol": self.plan.protocol,
            "folds": len(self.plan.splits),
            "fold": split.fold,
            "seed": seed,
            "labels": self.labels,
            "views": list(self.training_set.fingerprints.values()),
            "snapshot": self.snapshot,
        }

    def run(self, split: Split, seed: int, on_epoch: Callable[[Epoch], None] | None) -> Run:
        """Train, score and write one run."""
        from safetensors.torch import save  # after torch, which it would import

        data = self.training_set
        index = {part: torch.from_numpy(rows).to(self.device) for part, rows in split.parts().items()}
        identity = self.identity(split, seed)
        resumption = Resumption(self.store.files, run_key(identity), self.device)
        with seeded(seed):
            model = build_adapter(
                self.trainer, sum(self.widths), len(data.classes), self.shape, self.config.dropout
            ).to(self.device)
            if self.config.scaling != "none":
                each = self.widths if self.config.scaling == "view" else [1] * sum(self.widths)
                model.scale_by(self.inputs[index["train"]], each)
            fitted = fit(
                model,
                [self.inputs],
                self.targets,
                train=index["train"],
                validation=index["validation"],
                classes=data.classes,
                config=self.config,
                row_weights=self.row_weights,
                resumption=resumption,
                on_epoch=on_epoch,
            )
        shares = {
            part: forward(model, [self.inputs[index[part]]]).softmax(1).cpu().numpy()
            for part in ("validation", "test")
        }
        scores = {
            part: score(data.labels[split.parts()[part]], p.argmax(1), data.classes)
            for part, p in shares.items()
        }
        parts = parts_of(data, split)
        record = {
            "key": run_key(identity),
            **{name: value for name, value in identity.items() if name not in ("settings", "views")},
            "code_version": CODE_VERSION,
            "training_ids": ids_digest(parts.filter(pl.col("part") == "train")["utterance_id"]),
            "slots": list(data.views),
            "views": dict(data.views),
            "fingerprints": dict(data.fingerprints),
            "upstream": self.upstream,
            "width": sum(self.widths),
            **self.shape,
            "corpora": sorted(data.manifest["corpus"].unique()),
            "classes": list(data.classes),
            "rows": {part: len(rows) for part, rows in split.parts().items()},
            "left_out": self.plan.left_out,
            "coverage": {slot: asdict(told) for slot, told in data.coverage.items()},
            "scores": {part: told.summary() for part, told in scores.items()},
            "per_class": scores["test"].per_class(),
            "confusion": scores["test"].confusion.tolist(),
            "best_epoch": fitted.best_epoch,
            "epochs": len(fitted.epochs),
            "stopped": fitted.stopped,
            "seconds": round(fitted.epochs[-1].seconds, 3),
            "created": datetime.now(UTC).isoformat(timespec="microseconds"),
            "libraries": {"python": platform.python_version(), "torch": torch.__version__},
            "device": self.device,
        }
        run = write_run(
            self.store.files,
            record,
            config={
                "trainer": self.trainer,
                "code_version": CODE_VERSION,
                "data": {name: record[name] for name in _DATA if name in record},
                "settings": described(self.config),
            },
            epochs=pl.DataFrame([asdict(epoch) for epoch in fitted.epochs]),
            parts=parts,
            predictions=_predictions(data, split, shares["test"]),
            checkpoint=save({name: tensor.cpu() for name, tensor in model.state_dict().items()}),
        )
        resumption.remove()
        return run


_DATA = ("corpora", "labels", "slots", "views", "protocol", "folds", "fold", "seed", "snapshot", "verdict")


def _chosen(plan: Plan, only: Sequence[int]) -> Sequence[Split]:
    for fold in only:
        if not 0 <= fold < len(plan.splits):
            raise UnknownNameError("fold", str(fold), [str(split.fold) for split in plan.splits])
    return [split for split in plan.splits if not only or split.fold in only]


def _predictions(data: TrainingSet, split: Split, shares: Any) -> pl.DataFrame:
    classes = np.array(data.classes)
    columns: Mapping[str, Any] = {
        "utterance_id": data.manifest[split.test.tolist()]["utterance_id"],
        "fold": np.full(len(split.test), split.fold, np.int32),
        "true": classes[data.labels[split.test]].tolist(),
        "predicted": classes[shares.argmax(1)].tolist(),
        **{f"p_{name}": shares[:, index] for index, name in enumerate(data.classes)},
    }
    return pl.DataFrame(columns)
