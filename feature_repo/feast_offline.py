"""Feast's DuckDB offline store, with parts on an object store read through fsspec, as the rest of the store reads them.

DuckDB reads object stores by an extension that it downloads, with settings and credentials of its own. It takes an
fsspec file system in its stead: one way of naming the server and its credentials, and nothing downloaded.
Configurations name it: ``offline_store: {type: feature_repo.feast_offline.PartsOfflineStore}``.
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from feast import FileSource, RepoConfig
from feast.infra.offline_stores import ibis as feast_ibis
from feast.infra.offline_stores.duckdb import (
    DuckDBOfflineStore,
    DuckDBOfflineStoreConfig,
    _read_data_source,
    _write_data_source,
)
from feast.infra.offline_stores.offline_store import RetrievalJob

from feature_repo.errors import BadInputError, StoreReadError
from feature_repo.object_store import open_filesystem
from feature_repo.part import is_part
from feature_repo.remote_errors import is_failure, reason_of
from feature_repo.serving.plain_commands import check_plain_command

if TYPE_CHECKING:
    import duckdb
    import fsspec
    from feast.data_source import DataSource
    from ibis.expr.types import Table

_registering = threading.Lock()
_registered: dict[str, dict[str, str]] = {}  # kind of file system: the environment that it was opened in


class PartsOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """The settings of DuckDB's offline store."""

    type: str = "feature_repo.feast_offline.PartsOfflineStore"


class PartsOfflineStore(DuckDBOfflineStore):
    """DuckDB over feature tables on a local disk or an object store.

    Raises:
        click.ClickException: plain ``feast serve_offline`` was told to open it to others without protection.
    """

    def __init__(self) -> None:
        super().__init__()
        try:
            check_plain_command("serve_offline")
        except BadInputError as error:
            raise click.ClickException(str(error)) from error

    @staticmethod
    def pull_latest_from_table_or_query(*arguments: Any, **options: Any) -> RetrievalJob:
        """The newest row of each entity; arguments as Feast's."""
        wanted = DuckDBOfflineStore.pull_latest_from_table_or_query
        return _read_by(feast_ibis.pull_latest_from_table_or_query_ibis, wanted, arguments, options)

    @staticmethod
    def get_historical_features(*arguments: Any, **options: Any) -> RetrievalJob:
        """The rows as of each entity's time; arguments as Feast's."""
        wanted = DuckDBOfflineStore.get_historical_features
        return _read_by(feast_ibis.get_historical_features_ibis, wanted, arguments, options)

    @staticmethod
    def pull_all_from_table_or_query(*arguments: Any, **options: Any) -> RetrievalJob:
        """All rows of a time; arguments as Feast's."""
        wanted = DuckDBOfflineStore.pull_all_from_table_or_query
        return _read_by(feast_ibis.pull_all_from_table_or_query_ibis, wanted, arguments, options)


def _read_by(
    read: Callable[..., RetrievalJob],
    like: Callable[..., RetrievalJob],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> RetrievalJob:
    given = inspect.signature(like).bind(*arguments, **options)
    given.apply_defaults()
    config: RepoConfig = given.arguments["config"]
    return read(
        **given.arguments,
        data_source_reader=_table,
        data_source_writer=_write_data_source,
        staging_location=config.offline_store.staging_location,
        staging_location_endpoint_override=config.offline_store.staging_location_endpoint_override,
    )


def _table(source: DataSource, repo_path: str) -> Table:
    """The rows of a source; of a folder on an object store, those of the parts that it lists now."""
    if not isinstance(source, FileSource) or "://" not in source.path or source.path.startswith("file://"):
        return _read_data_source(source, repo_path)
    import ibis

    fs, folder = open_filesystem(source.path)
    try:
        names = [found for found in fs.ls(folder, detail=False) if is_part(found.rpartition("/")[2])]
    except Exception as error:
        if not is_failure(error):
            raise
        raise StoreReadError(f"cannot read {source.path}: {reason_of(error, fs)}") from error
    _register(ibis.get_backend().con, fs)
    # By its other name DuckDB's dialect layer does not ask for the extension.
    urls = [fs.unstrip_protocol(name).replace("s3://", "s3a://", 1) for name in sorted(names)]
    return ibis.read_parquet(urls)


def _register(connection: duckdb.DuckDBPyConnection, fs: fsspec.AbstractFileSystem) -> None:
    """Give the connection this file system, if it has none of its kind that was opened with these credentials."""
    kind = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    opened_in = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "FSSPEC_"))}
    with _registering:
        known = connection.list_filesystems()
        if kind in known and _registered.get(kind) == opened_in:
            return
        if kind in known:
            connection.unregister_filesystem(kind)
        connection.register_filesystem(fs)
        _registered[kind] = opened_in
