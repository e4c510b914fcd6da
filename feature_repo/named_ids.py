"""Lists of utterances that the store keeps under a name: a saved selection, or what passed a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.named_verdicts import warn_outdated

if TYPE_CHECKING:
    from feature_repo.store import Store

_SELECTION, _VERDICT = "selection:", "verdict:"


@dataclass(frozen=True)
class NamedIds:
    """Utterances under a name.

    Attributes:
        name: as the caller wrote it.
        ids: utterance ids, sorted.
        digest: SHA-256 of the ids.
    """

    name: str
    ids: pl.Series
    digest: str


def named_ids(store: Store, name: str) -> NamedIds:
    """The utterances of a saved selection, or those that passed a verdict.

    Args:
        store: the store.
        name: of either; with ``selection:`` or ``verdict:`` before it where both have one of that name. A verdict that
            was judged from other rows than the store holds now is used as it is, and a ``StaleVerdictWarning`` tells.

    Raises:
        UnknownNameError: neither has it.
        BadInputError: both have it.
    """
    plain = name.removeprefix(_SELECTION).removeprefix(_VERDICT)
    selections, verdicts = store.selections.names(), store.verdicts.names()
    found = [
        kind
        for kind, names in ((_SELECTION, selections), (_VERDICT, verdicts))
        if plain in names and name in (plain, kind + plain)
    ]
    if len(found) > 1:
        raise BadInputError(
            f"{name!r} is a selection and a verdict; allowed: {', '.join(kind + plain for kind in found)}"
        )
    if not found:
        raise UnknownNameError("selection or verdict", name, [*selections, *verdicts])
    if found == [_SELECTION]:
        selection = store.selections.load(plain)
        return NamedIds(name, pl.Series(selection.ids, dtype=pl.String), selection.digest)
    verdict = store.verdicts.load(plain)
    warn_outdated(store, verdict, stacklevel=4)
    return NamedIds(name, pl.Series(verdict.ids, dtype=pl.String), verdict.ids_digest)
