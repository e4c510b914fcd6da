"""Protocols: which rows train, which select and which are scored, and the proof that they are apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.errors import AffectStoreError, BadInputError, UnknownNameError

Index = npt.NDArray[np.int64]
PARTS = ("train", "validation", "test")
NO_LABEL = "no label in the scheme"


class LeakageError(AffectStoreError):
    """Rows that are scored or selected on were also trained on."""


@dataclass(frozen=True)
class Split:
    """One fold: row indices of the three parts, which never meet.

    Attributes:
        fold: number of the fold, from 0.
        train: rows to fit.
        validation: rows to stop and select on.
        test: rows to score.
    """

    fold: int
    train: Index
    validation: Index
    test: Index

    def parts(self) -> dict[str, Index]:
        """The three parts by name."""
        return {name: getattr(self, name) for name in PARTS}


@dataclass(frozen=True)
class Plan:
    """A protocol applied to a training set.

    Attributes:
        protocol: name of the protocol.
        splits: one per fold.
        by_speaker: whether no speaker is in two parts of a fold.
        left_out: rows in no part, by reason.
    """

    protocol: str
    splits: tuple[Split, ...]
    by_speaker: bool
    left_out: dict[str, int] = field(default_factory=dict)


def official(
    manifest: pl.DataFrame, labels: npt.NDArray[np.int64], *, folds: int = 1, validation_share: float = 0.2
) -> Plan:
    """The corpus's own splits: fit on train, select on dev, score on test; one fold, and speakers may recur.

    Args:
        manifest: the training set's rows.
        labels: class index per row, -1 without a class.
        folds: not used; the corpus decides.
        validation_share: not used; the corpus decides.

    Raises:
        BadInputError: a split without rows, as in corpora that have none.
    """
    labelled = labels >= 0
    split = manifest["split"].to_numpy()
    parts = {ours: np.flatnonzero(labelled & (split == theirs)) for ours, theirs in _OFFICIAL.items()}
    for ours, rows in parts.items():
        if not len(rows):
            corpora = ", ".join(sorted(manifest["corpus"].unique()))
            raise BadInputError(
                f"protocol 'official' finds no labelled row of split {_OFFICIAL[ours]!r} in {corpora or 'no corpus'};"
                " allowed for corpora without splits: speaker-folds"
            )
    elsewhere = labelled & ~np.isin(split, list(_OFFICIAL.values()))
    return Plan(
        "official", (Split(0, **parts),), False, _told(labels, {"no official split": int(elsewhere.sum())})
    )


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
        _told(labels, {"no speaker": int((~known & (labels >= 0)).sum())}),
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
        splits.append(Split(split.fold, **rows))
    if folds < 2 or not all(len(rows) for split in splits for rows in split.parts().values()):
        raise BadInputError(
            f"{folds} folds of {len(alone)} rows without a speaker leave a part empty; allowed: 2 or more folds, and"
            " more rows than folds"
        )
    return Plan("subject-folds", tuple(splits), True, _told(labels, {}))


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
        others = ", ".join(sorted(set(PROTOCOLS) - {"session-folds"}))
        raise BadInputError(
            "protocol 'session-folds' reads the session off dialogue ids such as iemocap/Ses01F_impro01, and"
            f" {len(unknown)} rows have none: {row['utterance_id']} is of dialogue {row['dialogue_id']!r} and speaker"
            f" {row['speaker_id']!r}; allowed for other corpora: {others}"
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
        splits.append(Split(fold, **{part: np.flatnonzero(usable & rows) for part, rows in chosen.items()}))
    return Plan("session-folds", tuple(splits), True, _told(labels, {}))


PROTOCOLS: dict[str, Callable[..., Plan]] = {
    "official": official,
    "session-folds": session_folds,
    "speaker-folds": speaker_folds,
    "subject-folds": subject_folds,
}
_OFFICIAL = {"train": "train", "validation": "dev", "test": "test"}
# The last part of a path-like id begins with it; letters follow, of who wears markers or who speaks.
_SESSION = r"(?:^|/)(Ses\d+)[^/]*$"


def plan_splits(
    protocol: str,
    manifest: pl.DataFrame,
    labels: npt.NDArray[np.int64],
    *,
    folds: int = 4,
    validation_share: float = 0.2,
) -> Plan:
    """The named protocol's folds over a training set, checked for leakage.

    Raises:
        UnknownNameError: no such protocol.
        BadInputError: rows that the protocol can't split.
        LeakageError: two parts share an utterance, or a speaker where the protocol promises none.
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    plan = PROTOCOLS[protocol](manifest, labels, folds=folds, validation_share=validation_share)
    ids = manifest["utterance_id"].to_numpy()
    for split in plan.splits:
        check_apart({part: ids[rows] for part, rows in split.parts().items()}, "utterance", split.fold)
        if plan.by_speaker:
            check_apart(
                {part: _known(manifest, rows) for part, rows in split.parts().items()}, "speaker", split.fold
            )
    return plan


