"""The selections that an experiment reports by themselves, looked up in the store and scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError
from feature_repo.named_ids import named_ids
from trainers.metrics import Scores
from trainers.runs.run import Run
from trainers.runs.selected_scores import scores_on

if TYPE_CHECKING:
    from feature_repo.store import Store


def reported(
    store: Store, runs: Sequence[Run], names: Sequence[str]
) -> tuple[dict[str, dict[int, Scores]], dict[str, str]]:
    """Scores by seed on each of these saved selections or verdicts, and why there are none on the others.

    Args:
        store: the store.
        runs: finished runs of one setting.
        names: of selections or verdicts.

    Raises:
        UnknownNameError: a name that is neither's.
    """
    found, lacking = {}, {}
    for name in names:
        ids = named_ids(store, name).ids
        try:
            found[name] = scores_on(runs, ids)
        except BadInputError as error:
            lacking[name] = str(error)
    return found, lacking
