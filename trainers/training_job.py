"""The runs of one training: what identifies each, and how it is fitted, scored and written."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import nn

from feature_repo.errors import BadInputError
from feature_repo.recipe import digest
from feature_repo.splits import PARTS
from trainers.adapters.registry import adapter_shape
from trainers.config import AdapterConfig, TrainingConfig, described, identity_values, values
from trainers.end_to_end.config import EndToEndConfig
from trainers.end_to_end.stage_one import check_stage_one
from trainers.end_to_end.tuned_folders import check_keeps_folders, keep_encoders
from trainers.examples import Examples, TensorExamples
from trainers.fusion.config import FusionConfig
from trainers.fusion.examples import DialogueExamples, UtteranceExamples
from trainers.metrics import score
from trainers.models import fresh_model, model_name
from trainers.protocols.plan import Plan, Split
from trainers.protocols.shared_texts import shared_texts
from trainers.row_weights import row_weights
from trainers.runs.groups import group_name
from trainers.runs.lineage import runs_above
from trainers.runs.resumption import Resumption
from trainers.runs.run import CODE_VERSION, Run, ids_digest, run_key, write_run
from trainers.scored_rows import prediction_rows, shares_of
from trainers.start import begin_with, start_of
from trainers.training_data import Request, TrainingData, scaling_rows
from trainers.training_loop import Epoch, fit, seeded

if TYPE_CHECKING:
    from feature_repo.quality_weights import QualityWeights
    from feature_repo.store import Store
    from feature_repo.training_set import TrainingSet
    from trainers.end_to_end.model import EndToEndModel


def parts_of(training_set: TrainingSet, split: Split) -> pl.DataFrame:
    """A fold's rows: ``utterance_id, speaker_id, part``."""
    frames: list[pl.DataFrame] = [
        training_set.manifest[rows.tolist()].select("utterance_id", "speaker_id", part=pl.lit(part))
        for part, rows in split.parts().items()
    ]
    return pl.concat(frames)


