"""What an extraction would cost: rows, bytes, time, and whether the disk holds it (``extract --plan``)."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extractors.protocol import SAMPLE_RATE, Extractor
from extractors.runner import rate_key
from extractors.sampling import frame_times
from extractors.throughput import past_rates
from feature_repo.fill import ViewPlan
from feature_repo.recipe import Recipe

_ROW_BYTES = 60  # id, key and stamps after compression, about
_CHARACTERS_A_TOKEN = 4.0  # English, word pieces, about
_PROBED_FILES = 16
_COLUMN_BYTES = {"float": 4, "int": 8, "text": 60, "floats": 20, "texts": 60}  # of a row, about
_STEP_BYTES = 4  # a float32 for each step
# Steps of an utterance by its seconds: a face in each sampled frame, or in each of the frames around.
_STEPS: Mapping[str, Callable[[float], float]] = {
    "audio": lambda seconds: seconds * SAMPLE_RATE,
    "speech": lambda seconds: seconds * 50,  # frames of 20 ms
    "faces": lambda seconds: len(frame_times(seconds, "seconds")),
    "offsets": lambda seconds: len(frame_times(seconds, "offsets")),
}
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
        # A text is as long as what is read, the turns before included.
        rows = manifest
        if extractor.needs == "text":
            rows = manifest.with_columns(extractor.texts(manifest).alias("text"))
        longest_s = getattr(extractor.settings, "max_seconds", 0.0) or math.inf
        for place, recipe in enumerate(extractor.recipes().values()):
            plan = plans[recipe.view]
            missing = rows.filter(pl.col("utterance_id").is_in(list(plan.keys)))
            seconds = None if rate is None else (missing.height / rate if place == 0 else 0.0)
            found.append(
                ViewEstimate(
                    recipe.view,
                    recipe.slot,
                    missing.height,
                    plan.copy.height,
                    plan.faulted,
                    plan.up_to_date,
                    _size(recipe, missing, longest_s),
                    0.0 if not missing.height else seconds,
                )
            )
    return found


def free_bytes(root: str) -> int | None:
    """Bytes left on the disk that holds the root; None for an object store."""
    return None if "://" in root else shutil.disk_usage(root).free


def _size(recipe: Recipe, missing: pl.DataFrame, longest_s: float) -> int | None:
    rows = missing.height
    if not rows:
        return 0
    row_bytes = _ROW_BYTES + sum(_COLUMN_BYTES.get(kind, 0) for kind in recipe.columns.values())
    if recipe.layout == "record":
        return rows * row_bytes
    step_bytes = recipe.width * _ITEM_BYTES[recipe.dtype]
    step_bytes += _STEP_BYTES * sum(kind == "step" for kind in recipe.columns.values())
    if recipe.layout == "pooled":
        return rows * (step_bytes + row_bytes)
    if recipe.modality == "text":
        characters = int(missing["text"].str.len_chars().sum())
        return round(characters / _CHARACTERS_A_TOKEN * step_bytes) + rows * row_bytes
    steps_of = _STEPS.get(recipe.modality)
    seconds = _mean_seconds(missing) if steps_of else None
    if steps_of is None or seconds is None:
        return None
    return round(rows * (steps_of(min(seconds, longest_s)) * step_bytes + row_bytes))


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
