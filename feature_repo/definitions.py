"""What the Feast commands find here: the store's entities, feature views and services.

``feast apply`` deletes every view that it does not find, with its online table. So this module raises rather than
describe a part of the store: without a root, without a store there, or with a table whose recipe can't be read.
"""

import contextlib
import os
from pathlib import Path

from feature_repo.errors import BadInputError, StoreFormatError, StoreWriteError
from feature_repo.feast_config import CONFIG, YAML_VARIABLE
from feature_repo.feast_objects import FeastObjects, feast_objects, service_views
from feature_repo.feast_store import open_feast
from feature_repo.feature_table import FEATURES
from feature_repo.part import is_part
from feature_repo.registry import note_registered
from feature_repo.store import ROOT_VARIABLE, Store, open_store


def load_definitions() -> FeastObjects:
    """Everything that Feast is told of the store at ``AFFECTSTORE_ROOT``.

    Raises:
        StoreFormatError: no root is named, it is not absolute, or it holds no store; or Feast was not pointed to the
            store's own configuration.
        BadInputError: a table's recipe is missing or unreadable.
    """
    root = os.environ.get(ROOT_VARIABLE, "")
    if root and "://" not in root and not Path(root).is_absolute():
        raise StoreFormatError(
            f"{ROOT_VARIABLE}={root} must be an absolute path: Feast changes the working folder"
        )
    store = open_store()
    _check_whole(store)
    _check_configuration(store)
    found = feast_objects(store, service_views(open_feast(store).list_feature_services()))
    with contextlib.suppress(StoreWriteError):  # whoever may only read may still look at a plan
        note_registered(store, found)
    return found


def _check_configuration(store: Store) -> None:
    # Feast does not look into the store for its configuration, and would apply to other databases.
    if store.files.exists(CONFIG) and not os.environ.get(YAML_VARIABLE):
        raise StoreFormatError(
            f"{store.root} has a configuration of its own: export {YAML_VARIABLE}={store.files.url(CONFIG)}"
        )


def _check_whole(store: Store) -> None:
    views = store.views()
    for folder in store.files.list_folders(FEATURES):
        if folder not in views and any(map(is_part, store.files.list_files(f"{FEATURES}/{folder}"))):
            raise BadInputError(
                f"{store.files.url(f'{FEATURES}/{folder}')} holds parts and no recipe.json: restore it, or run "
                "`affectstore gc` if a `drop` was interrupted"
            )


_found = load_definitions()
# Feast looks at this module's global variables.
globals().update({f"entity_{entity.name}": entity for entity in _found.entities})
globals().update({f"view_{name}": view for name, view in _found.views.items()})
globals().update({f"service_{name}": service for name, service in _found.services.items()})