@dataclass
class TrainingJob:
    """What the runs of the same views have in common.

    Attributes:
        store: the store.
        data: what was pulled.
        config: settings.
        plan: the protocol's folds.
        request: what was asked for.
        upstream: runs that the views were learned in.
        families: by slot, what its view is whichever fold it was learned in.
        device: where the model is.
        starts: runs whose weights this one's begin with, those of the same seed and fold each.
        quality: weight of each row in the loss by its quality.
    """

    store: Store
    data: TrainingData
    config: TrainingConfig
    plan: Plan
    request: Request
    upstream: Sequence[Run]
    families: Mapping[str, str]
    device: str
    starts: Sequence[Run] = ()
    quality: QualityWeights | None = None
    _digests: dict[int, dict[str, str]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.trainer = model_name(self.config)
        self.examples: Examples = self.data.examples(self.request.reads, self.device)

    def start(self, split: Split, seed: int) -> Run | None:
        """The run whose weights a seed's fold begins with.

        Raises:
            BadInputError: none of the runs to start from is of that seed and fold.
        """
        return start_of(self.starts, seed, split.fold, len(self.plan.splits))

    def identity(self, split: Split, seed: int) -> dict[str, Any]:
        """Everything that decides the run's numbers."""
        start = self.start(split, seed)
        return self._identity(split, seed) | ({} if start is None else {"start": start.key})

    def _identity(self, split: Split, seed: int) -> dict[str, Any]:
        rows = self.data.rows
        # What an adapter does not have is not said, so that the keys of earlier runs stand.
        more: dict[str, Any] = {"verdict": rows.verdict.identity()} if rows.verdict else {}
        if self.request.reads != "rows":
            more |= {"join": self.request.join, "inputs": [asdict(slot) for slot in self.data.slots]}
        if self.data.encoders:
            more["encoders"] = self.data.encoders
        if self.quality is not None:
            more["row_weights"] = self.quality.identity(rows.ids)
        return {
            **more,
            **self.plan.identity,
            "trainer": self.trainer,
            "settings": identity_values(self.config),
            "protocol": self.plan.protocol,
            "folds": len(self.plan.splits),
            "fold": split.fold,
            "seed": seed,
            "labels": self.request.labels,
            "views": list(rows.fingerprints.values()),
            "snapshot": self.data.snapshot,
            "parts": self._parts(split),
        }

    def _parts(self, split: Split) -> dict[str, str]:
        """Digest of each part's ids: a snapshot holds neither official splits nor who speaks, which decide them."""
        if split.fold not in self._digests:
            parts = parts_of(self.data.rows, split)
            self._digests[split.fold] = {
                part: ids_digest(parts.filter(pl.col("part") == part)["utterance_id"]) for part in PARTS
            }
        return self._digests[split.fold]

    def family(self, seed: int | None) -> str:
        """Digest of what the folds' runs of a seed have in common; of all seeds' runs without one."""
        split = self.plan.splits[0]
        identity = self._identity(split, seed or 0)
        if self.starts:
            identity["start"] = group_name(self.starts[0])
        for name in ("fold", "views", "snapshot", *(("seed",) if seed is None else ())):
            del identity[name]
        rows = self.data.rows
        labels = [int(label) for label in self.data.labels]
        return digest(identity | {"families": dict(self.families), "ids": rows.ids, "targets": labels})[:12]

    def above(self, split: Split, seed: int) -> list[Run]:
        """The runs that the views, or the weights that it begins with, were learned in, by key."""
        start = self.start(split, seed)
        found = {run.key: run for run in self.upstream}
        found |= {run.key: run for run in ([] if start is None else runs_above(self.store, [start.key]))}
        return [found[key] for key in sorted(found)]

    def run(
        self,
        split: Split,
        seed: int,
        on_epoch: Callable[[Epoch], None] | None = None,
        on_part: Callable[[float], None] | None = None,
    ) -> Run:
        """Train, score and write one run.

        Raises:
            BadInputError: a dialogue has targets in two parts of the fold, the loss is not a number, or tuned encoders
                have no place.
        """
        from safetensors.torch import save  # after torch, which it would import

        rows, examples = self.data.rows, self.examples
        which = {part: examples.holding(found) for part, found in split.parts().items()}
        if isinstance(examples, DialogueExamples):
            _check_dialogues(self.data, which)
            examples.labels = torch.from_numpy(_labels_of(self.data, split)).to(self.device)
        tunes = isinstance(self.config, EndToEndConfig) and self.config.encoders == "tuned"
        if tunes:
            check_keeps_folders(self.store)
        identity, start = self.identity(split, seed), self.start(split, seed)
        corpora = rows.manifest["corpus"].to_list()
        quality = None if self.quality is None else self.quality.of(rows.ids)
        examples.weights = row_weights(self.config, corpora, split.train, examples.labels.device, quality)
        resumption = Resumption(self.store.files, run_key(identity), self.device)
        with seeded(seed):
            model = fresh_model(self.data.slots, len(rows.classes), self.config, self.device).to(self.device)
            if start is None:
                self._scale(model, split.train)
            else:  # its weights are for inputs of its scale; where a killed run goes on, the saved ones follow
                if isinstance(self.config, EndToEndConfig):
                    check_stage_one(self.store, start, self.data.encoders, self.config)
                begin_with(model, [slot.name for slot in self.data.slots], rows.classes, start)
            fitted = fit(
                model,
                examples,
                train=which["train"],
                validation=which["validation"],
                classes=rows.classes,
                config=self.config,
                resumption=resumption,
                on_epoch=on_epoch,
                on_part=on_part,
            )
        shares = {
            part: shares_of(model, examples, which[part], split.parts()[part])
            for part in ("validation", "test")
        }
        scores = {
            part: score(self.data.labels[split.parts()[part]], p.argmax(1), rows.classes)
            for part, p in shares.items()
        }
        parts = parts_of(rows, split)
        record = {
            "key": run_key(identity),
            **{name: value for name, value in identity.items() if name not in ("settings", "views")},
            "code_version": CODE_VERSION,
            "family": self.family(seed),
            "group": self.family(None),
            **({"tested": split.tested} if split.tested else {}),
            "training_ids": ids_digest(parts.filter(pl.col("part") == "train")["utterance_id"]),
            "slots": list(rows.views),
            "views": dict(rows.views),
            "fingerprints": dict(rows.fingerprints),
            "upstream": [run.key for run in self.above(split, seed)],
            **self._shape(model),
            **(
                {"tuned": keep_encoders(self.store, cast("EndToEndModel", model), run_key(identity))}
                if tunes
                else {}
            ),
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "settings": values(self.config),
            "corpora": sorted(rows.manifest["corpus"].unique()),
            "classes": list(rows.classes),
            "rows": {part: len(found) for part, found in split.parts().items()},
            "test_texts_in_train": shared_texts(rows.manifest, split.train, split.test),
            "left_out": self.plan.left_out,
            "coverage": {slot: asdict(told) for slot, told in rows.coverage.items()},
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
            predictions=prediction_rows(self.data, split, shares["test"]),
            checkpoint=save({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}),
        )
        resumption.remove()
        return run

    def _shape(self, model: nn.Module) -> dict[str, Any]:
        """What a record says of the model, with which it is built again."""
        if isinstance(self.config, AdapterConfig):
            return {"width": sum(slot.width for slot in self.data.slots), **adapter_shape(self.config)}
        head: Any = model.head
        return {"hidden": [head.in_features]}

    def _scale(self, model: Any, train: npt.NDArray[np.int64]) -> None:
        """Tell the model how large its inputs are in the training rows."""
        examples, config = self.examples, self.config
        if isinstance(config, AdapterConfig) and config.scaling != "none":
            assert isinstance(examples, TensorExamples)
            widths = [slot.width for slot in self.data.slots]
            each = widths if config.scaling == "view" else [1] * sum(widths)
            model.scale_by(examples.inputs[0][examples.holding(train)], each)
        elif isinstance(config, FusionConfig) and config.scaling == "view":
            for slot in self.data.slots:
                if isinstance(config, EndToEndConfig):
                    vectors = model.vectors(slot.name, examples, scaling_rows(train))
                else:
                    assert isinstance(examples, UtteranceExamples | DialogueExamples)
                    vectors = examples.vectors(slot.name, scaling_rows(train))
                if len(vectors):  # a slot that no training row has stays as it is
                    model.inputs.scale_by(slot.name, vectors)


_DATA = (
    "corpora",
    "labels",
    "slots",
    "views",
    "join",
    "protocol",
    "folds",
    "fold",
    "seed",
    "snapshot",
    "verdict",
    "tested",
    "split",
    "train_corpora",
    "train_on",
    "row_weights",
    "start",
)


def _labels_of(data: TrainingData, split: Split) -> npt.NDArray[np.int64]:
    """Labels of the fold's own rows: a dialogue may have others, such as those that a list left out of training."""
    labels = np.full_like(data.labels, -1)
    for rows in split.parts().values():
        labels[rows] = data.labels[rows]
    return labels


def _check_dialogues(data: TrainingData, which: Mapping[str, torch.Tensor]) -> None:
    assert data.dialogues is not None
    seen: dict[int, str] = {}
    for part, numbers in which.items():
        for number in numbers.tolist():
            if number in seen:
                raise BadInputError(
                    f"dialogue {data.dialogues.ids[number]!r} has targets in {seen[number]} and in {part}; allowed for"
                    " a conversation model: a protocol that keeps dialogues whole, such as official"
                )
            seen[number] = part
