"""Choosing utterances for a named selection: by corpus, part, emotion, verdict and text, or by chance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.named_ids import named_ids
from feature_repo.named_tables import now
from feature_repo.named_verdicts import warn_outdated
from feature_repo.selection import Selection
from feature_repo.selections import NamedSelection
from feature_repo.splits import PARTS

if TYPE_CHECKING:
    from feature_repo.splits import SavedSplit
    from feature_repo.store import Store


@dataclass(frozen=True)
class Choice:
    """What an utterance must be to be chosen; what is empty is not asked.

    Attributes:
        corpora: names of corpora.
        emotions: values of the manifest's ``emotion`` column.
        split: name of a saved split: only its utterances.
        part: of that split.
        verdict: name of a verdict: only what passed it; a ``StaleVerdictWarning`` tells of one that is outdated.
        failed: only what the verdict removed instead; what it did not judge is neither.
        unseen_texts: only utterances whose text stands verbatim in no training utterance of the split; one without a
            text is unseen.
        random_like: name of a selection or verdict (see :func:`~feature_repo.named_ids.named_ids`): of what the rest
            leaves, so many at random as are of that list.
        seed: of the random choice.
    """

    corpora: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    split: str | None = None
    part: str | None = None
    verdict: str | None = None
    failed: bool = False
    unseen_texts: bool = False
    random_like: str | None = None
    seed: int = 0

    def told(self) -> dict[str, Any]:
        """What was asked for, without what was not."""
        asked = {key: value for key, value in vars(self).items() if value}
        if self.random_like is not None:
            asked["seed"] = self.seed
        else:
            asked.pop("seed", None)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asked.items()}


def select(store: Store, name: str, choice: Choice) -> NamedSelection:
    """The utterances that a choice means, under a name; :meth:`NamedSelections.save` keeps them.

    Args:
        store: the store.
        name: the selection's.
        choice: which utterances.

    Raises:
        UnknownNameError: a corpus, emotion, split, part, verdict or list that does not exist.
        BadInputError: a part or unseen texts without a split, failed without a verdict, a list of the name of a
            selection and of a verdict, or nothing that is chosen.
    """
    if choice.split is None and (choice.part is not None or choice.unseen_texts):
        raise BadInputError("a part and unseen texts are those of a saved split: name it with --split")
    if choice.failed and choice.verdict is None:
        raise BadInputError("what failed, failed a verdict: name it with --verdict")
    manifest = store.manifest()
    where = Selection(corpora=choice.corpora, emotions=choice.emotions)
    pool = manifest[where.rows(manifest)]
    made = choice.told()
    if choice.split is not None:
        saved = store.splits.load(choice.split)
        made["split_digest"] = saved.digest
        pool = _of_split(pool, manifest, saved, choice)
    if choice.verdict is not None:
        verdict = store.verdicts.load(choice.verdict)
        warn_outdated(store, verdict)
        made["verdict_digest"] = verdict.ids_digest
        judged = verdict.rows.filter(~pl.col("passed") if choice.failed else pl.col("passed"))
        pool = pool.join(judged, on="utterance_id", how="semi")
    ids = pool["utterance_id"].sort().to_list()
    if choice.random_like is not None:
        like = set(named_ids(store, choice.random_like).ids).intersection(ids)
        if not like:
            raise BadInputError(
                f"no utterance of {choice.random_like!r} is among the {len(ids):,} to choose from at random; allowed:"
                " options that leave some"
            )
        ids = random_ids(ids, len(like), choice.seed)
    if not ids:
        raise BadInputError(f"selection {name!r}: no utterance is all that was asked for")
    return NamedSelection(name, ids, made, now())


def random_ids(ids: Sequence[str], count: int, seed: int) -> list[str]:
    """So many of the ids, sorted: drawn plainly, not stratified, and whatever their order.

    A larger draw of the same seed holds every smaller one.
    """
    drawn = sorted(
        ids, key=lambda name: hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()
    )
    return sorted(drawn[:count])


def _of_split(pool: pl.DataFrame, manifest: pl.DataFrame, saved: SavedSplit, choice: Choice) -> pl.DataFrame:
    if choice.part is not None and choice.part not in PARTS:
        raise UnknownNameError("part", choice.part, PARTS)
    part = saved.part_of(pool["utterance_id"])
    chosen = part.is_not_null() if choice.part is None else (part == choice.part).fill_null(False)
    pool = pool.filter(chosen)
    if choice.unseen_texts:
        training = manifest.filter((saved.part_of(manifest["utterance_id"]) == "train").fill_null(False))
        texts = training["text"].drop_nulls().unique().implode()
        pool = pool.filter(~pl.col("text").is_in(texts).fill_null(False) | (pl.col("text") == ""))
    return pool
