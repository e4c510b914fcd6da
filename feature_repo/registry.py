"""Registering a store in Feast: safe among several writers, and verified."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feature_repo.errors import StoreWriteError
from feature_repo.feast_config import FEAST, hide_secrets
from feature_repo.feast_objects import SERVICE_TAG, VIEW_TAG, FeastObjects, feast_objects, service_views
from feature_repo.feast_store import open_feast
from feature_repo.loaded_parts import remove_all_but
from feature_repo.serving.online_backend import online_backend

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from feature_repo.store import Store

_NOTE = f"{FEAST}/registered.json"
_TRIES = 5
_PAUSE_S = 0.5


@dataclass(frozen=True)
class RegisterReport:
    """What Feast knows now, and what this call changed.

    Attributes:
        views: names of all feature views.
        services: service name to its views.
        added: names of views and services that are new or have changed.
        deleted: names of views and services that are gone, since their tables are.
    """

    views: tuple[str, ...]
    services: Mapping[str, tuple[str, ...]]
    added: tuple[str, ...]
    deleted: tuple[str, ...]


def register(store: Store) -> RegisterReport:
    """Make Feast know every view of the store and every service that its profiles call for.

    Views whose table is gone are deleted, with their online values and the services that read them; what others put
    into the registry stays. Several processes may register at once: on a local disk they take turns, and wherever the
    registry is, what was written is read back, and written again when another process has undone it.

    Raises:
        BadInputError: a recipe is unreadable; nothing is changed then.
        StoreWriteError: the registry did not take the changes.
    """
    feast = open_feast(store)
    added: set[str] = set()
    deleted: set[str] = set()
    problem = ""
    with store.files.lock("register"):
        for attempt in range(1, _TRIES + 1):
            wanted = feast_objects(store, service_views(feast.list_feature_services()))
            difference = _difference(feast, wanted)
            if not difference:
                note_registered(store, wanted)
                remove_all_but(store, wanted.views)
                if deleted:
                    online_backend(feast).drop_but([view.name for view in feast.list_feature_views()])
                services = service_views(wanted.services.values())
                return RegisterReport(
                    tuple(sorted(wanted.views)), services, tuple(sorted(added)), tuple(sorted(deleted))
                )
            try:
                _apply(feast, wanted, difference)
            except Exception as error:  # SQLAlchemy's and Feast's many, most of them of a busy database
                problem = f": {hide_secrets(store, error)}"
                time.sleep(_PAUSE_S * attempt)
            added.update(difference.changed)
            deleted.update(difference.gone_views, difference.gone_services)
    raise StoreWriteError(
        f"the Feast registry of {store.root} did not keep {', '.join(sorted(added | deleted))}{problem}"
    )


def open_registered(store: Store, views: Iterable[str]) -> FeatureStore:
    """The Feast feature store, after registering when it does not know one of these views."""
    feast = open_feast(store)
    if not set(views) <= {view.name for view in feast.list_feature_views()}:
        register(store)
    return feast


@dataclass(frozen=True)
class _Difference:
    changed: frozenset[str]
    gone_views: frozenset[str]
    gone_services: frozenset[str]
    lacks_entities: bool

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone_views or self.gone_services or self.lacks_entities)


def _difference(feast: FeatureStore, wanted: FeastObjects) -> _Difference:
    views = {view.name: view for view in feast.list_feature_views()}
    registered = feast.list_feature_services()
    services = service_views(registered)
    changed = {
        name for name, view in wanted.views.items() if name not in views or _told(view) != _told(views[name])
    }
    changed |= {
        name
        for name, chosen in service_views(wanted.services.values()).items()
        if services.get(name) != chosen
    }
    gone_views = {name for name, view in views.items() if VIEW_TAG in view.tags} - wanted.views.keys()
    ours = {service.name for service in registered if SERVICE_TAG in service.tags}
    reading = {name for name, chosen in services.items() if gone_views.intersection(chosen)}
    entities = {entity.name for entity in feast.list_entities()}
    return _Difference(
        frozenset(changed),
        frozenset(gone_views),
        frozenset((ours | reading) - wanted.services.keys()),
        not {entity.name for entity in wanted.entities} <= entities,
    )


def _told(view: FeatureView) -> tuple[object, ...]:
    # Not the view's own comparison: that one minds when it was loaded into the online store.
    return (
        dict(view.tags),
        view.description,
        view.online,
        view.ttl,
        view.batch_source and getattr(view.batch_source, "path", None),
        sorted((field.name, str(field.dtype)) for field in view.schema),
    )


def _apply(feast: FeatureStore, wanted: FeastObjects, difference: _Difference) -> None:
    objects: list[Any] = [*wanted.entities] if difference.lacks_entities else []
    objects += [view for name, view in wanted.views.items() if name in difference.changed]
    objects += [service for name, service in wanted.services.items() if name in difference.changed]
    # Services first: a moment at which a service reads a view that is gone would be an error to whoever asks then.
    for name in difference.gone_services:
        feast.delete_feature_service(name)
    gone = [view for view in feast.list_feature_views() if view.name in difference.gone_views]
    sources = [source for source in feast.list_data_sources() if source.name in difference.gone_views]
    feast.apply(objects, objects_to_delete=[*gone, *sources], partial=False)


def note_registered(store: Store, wanted: FeastObjects) -> None:
    """Tell in the store that Feast knows it: what is dropped or forgotten here must leave Feast as well.

    The registry itself may be a database elsewhere.
    """
    noted = json.dumps({"views": sorted(wanted.views)}).encode()
    if not store.files.exists(_NOTE) or store.files.read(_NOTE) != noted:
        store.files.write(_NOTE, noted)
