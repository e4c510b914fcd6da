"""The online store: loading live rows into it, looking them up, erasing them (DESIGN sections 5 and 6)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from feature_repo.errors import AffectStoreError, BadInputError, StoreReadError, UnknownNameError
from feature_repo.feast_config import ONLINE_FILE, hide_secrets, online_identity
from feature_repo.feast_objects import common_key, is_served, make_readable, service_views
from feature_repo.feast_store import is_in_sqlite, online_path, open_feast
from feature_repo.loaded_parts import loaded_parts, parts_mark, save_loaded_parts
from feature_repo.part import feature_columns, key_column, part_schema, superseded_by
from feature_repo.registry import open_registered
from feature_repo.serving.online_backend import online_backend

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from feature_repo.feature_table import FeatureTable
    from feature_repo.store import Store

_LOOKED_UP_AT_ONCE = 1000  # SQLite takes a limited number of values in one query


@dataclass(frozen=True)
class MaterializeReport:
    """What was loaded: view to its number of rows, 0 where the online store was up to date."""

    rows: Mapping[str, int]


def materialize(
    store: Store, slots: Sequence[str] | None = None, *, profile: str | None = None, full: bool = False
) -> MaterializeReport:
    """Load the live rows of vectors and records into the online store: those that came since the last time.

    A row that changed, one that became live again and a tombstone all replace what is there. Views that Feast does not
    know are registered first.

    Args:
        store: the store.
        slots: slots or views; None takes all of the profile, or of the store, but sequences.
        profile: whose slots are meant.
        full: load everything, as is done by itself when the online store was lost.

    Raises:
        UnknownNameError: no such slot, view or profile.
        BadInputError: a sequence was asked for; sequences are not served online.
    """
    views = _served_views(store, slots, profile)
    feast = open_registered(store, views)
    with store.files.lock("materialize"):
        return MaterializeReport({view: _load(store, feast, view, full) for view in views})


def _load(store: Store, feast: FeatureStore, view: str, full: bool) -> int:
    table = store.table(view)
    make_readable(table)
    registered = feast.get_feature_view(view)
    online = online_identity(store)
    noted = loaded_parts(store, view, online)
    with _told_of(store, f"the online store could not be asked for {view}"):
        backend = online_backend(feast)
        lost = not backend.holds(view) or bool(noted and not backend.is_at(view, parts_mark(noted)))
        if lost:  # of which Feast's registry knows nothing
            registered = _unloaded(feast, registered)
            feast.provider.online_store.update(feast.config, [], [registered], [], [], partial=True)
    # Without an interval the online table is new and empty, whatever was noted for an earlier one.
    first = full or lost or not registered.materialization_intervals
    known = frozenset() if first else noted
    # Of one moment: a part that a compaction merges meanwhile must not count as loaded without its rows.
    history = table.history()
    parts = frozenset(history["part"].unique())
    fresh = {name for name in parts - known if not _repeats(table, name, known)}
    now = datetime.now(UTC)
    earliest = min(history.filter(pl.col("part").is_in(list(fresh)))["created_timestamp"], default=now)
    # Another writer's clock may be ahead of ours. All newer rows are in the range, so that a part which became visible
    # late does not put its older rows over newer ones.
    newest = max(history["created_timestamp"], default=now)
    loaded = table.index().filter(pl.col("created_timestamp") >= earliest).height
    if loaded or first:
        _load_range(store, feast, table, earliest, max(now, newest) + timedelta(seconds=1))
    with _told_of(store, f"the online store could not be told of {view}"):
        backend.note(view, parts_mark(known | parts))
    save_loaded_parts(store, view, known | parts, online)
    return loaded


def _unloaded(feast: FeatureStore, view: FeatureView) -> FeatureView:
    """The view as one that was never loaded: until all of it is back, nobody is answered, not even after a kill."""
    if not view.materialization_intervals:
        return view
    anew = view.from_proto(view.to_proto())
    anew.materialization_intervals = []
    # Applied over a view that is there, Feast keeps its intervals.
    feast.registry.delete_feature_view(view.name, feast.project)
    feast.registry.apply_feature_view(anew, feast.project)
    return feast.get_feature_view(view.name)


def _load_range(
    store: Store, feast: FeatureStore, table: FeatureTable, start: datetime, end: datetime
) -> None:
    listed = set(table.all_parts())
    for last in (False, True):
        try:
            with _quiet():
                feast.materialize(start, end, feature_views=[table.view])
            return
        except Exception as error:  # DuckDB's, SQLite's or a driver's
            if last or listed.issubset(table.all_parts()):
                told = hide_secrets(store, error)
                raise BadInputError(f"Feast could not load {table.view}: {told}") from error
            # gc removed a part between DuckDB's listing and its reading: it lists again, once.


def _repeats(table: FeatureTable, name: str, known: frozenset[str]) -> bool:
    """Whether a part only merges parts that were loaded."""
    olds = superseded_by(table.footer(name))
    return bool(olds) and known.issuperset(olds)


def lookup(
    store: Store, slots: str | Sequence[str], ids: Sequence[str], *, profile: str | None = None
) -> pl.DataFrame:
    """What a feature server answers for these utterances, or speakers.

    Args:
        store: the store.
        slots: slots or views, all of utterances or all of speakers; or the name of a service.
        ids: utterance ids, or speaker ids, in the wanted order.
        profile: whose slots are meant.

    Returns:
        ``utterance_id``, or ``speaker_id``; for each slot of vectors a ``List(Float32)`` column under the name that was
        asked for; and the slot's further columns as ``<that name>_<column>``. Null where the online store has nothing.

    Raises:
        UnknownNameError: no such slot, view, service or profile.
        BadInputError: a sequence was asked for, a view that was never loaded, or utterances and speakers at once.
        StoreReadError: the online store does not answer.
    """
    feast = open_feast(store)
    columns = _asked(store, feast, [slots] if isinstance(slots, str) else slots, profile)
    recipes = {view: store.recipe(view) for view in columns.values()}
    key = common_key(list(recipes.values()))
    registered = {view.name: view for view in feast.list_feature_views()}
    with _told_of(store, "the online store could not be asked"):
        backend = online_backend(feast)
        for view in recipes:
            known = view in registered and registered[view].materialization_intervals
            if not known or not backend.holds(view):
                raise BadInputError(
                    f"{view} is not in the online store: run `affectstore materialize {view}` first"
                )
    features = [f"{view}:{column}" for view, recipe in recipes.items() for column in feature_columns(recipe)]
    found: dict[str, list[Any]] = {name.replace(":", "__"): [] for name in features}
    for start in range(0, len(ids), _LOOKED_UP_AT_ONCE):
        rows = [{key: name} for name in ids[start : start + _LOOKED_UP_AT_ONCE]]
        with _told_of(store, "the online store did not answer"):
            answer = feast.get_online_features(features, rows, full_feature_names=True).to_dict()
        for name, values in found.items():
            values += answer[name]
    answered = [pl.Series(key, list(ids), pl.String)]
    for asked, view in columns.items():
        modality = recipes[view].modality
        types = pl.DataFrame(pl.from_arrow(part_schema(recipes[view]).empty_table())).schema
        for column in feature_columns(recipes[view]):
            dtype = types[column]
            name = f"{asked}{column.removeprefix(modality)}"
            series = pl.Series(name, found[f"{view}__{column}"], dtype)
            # On its way into the online store pandas makes NaN of a null; the gate lets no NaN in.
            answered.append(series.fill_nan(None) if dtype == pl.Float32 else series)
    return pl.DataFrame(answered)


def erase_online(
    store: Store, utterance_ids: Sequence[str], erased: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Take values out of the online store.

    From SQLite's file, Redis and PostgreSQL they are gone; in another database they are overwritten with nulls.

    Args:
        store: the store.
        utterance_ids: utterances that are taken out of all views, those that the store does not have included.
        erased: view to all ids, of utterances or speakers, that are taken out of it.

    Raises:
        StoreWriteError: another process held SQLite's file too long.
    """
    feast = open_feast(store)
    only = {view: (key_column(store.recipe(view)), names) for view, names in (erased or {}).items()}
    with store.files.lock("materialize"), _told_of(store, "the online store could not be cleared"):
        online_backend(feast).erase(utterance_ids, only)
        _remove_former(store, feast)