def check_apart(parts: dict[str, npt.NDArray[np.object_]], what: str, fold: int) -> None:
    """Refuse parts that share a value.

    Raises:
        LeakageError: names the parts and a shared value.
    """
    names = list(parts)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            shared = set(parts[one]) & set(parts[other])
            if shared:
                raise LeakageError(
                    f"fold {fold}: {len(shared)} {what}(s) such as {str(min(shared))!r} are in {one} and in {other}"
                )


def balanced_groups(counts: dict[str, npt.NDArray[np.int64]], groups: int) -> list[list[str]]:
    """Speakers in groups of about equal rows per class: the largest first, each to where its classes are rarest.

    Args:
        counts: rows per class ``[classes]`` by speaker.
        groups: number of groups, at most the number of speakers.
    """
    total = np.maximum(sum(counts.values(), np.zeros(1, np.int64)), 1)
    filled = np.zeros((groups, len(total)))
    members: list[list[str]] = [[] for _ in range(groups)]
    for name in sorted(counts, key=lambda name: (-counts[name].sum(), name)):
        share = counts[name] / total
        # Rounded, so that sums in another order don't decide between equals; then the fewest speakers, then the first.
        group = min(
            range(groups),
            key=lambda place: (round(float(filled[place] @ share), 9), len(members[place]), place),
        )
        filled[group] += share
        members[group].append(name)
    return [sorted(group) for group in members]


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
    counts = _label_counts(names[usable], labels[usable], speakers)
    splits = []
    for fold, tested in enumerate(balanced_groups(counts, folds)):
        others = {name: counts[name] for name in speakers if name not in tested}
        held = min(len(others), max(2, round(1 / validation_share)))
        # Another group in every fold; from the end, where the smaller ones are, since training needs rows most.
        validated = balanced_groups(others, held)[held - 1 - fold % held]
        trained = [name for name in others if name not in validated]
        chosen = {"train": trained, "validation": validated, "test": tested}
        splits.append(
            Split(
                fold,
                **{part: np.flatnonzero(usable & np.isin(names, who)) for part, who in chosen.items()},
            )
        )
    return tuple(splits)


def _dealt(ids: npt.NDArray[np.object_], labels: npt.NDArray[np.int64], rows: Index) -> Index:
    """The rows class by class, in the order of their ids, whatever the order of the manifest."""
    order = sorted(rows.tolist(), key=lambda row: (labels[row], ids[row]))
    return np.array(order, np.int64)


def _known(manifest: pl.DataFrame, rows: Index) -> npt.NDArray[np.object_]:
    """The speakers of rows that have one: nobody knows whether two others are the same."""
    speakers: npt.NDArray[np.object_] = manifest["speaker_id"][rows.tolist()].drop_nulls().to_numpy()
    return speakers


def _label_counts(
    names: npt.NDArray[np.object_], labels: npt.NDArray[np.int64], speakers: Sequence[str]
) -> dict[str, npt.NDArray[np.int64]]:
    classes = int(labels.max()) + 1
    return {name: np.bincount(labels[names == name], minlength=classes) for name in speakers}


def _told(labels: npt.NDArray[np.int64], reasons: dict[str, int]) -> dict[str, int]:
    counts = {NO_LABEL: int((labels < 0).sum()), **reasons}
    return {reason: count for reason, count in counts.items() if count}
