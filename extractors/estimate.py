"""What an extraction would cost: rows, bytes, time, and whether the disk holds it (``extract --plan``)."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extractors.protocol import SAMPLE_RATE, Extractor
from extractors.runner import rate_key
from extractors.throughput import past_rates
from feature_repo.fill import ViewPlan
from feature_repo.recipe import Recipe

_ROW_BYTES = 60  # id, key and stamps after compression, about
_CHARACTERS_A_TOKEN = 4.0  # English, word pieces, about
_PROBED_FILES = 16
_ITEM_BYTES = {"float32": 4, "float16": 2, "int16": 2}


@dataclass(frozen=True)
class ViewEstimate:
    """What one view would take.

    Attributes:
        view: name of the view.
        slot: its slot.
        to_compute: utterances to compute.
        to_copy: older rows that become live again.
        faulted: utterances left alone, because they failed before.
        up_to_date: utterances that have their row.
        size: bytes to be written, None when unknown.
        seconds: time by past throughput on this machine, None when there is none; a pass that gives several views is
            counted at the first.
    """

    view: str
    slot: str
    to_compute: int
    to_copy: int
    faulted: int
    up_to_date: int
    size: int | None
    seconds: float | None


def estimate(
    plans: Mapping[str, ViewPlan], extractors: Sequence[Extractor], manifest: pl.DataFrame, device: str
) -> list[ViewEstimate]:
    """Estimates by view, in the extractors' order. Loads no model; reads the headers of at most 16 media files.

    Args:
        plans: what ``feature_repo.fill.plan`` found.
        extractors: what would compute it.
        manifest: rows of at least the utterances to compute.
        device: as it would be given to the run.
    """
    rates = past_rates()
    found = []
    for extractor in extractors:
        rate = rates.get(rate_key(extractor, device))
        for place, recipe in enumerate(extractor.recipes().values()):
            plan = plans[recipe.view]
            missing = manifest.filter(pl.col("utterance_id").is_in(list(plan.keys)))
            seconds = None if rate is None else (missing.height / rate if place == 0 else 0.0)
            found.append(
                ViewEstimate(
                    recipe.view,
                    recipe.slot,
                    missing.height,
                    plan.copy.height,
                    plan.faulted,
                    plan.up_to_date,
                    _size(recipe, missing),
                    0.0 if not missing.height else seconds,
                )
            )
    return found


def free_bytes(root: str) -> int | None:
    """Bytes left on the disk that holds the root; None for an object store."""
    return None if "://" in root else shutil.disk_usage(root).free


def _size(recipe: Recipe, missing: pl.DataFrame) -> int | None:
    rows = missing.height
    if not rows:
        return 0
    step_bytes = recipe.width * _ITEM_BYTES[recipe.dtype]
    if recipe.layout == "pooled":
        return rows * (step_bytes + _ROW_BYTES)
    if recipe.reads == "text":
        characters = int(missing["text"].str.len_chars().sum())
        return round(characters / _CHARACTERS_A_TOKEN * step_bytes) + rows * _ROW_BYTES
    if recipe.modality == "audio":
        seconds = _mean_seconds(missing)
        return None if seconds is None else round(rows * (seconds * SAMPLE_RATE * step_bytes + _ROW_BYTES))
    return None


def _mean_seconds(missing: pl.DataFrame) -> float | None:
    """Mean length of the utterances: their spans, or what some files' headers say."""
    spans = missing.select((pl.col("end_s") - pl.col("start_s").fill_null(0.0)).alias("s"))["s"].drop_nulls()
    if len(spans):
        return float(spans.sum()) / len(spans)
    import av  # loads ffmpeg

    lengths = []
    paths = missing["media_uri"].drop_nulls()
    for path in paths.gather_every(max(1, len(paths) // _PROBED_FILES)).head(_PROBED_FILES):
        if Path(path).is_file():
            try:
                with av.open(path) as container:
                    lengths.append(float(container.duration or 0) / 1e6)
            except (av.FFmpegError, OSError):
                continue
    return sum(lengths) / len(lengths) if lengths else None
