"""Every protocol by name, and the plan that it makes, checked for leakage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import UnknownNameError
from feature_repo.splits import SavedSplits
from trainers.protocols.folds import session_folds, speaker_folds, subject_folds
from trainers.protocols.leave_corpus_out import leave_corpus_out
from trainers.protocols.official import official
from trainers.protocols.plan import Plan, check_apart, known_speakers
from trainers.protocols.saved_split import SAVED, saved_split

PROTOCOLS: dict[str, Callable[..., Plan]] = {
    "leave-corpus-out": leave_corpus_out,
    "official": official,
    "session-folds": session_folds,
    "speaker-folds": speaker_folds,
    "subject-folds": subject_folds,
}
# Those that let one choose the number of folds.
CHOOSE_FOLDS = ("speaker-folds", "subject-folds")


def protocol_names() -> list[str]:
    """The protocols as a caller may write them."""
    return [*PROTOCOLS, f"{SAVED}NAME"]


def is_protocol(name: str) -> bool:
    """Whether a protocol may be called so; a saved split of that name need not be there."""
    return name in PROTOCOLS or (name.startswith(SAVED) and name != SAVED)


def corpora_of(protocol: str, splits: SavedSplits) -> tuple[str, ...]:
    """The corpora that a saved split is of; none, which means all, for another protocol.

    Raises:
        UnknownNameError: no such saved split.
    """
    return tuple(splits.load(protocol.removeprefix(SAVED)).corpora) if protocol.startswith(SAVED) else ()


def plan_splits(
    protocol: str,
    manifest: pl.DataFrame,
    labels: npt.NDArray[np.int64],
    *,
    folds: int = 4,
    validation_share: float = 0.2,
    splits: SavedSplits | None = None,
) -> Plan:
    """The named protocol's folds over a training set, checked for leakage.

    Args:
        protocol: one of ``PROTOCOLS``, or ``split:NAME``.
        manifest: the training set's rows.
        labels: class index per row, -1 without a class.
        folds: number of folds, where the protocol lets one choose.
        validation_share: share to select on, where no split says it.
        splits: the store's saved splits.

    Raises:
        UnknownNameError: no such protocol, or no such saved split.
        BadInputError: rows that the protocol can't split.
        LeakageError: two parts share an utterance, or a speaker where the protocol promises none.
    """
    if splits is not None and protocol.startswith(SAVED):
        plan = saved_split(splits.load(protocol.removeprefix(SAVED)), manifest, labels)
    elif protocol in PROTOCOLS:
        plan = PROTOCOLS[protocol](manifest, labels, folds=folds, validation_share=validation_share)
    else:
        raise UnknownNameError("protocol", protocol, protocol_names())
    ids = manifest["utterance_id"].to_numpy()
    for split in plan.splits:
        check_apart({part: ids[rows] for part, rows in split.parts().items()}, "utterance", split.fold)
        if plan.by_speaker:
            check_apart(
                {part: known_speakers(manifest, rows) for part, rows in split.parts().items()},
                "speaker",
                split.fold,
            )
    return plan
