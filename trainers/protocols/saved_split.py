"""A split that the store keeps under a name, as a protocol: ``split:NAME``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.leakage import APART
from feature_repo.splits import PARTS, SavedSplit
from trainers.protocols.plan import Plan, Split, check_apart, known_speakers, told

SAVED = "split:"


def saved_split(split: SavedSplit, manifest: pl.DataFrame, labels: npt.NDArray[np.int64]) -> Plan:
    """The parts that a saved split names, as one fold.

    Args:
        split: the split.
        manifest: the training set's rows.
        labels: class index per row, -1 without a class.

    Raises:
        BadInputError: a part without a labelled row.
        LeakageError: a speaker in two parts of a corpus whose rule keeps them apart, as after another ingest.
    """
    labelled = labels >= 0
    part = split.part_of(manifest["utterance_id"]).fill_null("").to_numpy()
    parts = {name: np.flatnonzero(labelled & (part == name)) for name in PARTS}
    for name, rows in parts.items():
        if not len(rows):
            raise BadInputError(
                f"protocol {SAVED + split.name!r} finds no labelled {name} row in"
                f" {', '.join(sorted(manifest['corpus'].unique())) or 'no corpus'}; the split is of"
                f" {', '.join(split.corpora)}"
            )
    rules = split.made.get("rules", {})
    corpora = manifest["corpus"].to_numpy()
    here = sorted(set(corpora[np.concatenate(list(parts.values()))]))
    apart = [name for name in here if rules.get(name) in APART]
    kept = np.isin(corpora, apart)
    check_apart(
        {name: known_speakers(manifest, rows[kept[rows]]) for name, rows in parts.items()}, "speaker", 0
    )
    return Plan(
        SAVED + split.name,
        (Split.of(0, parts),),
        by_speaker=apart == here,
        left_out=told(labels, {f"not in split {split.name}": int((labelled & (part == "")).sum())}),
        identity={"split": split.digest},
    )
