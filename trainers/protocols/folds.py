"""Folds in which everybody is tested once: by speaker, by subject, by session."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.balanced_groups import balanced_groups, label_counts
from feature_repo.errors import BadInputError
from trainers.protocols.plan import Index, Plan, Split, told

# The last part of a path-like id begins with it; letters follow, of who wears markers or who speaks.
_SESSION = r"(?:^|/)(Ses\d+)[^/]*$"


def speaker_folds(
    manifest: pl.DataFrame, labels: npt.NDArray[np.int64], *, folds: int = 4, validation_share: float = 0.2
) -> Plan:
    """Every speaker is tested once; test, validation and training speakers of a fold never meet.

    The folds depend on the speakers and their labels alone, so seeds are compared on the same folds.

    Args:
        manifest: the training set's rows.
        labels: class index per row, -1 without a class.
        folds: number of folds.
        validation_share: share of a fold's training speakers to select on, at least one speaker.

    Raises:
        BadInputError: fewer than two folds, or too few speakers for three parts.
    """
    known = manifest["speaker_id"].is_not_null().to_numpy()
    usable = known & (labels >= 0)
    return Plan(
        "speaker-folds",
        _speaker_splits(manifest, labels, usable, folds, validation_share),
        True,
        told(labels, {"no speaker": int((~known & (labels >= 0)).sum())}),
    )


def subject_folds(
    manifest: pl.DataFrame, labels: npt.NDArray[np.int64], *, folds: int = 4, validation_share: float = 0.2
) -> Plan:
    """As :func:`speaker_folds`, and a row whose speaker nobody knows counts as a person of its own.

    For corpora of stills, which rarely say who is shown: RAF-DB beside CK+ (papers/000 III-B2). Such rows are dealt
    out class by class in the order of their ids.

    Args:
        manifest: the training set's rows.
        labels: class index per row, -1 without a class.
        folds: number of folds.
        validation_share: share of a fold's training speakers, and of its rows without one, to select on.

    Raises:
        BadInputError: fewer than two folds, or too few speakers for three parts.
    """
    known = manifest["speaker_id"].is_not_null().to_numpy()
    usable = known & (labels >= 0)
    alone = _dealt(manifest["utterance_id"].to_numpy(), labels, np.flatnonzero(~known & (labels >= 0)))
    if usable.any() or not len(alone):
        by_speaker = _speaker_splits(manifest, labels, usable, folds, validation_share)
    else:
        none = np.zeros(0, np.int64)
        by_speaker = tuple(Split(fold, none, none, none) for fold in range(folds))
    held = max(2, round(1 / validation_share))
    place = np.arange(len(alone))
    splits = []
    for split in by_speaker:
        tested = place % folds == split.fold
        validated = ~tested & (place // folds % held == split.fold % held)
        more = {"train": ~tested & ~validated, "validation": validated, "test": tested}
        rows = {
            part: np.sort(np.concatenate([own, alone[more[part]]])) for part, own in split.parts().items()
        }
        splits.append(Split.of(split.fold, rows))
    if folds < 2 or not all(len(rows) for split in splits for rows in split.parts().values()):
        raise BadInputError(
            f"{folds} folds of {len(alone)} rows without a speaker leave a part empty; allowed: 2 or more folds, and"
            " more rows than folds"
        )
    return Plan("subject-folds", tuple(splits), True, told(labels, {}))


def session_folds(
    manifest: pl.DataFrame, labels: npt.NDArray[np.int64], *, folds: int = 5, validation_share: float = 0.2
) -> Plan:
    """IEMOCAP's leave-one-session-out: every session is tested once, the next one selects, the others train.

    The session is read off the dialogue's id, or the speaker's where the dialogue has none: ``Ses03`` in
    ``iemocap/Ses03F_impro01``. Two actors speak in each session and in no other. That a training session selects is
    our reading; the papers don't say which rows do.

    Args:
        manifest: the training set's rows.
        labels: class index per row, -1 without a class.
        folds: not used; as many as there are sessions.
        validation_share: not used; one session.

    Raises:
        BadInputError: a labelled row whose ids name no session, or fewer than three sessions.
    """
    found = pl.coalesce(
        pl.col(name).cast(pl.String).str.extract(_SESSION) for name in ("dialogue_id", "speaker_id")
    )
    usable = labels >= 0
    session = manifest.select(found.alias("session"))["session"]
    unknown = np.flatnonzero(session.is_null().to_numpy() & usable)
    if len(unknown):
        row = manifest.row(int(unknown[0]), named=True)
        raise BadInputError(
            "protocol 'session-folds' reads the session off dialogue ids such as iemocap/Ses01F_impro01, and"
            f" {len(unknown)} rows have none: {row['utterance_id']} is of dialogue {row['dialogue_id']!r} and speaker"
            f" {row['speaker_id']!r}; allowed for other corpora: official, speaker-folds, subject-folds"
        )
    names = session.fill_null("").to_numpy()
    sessions = sorted(set(names[usable]))
    if len(sessions) < 3:
        raise BadInputError(
            f"protocol 'session-folds' finds {len(sessions)} session(s) ({', '.join(sessions)}); allowed: 3 or more,"
            " one each to train, validate and test"
        )
    splits = []
    for fold, tested in enumerate(sessions):
        validated = sessions[(fold + 1) % len(sessions)]
        chosen = {
            "train": ~np.isin(names, [tested, validated]),
            "validation": names == validated,
            "test": names == tested,
        }
        splits.append(Split.of(fold, {part: np.flatnonzero(usable & rows) for part, rows in chosen.items()}))
    return Plan("session-folds", tuple(splits), True, told(labels, {}))


def _speaker_splits(
    manifest: pl.DataFrame,
    labels: npt.NDArray[np.int64],
    usable: npt.NDArray[np.bool_],
    folds: int,
    validation_share: float,
) -> tuple[Split, ...]:
    """Folds over the usable rows, whose speakers are known."""
    names = manifest["speaker_id"].fill_null("").to_numpy()
    speakers = sorted(set(names[usable]))
    if folds < 2 or len(speakers) < max(folds, 3):
        raise BadInputError(
            f"{folds} folds of {len(speakers)} speakers; allowed: 2 or more folds, at least as many speakers as folds,"
            " and 3 for one each to train, validate and test"
        )
    counts = label_counts(names[usable], labels[usable], speakers)
    splits = []
    for fold, tested in enumerate(balanced_groups(counts, folds)):
        others = {name: counts[name] for name in speakers if name not in tested}
        held = min(len(others), max(2, round(1 / validation_share)))
        # Another group in every fold; from the end, where the smaller ones are, since training needs rows most.
        validated = balanced_groups(others, held)[held - 1 - fold % held]
        trained = [name for name in others if name not in validated]
        chosen = {"train": trained, "validation": validated, "test": tested}
        splits.append(
            Split.of(
                fold, {part: np.flatnonzero(usable & np.isin(names, who)) for part, who in chosen.items()}
            )
        )
    return tuple(splits)


def _dealt(ids: npt.NDArray[np.object_], labels: npt.NDArray[np.int64], rows: Index) -> Index:
    """The rows class by class, in the order of their ids, whatever the order of the manifest."""
    order = sorted(rows.tolist(), key=lambda row: (labels[row], ids[row]))
    return np.array(order, np.int64)