def _remove_former(store: Store, feast: FeatureStore) -> None:
    """Remove the SQLite file that was used before the configuration named another database: it is erased by nobody."""
    path = store.files.local_path(ONLINE_FILE)
    if path is not None and not (is_in_sqlite(feast) and online_path(feast).resolve() == path.resolve()):
        for ending in ("", "-journal", "-wal", "-shm"):
            store.files.remove(f"{ONLINE_FILE}{ending}")


def _served_views(store: Store, slots: Sequence[str] | None, profile: str | None) -> list[str]:
    if slots is None:
        known = store.views() if profile is None else store.catalog.slots(profile).values()
        return [view for view in known if is_served(store.recipe(view))]
    views = list(dict.fromkeys(store.resolve(slot, profile) for slot in slots))
    for view in views:
        if not is_served(store.recipe(view)):
            raise BadInputError(
                f"{view} holds sequences, which are not served online: use `pull`, or history"
            )
    return views


def _asked(store: Store, feast: FeatureStore, slots: Sequence[str], profile: str | None) -> dict[str, str]:
    """Column name to view."""
    try:
        _served_views(store, slots, profile)
        return {slot: store.resolve(slot, profile) for slot in slots}
    except UnknownNameError:
        services = service_views(feast.list_feature_services())
        if len(slots) != 1 or slots[0] not in services:
            raise
        return {store.recipe(view).slot: view for view in services[slots[0]]}


@contextlib.contextmanager
def _told_of(store: Store, what: str) -> Iterator[None]:
    """Errors of a database's driver in a user's words, without passwords."""
    try:
        yield
    except AffectStoreError:
        raise
    except Exception as error:  # redis's, psycopg's, Feast's
        raise StoreReadError(f"{what}: {hide_secrets(store, error)}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Feast prints of its progress to ourselves."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
