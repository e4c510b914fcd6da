"""Finished runs whose predictions are planted, written without training."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from feature_repo.files import FileLayer
from trainers.metrics import score
from trainers.runs.run import Run, write_run

CLASSES = ("neutral", "joy", "anger")


def planted_run(
    files: FileLayer,
    key: str,
    *,
    ids: Sequence[str],
    true: Sequence[str],
    predicted: Sequence[str],
    train: Sequence[str] = (),
    seed: int = 0,
    fold: int = 0,
    folds: int = 1,
    classes: Sequence[str] = CLASSES,
    lr: float = 1e-3,
    **record: Any,
) -> Run:
    """Write a run that tested some utterances, trained on others; further words replace what its record says."""
    number = {name: index for index, name in enumerate(classes)}
    scores = score([number[name] for name in true], [number[name] for name in predicted], classes)
    told = {
        "key": key,
        "trainer": "mlp",
        "protocol": "speaker-folds" if folds > 1 else "official",
        "folds": folds,
        "fold": fold,
        "seed": seed,
        "labels": "seven",
        "group": "0" * 12,
        "slots": ["text"],
        "views": {"text": "text_planted_00000000"},
        "corpora": ["toy"],
        "settings": {"lr": lr, "max_epochs": 2, "selection": "weighted_f1"},
        "parameters": 1234,
        "classes": list(classes),
        "rows": {"train": 10, "validation": 5, "test": len(ids)},
        "scores": {"validation": scores.summary(), "test": scores.summary()},
        "per_class": scores.per_class(),
        "confusion": scores.confusion.tolist(),
        "best_epoch": 2,
        "epochs": 3,
        "stopped": "max_epochs",
        "seconds": 1.5,
        "created": f"2026-11-21T12:00:00.{len(files.list_folders('runs')):06}+00:00",
    } | record
    epochs = pl.DataFrame(
        {
            "number": [1, 2, 3],
            "lr": [lr, lr, lr / 10],
            "train_loss": [1.2, 0.9, 0.7],
            "validation_loss": [1.1, 0.95, 1.0],
            "accuracy": [0.4, 0.6, 0.55],
            "weighted_f1": [0.35, 0.58, 0.5],
            "macro_f1": [0.3, 0.5, 0.45],
            "uar": [0.33, 0.52, 0.48],
            "best": [True, True, False],
            "seconds": [0.5, 1.0, 1.5],
        }
    )
    return write_run(
        files,
        told,
        config={
            "trainer": told["trainer"],
            "data": {name: told[name] for name in ("corpora", "slots", "protocol", "fold", "seed")},
            "settings": {"lr": {"value": lr, "source": "papers/000 III-B2"}},
        },
        epochs=epochs,
        parts=pl.DataFrame(
            {
                "utterance_id": [*ids, *train],
                "speaker_id": ["toy/s"] * (len(ids) + len(train)),
                "part": ["test"] * len(ids) + ["train"] * len(train),
            }
        ),
        predictions=pl.DataFrame(
            {"utterance_id": ids, "fold": [fold] * len(ids), "true": true, "predicted": predicted}
        ),
        checkpoint=b"weights",
    )
