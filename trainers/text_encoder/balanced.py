"""The balanced sample: as many texts of each emotion, evenly over the sources that have it (papers/000 III-C2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.labels import scheme
from feature_repo.splits import PARTS
from trainers.text_encoder.config import TextEncoderConfig
from trainers.text_encoder.texts import candidates

if TYPE_CHECKING:
    from feature_repo.store import Store

# The text corpora of papers/000 III-C2 under their readers' names.
SOURCES = ("carer", "crowdflower", "goemotions", "isear", "semeval")


def even_spread(available: Sequence[int], total: int) -> list[int]:
    """How many to take of each source so that they add up to the total and differ as little as they can.

    Water-filling: every source gives up to one common level, those that have less give all they have. What doesn't
    divide goes one by one to the first sources that have more.

    Args:
        available: what each source has.
        total: what is wanted; without enough, all is taken.

    Returns:
        Numbers in the order of ``available``, none above it.
    """
    taken = [0] * len(available)
    left = min(total, sum(available))
    while left:
        giving = [place for place, there in enumerate(available) if there > taken[place]]
        # As far as the smallest can go along, or to the end.
        step = min(left // len(giving), min(available[place] - taken[place] for place in giving))
        if step == 0:
            for place in giving[:left]:
                taken[place] += 1
            return taken
        for place in giving:
            taken[place] += step
        left -= step * len(giving)
    return taken


@dataclass(frozen=True)
class Sample:
    """The texts that were chosen.

    Attributes:
        rows: ``utterance_id, speaker_id, corpus, text, text_key, label, part, times``: one row per text, sorted by id;
            ``times`` is how often an epoch has it, above 1 for oversampled texts only.
        counts: ``corpus, label, available, taken``: per source and class.
        left_out: rows that were no candidates, by reason.
        classes: names of the classes, in the order of their indices.
        per_emotion: texts that each class should have.
    """

    rows: pl.DataFrame
    counts: pl.DataFrame
    left_out: dict[str, int]
    classes: tuple[str, ...]
    per_emotion: int

    def part(self, name: str) -> pl.DataFrame:
        """The rows of ``train``, ``validation`` or ``test``, those of an oversampled text as often as it counts."""
        rows = self.rows.filter(pl.col("part") == name)
        return rows.select(pl.all().repeat_by("times").explode()) if rows["times"].max() != 1 else rows

    def missing(self) -> dict[str, int]:
        """Classes that have fewer texts than they should, and how many fewer."""
        taken = dict(self.counts.group_by("label").agg(pl.col("taken").sum()).iter_rows())
        short = {name: self.per_emotion - taken.get(name, 0) for name in self.classes}
        return {name: count for name, count in short.items() if count}


def sources_of(store: Store, corpora: Sequence[str] | None = None) -> list[str]:
    """The corpora to learn from: those that are named, else those of the paper that the store has.

    Raises:
        UnknownNameError: a corpus that was not ingested.
        BadInputError: none is named and the store has none of the paper's.
    """
    known = store.corpora()
    if not corpora:
        found = [name for name in SOURCES if name in known]
        if not found:
            raise BadInputError(
                f"the store has none of the text corpora {', '.join(SOURCES)}: ingest one, or name others with --corpus"
            )
        return found
    for name in corpora:
        if name not in known:
            raise UnknownNameError("corpus", name, known)
    return sorted(set(corpora))


def chosen_texts(
    store: Store, config: TextEncoderConfig, corpora: Sequence[str], labels: str = "seven"
) -> Sample:
    """The texts that a run of these settings has; see :func:`balanced_sample`."""
    return balanced_sample(store.manifest(corpora), config, classes=scheme(labels).classes, labels=labels)


def balanced_sample(
    manifest: pl.DataFrame, config: TextEncoderConfig, *, classes: Sequence[str], labels: str = "seven"
) -> Sample:
    """Choose ``per_emotion`` texts of each class, evenly over the corpora.

    Parts are decided before (see :func:`~trainers.text_encoder.texts.candidates`), so that no text is in two, and
    which texts of a source are taken depends on the texts alone. Oversampling repeats training texts.

    Args:
        manifest: rows of the corpora.
        config: how many, and the policies.
        classes: names of the classes, in the order of their indices.
        labels: label scheme.

    Raises:
        BadInputError: a class without any text, or a part without any.
        UnknownNameError: no such label scheme.
    """
    rows, left_out = candidates(manifest, config, labels)
    corpora = sorted(manifest["corpus"].unique())
    counts, chosen = [], []
    for label in classes:
        cells = [
            rows.filter((pl.col("label") == label) & (pl.col("corpus") == corpus)).sort(
                "order", "utterance_id"
            )
            for corpus in corpora
        ]
        available = [cell.height for cell in cells]
        if not sum(available):
            raise BadInputError(
                f"no text of class {label!r} in {', '.join(corpora)}; add a corpus that has it, or choose a label"
                " scheme without it"
            )
        taken = even_spread(available, config.per_emotion)
        counts += [
            {"corpus": corpus, "label": label, "available": there, "taken": count}
            for corpus, there, count in zip(corpora, available, taken, strict=True)
        ]
        picked = pl.concat([cell.head(count) for cell, count in zip(cells, taken, strict=True)])
        chosen.append(_with_times(picked, config))
    sample = Sample(
        pl.concat(chosen).drop("order").sort("utterance_id"),
        pl.DataFrame(counts),
        left_out,
        tuple(classes),
        config.per_emotion,
    )
    for name in PARTS:
        if not (sample.rows["part"] == name).any():
            raise BadInputError(
                f"none of {sample.rows.height} texts is in the {name} part; take more texts (per_emotion) or corpora,"
                " or other shares"
            )
    return sample


def _with_times(picked: pl.DataFrame, config: TextEncoderConfig) -> pl.DataFrame:
    """The texts of one class with ``times``: 1, but for training texts where too few are oversampled."""
    training = picked.filter(pl.col("part") == "train").sort("order", "utterance_id")
    wanted = round(config.per_emotion * (1 - config.validation_share - config.test_share))
    there = training.height
    if config.shortfall == "cap" or not there or there >= wanted or picked.height >= config.per_emotion:
        return picked.with_columns(times=pl.lit(1, pl.Int32))
    each, more = divmod(wanted, there)
    times = training.select(
        "utterance_id", times=pl.lit(each, pl.Int32) + (pl.int_range(there) < more).cast(pl.Int32)
    )
    return picked.join(times, on="utterance_id", how="left", maintain_order="left").with_columns(
        pl.col("times").fill_null(1)
    )
