"""Digests of media files, hashed only when size or modification time changed."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from feature_repo.errors import StoreReadError
from feature_repo.object_store import refuse_secrets
from feature_repo.remote_errors import is_failure, reason_of

_CHUNK = 4 * 2**20


@dataclass(frozen=True)
class MediaFile:
    """What is known of a media file; every field but the URI is None when it can't be read."""

    media_uri: str
    media_digest: str | None = None
    media_size: int | None = None
    media_mtime_ns: int | None = None


def with_media(
    rows: pl.DataFrame, known: pl.DataFrame, on_file: Callable[[int], None] | None = None
) -> pl.DataFrame:
    """The manifest rows with ``media_digest``, ``media_size`` and ``media_mtime_ns`` of every media URI.

    Args:
        rows: manifest rows; several may share a file.
        known: the manifest before: a file of the same URI, size and time keeps its digest and is not read.
        on_file: told 1 after each file.
    """
    uris = rows["media_uri"].drop_nulls().unique().sort().to_list()
    before = {
        uri: MediaFile(uri, digest, size, mtime)
        for uri, digest, size, mtime in known.filter(pl.col("media_digest").is_not_null())
        .select("media_uri", "media_digest", "media_size", "media_mtime_ns")
        .iter_rows()
    }

    def look(uri: str) -> MediaFile:
        found = _inspect(uri, before.get(uri))
        if on_file:
            on_file(1)
        return found

    # Hashing releases the interpreter lock and reading waits for the disk.
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(look, uris))
    columns = ("media_digest", "media_size", "media_mtime_ns")
    schema = {
        "media_uri": pl.String,
        "media_digest": pl.String,
        "media_size": pl.Int64,
        "media_mtime_ns": pl.Int64,
    }
    facts = pl.DataFrame(
        [(f.media_uri, f.media_digest, f.media_size, f.media_mtime_ns) for f in found], schema, orient="row"
    )
    joined = rows.drop(*columns).join(facts, on="media_uri", how="left", maintain_order="left")
    return joined.select(rows.columns)


def _inspect(uri: str, before: MediaFile | None) -> MediaFile:
    try:
        if "://" in uri:
            return _inspect_remote(uri, before)
        state = Path(uri).stat()
        if before and (before.media_size, before.media_mtime_ns) == (state.st_size, state.st_mtime_ns):
            return before
        with Path(uri).open("rb") as source:
            return MediaFile(uri, _digest(source.read), state.st_size, state.st_mtime_ns)
    except (OSError, ValueError, ImportError):
        # No such file, no such protocol, a name that no file can have: ingest counts it as missing, extraction files
        # the fault.
        return MediaFile(uri)


def _inspect_remote(uri: str, before: MediaFile | None) -> MediaFile:
    from fsspec.core import url_to_fs

    refuse_secrets(uri)
    files, path = url_to_fs(uri)
    try:
        size, mtime = int(files.size(path)), int(files.modified(path).timestamp() * 1e9)
        if before and (before.media_size, before.media_mtime_ns) == (size, mtime):
            return before
        with files.open(path, "rb") as source:
            return MediaFile(uri, _digest(source.read), size, mtime)
    except Exception as error:
        # Not this file but all of them: no credentials, or a server that does not answer.
        if isinstance(error, OSError | ValueError) or not is_failure(error):
            raise
        raise StoreReadError(f"cannot read {uri}: {reason_of(error, files)}") from error


def _digest(read: Callable[[int], bytes]) -> str:
    state = hashlib.sha256()
    while chunk := read(_CHUNK):
        state.update(chunk)
    return state.hexdigest()
