"""The job: choose the texts, fine-tune the encoder, leave its folder and a run (papers/000 III-B1c)."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from extractors.encoders.sentence import SentenceEncoder
from extractors.encoders.sentence_folder import SentenceFolder
from feature_repo.recipe import digest
from feature_repo.splits import PARTS
from trainers.config import described, identity_values, values
from trainers.metrics import Scores, score
from trainers.models import TEXT_ENCODER
from trainers.optimisation import check_precision
from trainers.runs.learned_weights import note_weights, runs_of_weights
from trainers.runs.lineage import check_lineage, runs_above
from trainers.runs.resumption import Resumption
from trainers.runs.run import CODE_VERSION, Run, finished_run, ids_digest, run_key, write_run
from trainers.text_encoder.balanced import Sample
from trainers.text_encoder.config import TextEncoderConfig
from trainers.text_encoder.encoder_folder import encoder_folder, found_encoder, place_of, replace_folder
from trainers.text_encoder.fitting import Checked, Progress, StoppedError, Texts, fabric_for, fit, predict
from trainers.text_encoder.model import TextClassifier

if TYPE_CHECKING:
    from feature_repo.store import Store

PROTOCOL = "balanced"
_LIBRARIES = ("torch", "transformers", "sentence-transformers", "lightning")
_DATA = ("corpora", "labels", "protocol", "seed", "base", "encoder", "weights", "snapshot")


@dataclass(frozen=True)
class Finetuned:
    """A finished fine-tuning.

    Attributes:
        run: its run; the checkpoint in it is the head alone.
        folder: the encoder, as ``extract -e sentence -s model=`` takes it.
        trained: whether this call trained it; otherwise it had been finished before.
    """

    run: Run
    folder: Path
    trained: bool


class EndedError(StoppedError):
    """Training was asked to end: the same call goes on later.

    Args:
        stopped: where it was.
        folder: the best encoder so far, None before the first validation.
    """

    def __init__(self, stopped: StoppedError, folder: Path | None) -> None:
        super().__init__(stopped.step, stopped.steps, stopped.best)
        self.folder = folder


def finetune(
    store: Store,
    sample: Sample,
    base: SentenceFolder,
    *,
    config: TextEncoderConfig,
    seed: int = 0,
    labels: str = "seven",
    output: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Finetuned:
    """Fine-tune a sentence encoder on the sample, or find the run that did.

    Args:
        store: the store.
        sample: as :func:`~trainers.text_encoder.balanced.chosen_texts` gives it.
        base: the encoder to begin with.
        config: the settings.
        seed: of the head's weights, the order of texts and dropout.
        labels: label scheme of the sample.
        output: folder for the encoder; None is ``models/<key>`` below the store's root.
        device: ``cpu`` or ``cuda``.
        progress: callbacks.

    Raises:
        EndedError: ``progress.should_stop`` said so; the same call goes on, and the best encoder so far is stored.
        LeakageError: the base was itself trained on texts that would be selected or scored on.
        BadInputError: no local place for the encoder, one that holds something else, a finished run whose encoder is
            gone, or a loss that is not a number.
    """
    check_precision(config.precision, device)
    upstream = runs_above(store, runs_of_weights(store.files, base.digest))
    parts = sample.rows.select("utterance_id", "speaker_id", "part")
    check_lineage(upstream, parts, by_speaker=False)
    identity = {
        "trainer": TEXT_ENCODER,
        "settings": identity_values(config),
        "base": base.digest,
        "protocol": PROTOCOL,
        "fold": 0,
        "folds": 1,
        "seed": seed,
        "labels": labels,
        "snapshot": snapshot(sample),
    }
    key = run_key(identity)
    folder = encoder_folder(store, key, output)
    found = finished_run(store.files, key)
    if found is not None:
        return Finetuned(found, found_encoder(store, found, folder), False)
    resumption = Resumption(store.files, key, device)
    texts = {part: _texts(sample, part) for part in PARTS}
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    with _seeded(seed, device):
        fabric = fabric_for(device, config.precision)
        encoder = SentenceEncoder(base.path, device, max_length=config.max_length)
        model = TextClassifier(encoder, base.widths.pooled, len(sample.classes), config)
        try:
            checks = fit(
                fabric,
                encoder,
                model,
                train=texts["train"],
                validation=texts["validation"],
                classes=sample.classes,
                config=config,
                seed=seed,
                resumption=resumption,
                progress=progress,
            )
        except StoppedError as stopped:
            if stopped.best:
                replace_folder(unfinished, encoder.save)
            raise EndedError(stopped, unfinished if stopped.best else None) from None
        shares = {
            part: predict(encoder, model, texts[part].texts).softmax(1).numpy()
            for part in ("validation", "test")
        }
        replace_folder(folder, encoder.save)
    learned = SentenceFolder.find(str(folder))
    note_weights(store.files, learned.digest, key)
    scores = {
        part: score(texts[part].labels, told.argmax(1), sample.classes) for part, told in shares.items()
    }
    record = {
        "key": key,
        **{name: value for name, value in identity.items() if name != "settings"},
        **_told_of_data(sample, parts, upstream),
        "family": digest({name: value for name, value in identity.items() if name != "fold"})[:12],
        "group": digest({name: value for name, value in identity.items() if name not in ("fold", "seed")})[
            :12
        ],
        "encoder": place_of(store, folder),
        "weights": learned.digest,
        "width": learned.widths.pooled,
        "hidden": [config.head_width or learned.widths.pooled],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "settings": values(config),
        **_told_of_training(checks, scores),
        "device": device,
    }
    run = _write(store, record, config, checks, parts, _predictions(sample, shares["test"]), model)
    resumption.remove()
    shutil.rmtree(unfinished, ignore_errors=True)
    return Finetuned(run, folder, True)


def snapshot(sample: Sample) -> str:
    """Digest of what a run's numbers depend on in its texts: ids, contents, classes, parts, how often each counts."""
    rows = sample.rows.select("utterance_id", "text_key", "label", "part", "times").sort("utterance_id")
    return digest({"rows": [list(row) for row in rows.iter_rows()], "classes": list(sample.classes)})


