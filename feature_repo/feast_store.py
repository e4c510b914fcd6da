"""A store's Feast side, opened from Python with the same configuration that the Feast commands read."""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError, StoreFormatError

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_repo.store import Store

FEAST = "feast"  # folder of the registry and the online store, below the root
YAML_VARIABLE = "FEAST_FS_YAML_FILE_PATH"  # Feast's own name for it
_YAML = Path(__file__).parent / "feature_store.yaml"


def open_feast(store: Store) -> FeatureStore:
    """The Feast feature store of this store; its registry's tables are made when they are not there.

    Raises:
        StoreFormatError: the store is on an object store and ``FEAST_FS_YAML_FILE_PATH`` names no configuration.
        BadInputError: the configuration is unreadable, or the registry that it names can't be opened.
    """
    from feature_repo.feast_import import import_feast

    import_feast()
    from feast import FeatureStore, RepoConfig

    raw = _configuration(store)
    try:
        config = RepoConfig(**raw)
    except ValueError as error:
        raise BadInputError(f"{_yaml_path()} is no Feast configuration: {error}") from error
    config.repo_path = _YAML.parent
    _make_folder(store)
    # Two processes that make the registry's tables at once would both find them missing.
    with store.files.lock("feast-schema"):
        try:
            feast = FeatureStore(config=config)
            feast.registry.list_projects()  # opened when first asked for
        except (
            Exception
        ) as error:  # SQLAlchemy's, a database driver's, or Feast's over a setting it can't use
            raise BadInputError(
                f"the Feast registry that {_yaml_path()} names can't be opened: {error}"
            ) from error
    return feast


def is_in_sqlite(feast: FeatureStore) -> bool:
    """Whether the online store is an SQLite file."""
    return bool(feast.config.online_store.type == "sqlite")


def online_path(feast: FeatureStore) -> Path:
    """The online store's SQLite file."""
    return Path(feast.config.repo_path or ".", feast.config.online_store.path)


def _configuration(store: Store) -> dict[str, object]:
    import yaml

    path = _yaml_path()
    if path == _YAML and not store.files.is_local:
        raise StoreFormatError(
            f"{store.root} is not on a local disk, and Feast's registry and online store can't be SQLite files there: "
            f"copy {_YAML}, name shared databases in it, and set {YAML_VARIABLE} to the copy"
        )
    # Feast expands the environment's variables; the root may have been given by other means.
    values = {**os.environ, "AFFECTSTORE_ROOT": store.files.url("")}
    try:
        raw = yaml.safe_load(string.Template(path.read_text(encoding="utf-8")).safe_substitute(values))
    except (OSError, yaml.YAMLError) as error:
        raise BadInputError(f"Feast's configuration {path} is unreadable: {error}") from error
    if not isinstance(raw, dict):
        raise BadInputError(f"Feast's configuration {path} is not a mapping of settings")
    return raw


def _yaml_path() -> Path:
    return Path(os.environ.get(YAML_VARIABLE) or _YAML)


def _make_folder(store: Store) -> None:
    # SQLite makes its files, not their folder.
    folder = store.files.local_path(FEAST)
    if folder is not None:
        folder.mkdir(exist_ok=True)
