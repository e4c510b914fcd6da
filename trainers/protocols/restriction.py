"""A protocol whose training rows are only some: of some corpora, or of a saved list of utterances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from feature_repo.corpus_domains import DOMAINS, domain_of
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.named_ids import NamedIds
from trainers.protocols.plan import Plan, Split


def of_corpora(plan: Plan, manifest: pl.DataFrame, names: Sequence[str]) -> Plan:
    """Only these corpora's rows train and select; the rows that are tested stay.

    Args:
        plan: a protocol's.
        manifest: the training set's rows.
        names: corpora, or domains such as ``acted``, each of which stands for its corpora among the rows.

    Raises:
        UnknownNameError: neither a corpus of these rows nor a domain that one of them is of.
    """
    chosen = training_corpora(names, sorted(manifest["corpus"].unique()))
    kept = manifest["corpus"].is_in(chosen).to_numpy()
    made = _restricted(plan, {"train": kept, "validation": kept}, "not of a training corpus")
    return replace(made, identity={**plan.identity, "train_corpora": chosen})


def of_ids(plan: Plan, manifest: pl.DataFrame, named: NamedIds) -> Plan:
    """Only these utterances train; the rows that select and that are tested stay."""
    kept = manifest["utterance_id"].is_in(named.ids.implode()).to_numpy()
    made = _restricted(plan, {"train": kept}, f"training rows that are not in {named.name}")
    return replace(made, identity={**plan.identity, "train_on": {"name": named.name, "ids": named.digest}})


def check_rows(split: Split, corpora: Sequence[str], listed: str | None) -> None:
    """Refuse a fold that a restriction left nothing to train or to select on.

    Args:
        split: the fold.
        corpora: what :func:`of_corpora` was asked for.
        listed: the list that :func:`of_ids` was asked for.

    Raises:
        BadInputError: it did.
    """
    for part in ("train", "validation"):
        if not len(split.parts()[part]):
            only = " and ".join(
                filter(None, [f"of {', '.join(corpora)}" if corpora else "", listed and f"in {listed}"])
            )
            raise BadInputError(
                f"fold {split.fold}: no labelled {part} row is {only or 'left'}; allowed: names that leave some"
            )


def training_corpora(names: Sequence[str], corpora: Sequence[str]) -> list[str]:
    """The corpora that names of corpora and domains mean, sorted.

    Raises:
        UnknownNameError: a name that means none.
    """
    chosen: set[str] = set()
    for name in names:
        meant = {name} & set(corpora) or {each for each in corpora if domain_of(each) == name}
        if not meant:
            domains = {domain_of(each) for each in corpora} & set(DOMAINS)
            raise UnknownNameError("training corpus or domain", name, [*corpora, *sorted(domains)])
        chosen |= meant
    return sorted(chosen)


def _restricted(plan: Plan, kept: Mapping[str, np.typing.NDArray[np.bool_]], reason: str) -> Plan:
    splits: list[Split] = []
    for split in plan.splits:
        parts = {part: rows[kept[part][rows]] for part, rows in split.parts().items() if part in kept}
        splits.append(Split.of(split.fold, {**split.parts(), **parts}, split.tested))
    left = _used(plan.splits) - _used(splits)
    return replace(
        plan, splits=tuple(splits), left_out={**plan.left_out, reason: len(left)} if left else plan.left_out
    )


def _used(splits: Sequence[Split]) -> set[int]:
    return {int(row) for split in splits for rows in split.parts().values() for row in rows}
