"""Leave one corpus out: a fold per corpus, which the others are trained without (papers/003 5.4.3 B)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.balanced_groups import balanced_groups, label_counts
from feature_repo.errors import BadInputError
from trainers.protocols.official import OFFICIAL
from trainers.protocols.plan import Index, Plan, Split, told

# Of fewer speakers one to select on would be half of the corpus.
_SPEAKERS = 3
_TEST = OFFICIAL["test"]


def leave_corpus_out(
    manifest: pl.DataFrame, labels: npt.NDArray[np.int64], *, folds: int = 1, validation_share: float = 0.2
) -> Plan:
    """Every corpus is tested once, with all its labelled rows; the others train and select.

    What of the others selects: their official dev rows where they have some, else a share of their rows, by speaker
    where there are three or more (rows of nobody known, and other corpora, by the order of their ids, class by class).
    Their official test rows take no part. The paper says which corpus is left out, not how the others select: that is
    our reading. The same text may stand in two corpora; a run's record counts the test rows whose text was trained on.

    Args:
        manifest: the training set's rows.
        labels: class index per row, -1 without a class.
        folds: not used; as many as there are corpora.
        validation_share: share of a corpus without dev rows to select on.

    Raises:
        BadInputError: fewer than two corpora with labelled rows, or others that leave nothing to train or select on.
    """
    labelled = labels >= 0
    corpora = manifest["corpus"].to_numpy()
    names = sorted(set(corpora[labelled]))
    if len(names) < 2:
        raise BadInputError(
            f"protocol 'leave-corpus-out' finds {len(names)} corpus with labelled rows ({', '.join(names)}); allowed: 2"
            " or more"
        )
    official = manifest["split"].fill_null("").to_numpy()
    selects = np.zeros(len(labels), bool)
    for name in names:
        own = np.flatnonzero(labelled & (corpora == name) & (official != _TEST))
        selects[_validation(manifest, labels, official, own, validation_share)] = True
    splits = []
    for fold, name in enumerate(names):
        others = labelled & (corpora != name) & (official != _TEST)
        parts = {
            "train": np.flatnonzero(others & ~selects),
            "validation": np.flatnonzero(others & selects),
            "test": np.flatnonzero(labelled & (corpora == name)),
        }
        for part in ("train", "validation"):
            if not len(parts[part]):
                raise BadInputError(
                    f"protocol 'leave-corpus-out' without {name}: the other corpora have no labelled {part} row"
                    " outside of their official test rows"
                )
        splits.append(Split.of(fold, parts, name))
    return Plan(
        "leave-corpus-out",
        tuple(splits),
        by_speaker=False,
        left_out=told(labels, {}),
    )


def _validation(
    manifest: pl.DataFrame,
    labels: npt.NDArray[np.int64],
    official: npt.NDArray[np.object_],
    rows: Index,
    share: float,
) -> Index:
    """Of one corpus's labelled rows those that select."""
    dev: Index = rows[official[rows] == OFFICIAL["validation"]]
    if len(dev):
        return dev
    held = max(2, round(1 / share))
    who = manifest["speaker_id"].fill_null("").to_numpy()
    speakers = sorted(set(who[rows]) - {""})
    chosen, rest = np.zeros(0, np.int64), rows
    if len(speakers) >= _SPEAKERS:
        known, rest = rows[who[rows] != ""], rows[who[rows] == ""]
        counts = label_counts(who[known], labels[known], speakers)
        # The last group, where the fewest rows are: training needs them most.
        group = balanced_groups(counts, min(held, len(speakers)))[-1]
        chosen = known[np.isin(who[known], group)]
    ids = manifest["utterance_id"].to_numpy()
    dealt = sorted(rest.tolist(), key=lambda row: (labels[row], ids[row]))
    step = held if len(chosen) else max(2, min(held, len(dealt)))  # one row at least, where two are to be had
    return np.concatenate([chosen, np.array(dealt[step - 1 :: step], np.int64)])
