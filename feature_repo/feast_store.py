"""A store's Feast side, opened from Python with the same configuration that the Feast commands read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError
from feature_repo.feast_config import FEAST, PACKAGED, configuration, configuration_place, hide_secrets

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_repo.store import Store


def open_feast(store: Store) -> FeatureStore:
    """The Feast feature store of this store; its registry's tables are made when they are not there.

    Raises:
        StoreFormatError: the store is on an object store and no configuration names its databases.
        BadInputError: the configuration is unreadable, or the registry that it names can't be opened.
    """
    from feature_repo.feast_import import import_feast

    import_feast()
    from feast import FeatureStore, RepoConfig

    raw = configuration(store)
    place = configuration_place(store)
    try:
        config = RepoConfig(**raw)
    except ValueError as error:
        told = hide_secrets(store, _without_values(error))
        raise BadInputError(f"{place} is no Feast configuration: {told}") from None
    config.repo_path = PACKAGED.parent
    _make_folder(store)
    # Two processes that make the registry's tables at once would both find them missing.
    with store.files.lock("feast-schema"):
        try:
            feast = FeatureStore(config=config)
            feast.registry.list_projects()  # opened when first asked for
        except (
            Exception
        ) as error:  # SQLAlchemy's, a database driver's, or Feast's over a setting it can't use
            told = hide_secrets(store, error)
            raise BadInputError(f"the Feast registry that {place} names can't be opened: {told}") from error
    return feast


def is_in_sqlite(feast: FeatureStore) -> bool:
    """Whether the online store is an SQLite file."""
    return bool(feast.config.online_store.type == "sqlite")


def online_path(feast: FeatureStore) -> Path:
    """The online store's SQLite file."""
    return Path(feast.config.repo_path or ".", feast.config.online_store.path)


def _without_values(error: ValueError) -> str:
    """What is wrong with which setting. Pydantic's own message tells values, whole or in part: passwords too."""
    from pydantic import ValidationError  # comes with feast

    if not isinstance(error, ValidationError):
        return str(error)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found)


def _make_folder(store: Store) -> None:
    # SQLite makes its files, not their folder.
    folder = store.files.local_path(FEAST)
    if folder is not None:
        folder.mkdir(exist_ok=True)
