"""Feast's historical retrieval of a store's features: the reference that ``pull`` is held against."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.feast_objects import common_key, make_readable
from feature_repo.part import feature_columns
from feature_repo.registry import open_registered

if TYPE_CHECKING:
    from feature_repo.store import Store

_PLACE = "place"


def historical(
    store: Store,
    slots: Sequence[str],
    ids: Sequence[str],
    *,
    profile: str | None = None,
    at: datetime | None = None,
) -> pl.DataFrame:
    """Features by ``get_historical_features``, as of now or of another time.

    Args:
        store: the store; views that Feast does not know are registered first.
        slots: slots or views of any layout, all of utterances or all of speakers.
        ids: utterance ids, or speaker ids, in the wanted order.
        profile: whose slots are meant.
        at: rows as they were then, in UTC.

    Returns:
        ``utterance_id``, or ``speaker_id``, and the views' value and further columns; null where there is no row, or
        where the row says nothing.

    Raises:
        UnknownNameError: no such slot, view or profile.
        BadInputError: views of utterances and of speakers at once.
    """
    import pandas as pd  # what Feast takes

    recipes = [store.recipe(store.resolve(slot, profile)) for slot in slots]
    key = common_key(recipes)
    for recipe in recipes:
        make_readable(store.table(recipe.view))
    # A second ahead: a part's stamp lies after the newest in the table, whatever the clock says.
    moment = at or datetime.now(UTC) + timedelta(seconds=1)
    # DuckDB gives the rows in any order.
    asked = pd.DataFrame({key: list(ids), "event_timestamp": moment, _PLACE: range(len(ids))})
    asked["event_timestamp"] = pd.to_datetime(asked["event_timestamp"], utc=True)
    columns = [(recipe.view, column) for recipe in recipes for column in feature_columns(recipe)]
    feast = open_registered(store, [recipe.view for recipe in recipes])
    job = feast.get_historical_features(asked, [f"{view}:{column}" for view, column in columns])
    found = pl.DataFrame(pl.from_arrow(job.to_arrow())).sort(_PLACE)
    return found.select(key, *(column for _, column in columns))