def _texts(sample: Sample, part: str) -> Texts:
    rows = sample.part(part)
    places = {name: place for place, name in enumerate(sample.classes)}
    labels = np.array([places[label] for label in rows["label"]], np.int64)
    return Texts(rows["text"].to_list(), labels)


@contextlib.contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """Within it torch's draws depend on the seed alone, and on a GPU sums are made in one order."""
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if device == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def _told_of_data(sample: Sample, parts: pl.DataFrame, upstream: Sequence[Run]) -> dict[str, Any]:
    return {
        "code_version": CODE_VERSION,
        "training_ids": ids_digest(parts.filter(pl.col("part") == "train")["utterance_id"]),
        # It reads the texts themselves: no view stands between.
        "slots": ["text"],
        "views": {},
        "fingerprints": {},
        "inputs": [],
        "upstream": [run.key for run in upstream],
        "corpora": sorted(sample.counts["corpus"].unique()),
        "counts": sample.counts.to_dicts(),
        "classes": list(sample.classes),
        "rows": {part: sample.part(part).height for part in PARTS},
        "left_out": sample.left_out,
        "coverage": {},
    }


def _told_of_training(checks: Sequence[Checked], scores: Mapping[str, Scores]) -> dict[str, Any]:
    best = next(told for told in reversed(checks) if told.best)
    return {
        "scores": {part: told.summary() for part, told in scores.items()},
        "per_class": scores["test"].per_class(),
        "confusion": scores["test"].confusion.tolist(),
        "best_epoch": best.number,
        "epochs": len(checks),
        "steps": checks[-1].step,
        "stopped": "max_epochs",
        "seconds": round(checks[-1].seconds, 3),
        "created": datetime.now(UTC).isoformat(timespec="microseconds"),
        "libraries": {"python": platform.python_version()}
        | {library: metadata.version(library) for library in _LIBRARIES},
    }


def _write(
    store: Store,
    record: Mapping[str, Any],
    config: TextEncoderConfig,
    checks: Sequence[Checked],
    parts: pl.DataFrame,
    predictions: pl.DataFrame,
    model: TextClassifier,
) -> Run:
    from safetensors.torch import save  # after torch, which it would import

    head = {name: tensor for name, tensor in model.snapshot().items() if name.startswith("head.")}
    return write_run(
        store.files,
        record,
        config={
            "trainer": TEXT_ENCODER,
            "code_version": CODE_VERSION,
            "data": {name: record[name] for name in _DATA},
            "settings": described(config),
        },
        epochs=pl.DataFrame([asdict(told) for told in checks]),
        parts=parts,
        predictions=predictions,
        checkpoint=save(head),
    )


def _predictions(sample: Sample, shares: np.ndarray) -> pl.DataFrame:
    rows = sample.part("test")
    classes = np.array(sample.classes)
    columns = {
        "utterance_id": rows["utterance_id"],
        "fold": np.zeros(rows.height, np.int32),
        "true": rows["label"],
        "predicted": classes[shares.argmax(1)].tolist(),
        **{f"p_{name}": shares[:, place] for place, name in enumerate(sample.classes)},
    }
    return pl.DataFrame(columns)
