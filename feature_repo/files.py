"""The one file layer: every byte under a store's root is listed, read, written and removed through it.

A write becomes visible whole or not at all. On a local disk it goes to ``tmp/``, is synced, moved into place with
``os.replace``, and the folder is synced; on an object store it is one completed upload. A hook sees every primitive
operation before and after it happens, so that tests can break each of them.
"""

import contextlib
import functools
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar, cast

from feature_repo.errors import StoreReadError, StoreWriteError
from feature_repo.locks import RemoteLock
from feature_repo.object_store import (
    abort_uploads,
    create_object,
    is_private,
    open_filesystem,
    open_object,
)
from feature_repo.remote_errors import is_failure, lacks_bucket, reason_of

Operation = Literal[
    "list",
    "read",
    "stat",
    "make_folder",
    "stage",
    "sync",
    "replace",
    "sync_folder",
    "upload",
    "remove",
    "lock",
]
Moment = Literal["before", "after"]
Hook = Callable[[Moment, Operation, str], None]

TEMPORARY = "tmp"
_Result = TypeVar("_Result")
LOCKS = f"{TEMPORARY}/locks"  # where an object store's are


class FileLayer:
    """Files below one root, a local folder or any fsspec URL; paths are relative and use ``/``.

    Args:
        root: absolute folder or fsspec URL.
        hook: called as ``hook(moment, operation, path)`` around every primitive operation; what it raises is raised.

    Raises:
        BadInputError: the URL holds credentials, or nothing reads its kind.
    """

    def __init__(self, root: str, hook: Hook | None = None) -> None:
        self.root = root
        self.hook = hook
        self._fs, self._base = open_filesystem(root)
        protocols = (self._fs.protocol,) if isinstance(self._fs.protocol, str) else self._fs.protocol
        self.is_local = "file" in protocols

    def read(self, path: str) -> bytes:
        """The whole file.

        Raises:
            FileNotFoundError: it does not exist.
            StoreReadError: disk, network or permission stand in the way.
        """
        with self._read_told(path):
            return self._do("read", path, lambda: cast("bytes", self._fs.cat_file(self._full(path))))

    def open(self, path: str, size: int | None = None) -> BinaryIO:
        """The file opened for random reads; the caller closes it.

        Args:
            path: the file.
            size: its bytes, where a listing told them: from an object store a small one comes in one request.

        Raises:
            FileNotFoundError: it does not exist.
            StoreReadError: disk, network or permission stand in the way.
        """
        with self._read_told(path):
            if self.is_local:
                return self._do("read", path, lambda: cast(BinaryIO, self._fs.open(self._full(path), "rb")))
            return self._do(
                "read", path, lambda: cast(BinaryIO, open_object(self._fs, self._full(path), size))
            )

    def write(self, path: str, data: bytes) -> None:
        """Write the file whole, replacing one that is there.

        Raises:
            StoreWriteError: the disk is full or read-only, or the upload failed; the old file is as it was.
        """
        try:
            with self._told(path):
                if self.is_local:
                    self._commit_local(path, data)
                else:
                    self._do("upload", path, lambda: self._fs.pipe_file(self._full(path), data))
        except FileNotFoundError as error:
            raise StoreWriteError(
                f"cannot write {self.url(path)}: its folder was removed meanwhile"
            ) from error

    def create(self, path: str, data: bytes) -> None:
        """Write a file whose name is new.

        Raises:
            StoreWriteError: the name is taken, or the write failed.
        """
        taken = StoreWriteError(f"{self.url(path)} exists already and is never overwritten")
        if self.is_local:
            if self.exists(path):
                raise taken
            self.write(path, data)
            return
        with self._told(path):
            if not self._do("upload", path, lambda: create_object(self._fs, self._full(path), data)):
                raise taken

    def list_files(self, folder: str) -> list[str]:
        """Sorted names of the files directly in the folder; empty when there is no such folder."""
        return _names(self._entries(folder, "file"))

    def list_folders(self, folder: str) -> list[str]:
        """Sorted names of the folders directly in the folder; empty when there is no such folder."""
        return _names(self._entries(folder, "directory"))

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there now; nothing is cached."""
        self._fs.invalidate_cache()
        with self._read_told(path):
            return self._do("stat", path, lambda: bool(self._fs.exists(self._full(path))))

    def size(self, path: str) -> int:
        """Bytes of the file.

        Raises:
            FileNotFoundError: it does not exist.
        """
        with self._read_told(path):
            return self._do("stat", path, lambda: int(self._fs.size(self._full(path))))

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of each file directly in the folder, by name, from one listing; empty when there is no such folder."""
        return {
            str(entry["name"]).rsplit("/", 1)[-1]: int(entry["size"])
            for entry in self._entries(folder, "file")
        }

    def modified(self, path: str) -> float:
        """When the file was last written, in seconds since 1970.

        Raises:
            FileNotFoundError: it does not exist.
        """
        with self._read_told(path):
            return self._do("stat", path, lambda: float(self._fs.modified(self._full(path)).timestamp()))

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is fine.

        Raises:
            StoreWriteError: it can't be removed.
        """
        with self._told(path), contextlib.suppress(FileNotFoundError):
            self._do("remove", path, lambda: self._fs.rm_file(self._full(path)))

    def remove_folder(self, folder: str) -> None:
        """Remove a folder and the files directly in it; a folder that is gone already is fine.

        Raises:
            StoreWriteError: it can't be removed.
        """
        for name in self.list_files(folder):
            self.remove(f"{folder}/{name}")
        if self.is_local:
            with self._told(folder), contextlib.suppress(FileNotFoundError):
                self._do("remove", folder, lambda: os.rmdir(self._full(folder)))

    def move(self, source: str, target: str) -> None:
        """Move a file within the root: atomic on a local disk, a copy and a removal on an object store.

        Raises:
            StoreWriteError: it can't be moved.
        """
        with self._told(target):
            if self.is_local:
                self._make_folder(target)
                self._do("replace", target, lambda: os.replace(self._full(source), self._full(target)))
                self._sync_folder(target)
            else:
                self.write(target, self.read(source))
                self.remove(source)

    def local_path(self, path: str) -> Path | None:
        """The file on the local disk, for memory mapping; None on an object store."""
        return Path(self._full(path)) if self.is_local else None

    def url(self, path: str) -> str:
        """Absolute path, or URL on an object store, as other programs take it."""
        return self._full(path) if self.is_local else cast(str, self._fs.unstrip_protocol(self._full(path)))

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the store's lock of that name, between processes and, on an object store, between machines.

        Raises:
            StoreWriteError: the lock can't be taken, or was lost while it was held.
        """
        if self.is_local:
            with self._local_lock(name):
                yield
            return
        path = f"{LOCKS}/{name}"
        held = RemoteLock(self._fs, self._full(path), within_process=is_private(self._fs))
        try:
            with self._told(path):
                self._do("lock", path, held.acquire)
            yield
            held.confirm()
        finally:
            held.release()

    @contextlib.contextmanager
    def _local_lock(self, name: str) -> Iterator[None]:
        from filelock import FileLock

        path = f"{TEMPORARY}/{name}.lock"
        held = FileLock(self._full(path))
        try:
            with self._told(path):
                self._make_folder(path)
                self._do("lock", path, held.acquire)
            yield
        finally:
            held.release()  # nothing happens when it was never acquired

    def abort_uploads(self, grace_s: float) -> int:
        """Free what killed uploads hold in the store of a server, invisibly, longer than that; returns how many."""
        return 0 if self.is_local else abort_uploads(self._fs, self._base, grace_s)

    def _commit_local(self, path: str, data: bytes) -> None:
        staged = f"{TEMPORARY}/{uuid.uuid4().hex}"
        self._make_folder(staged)
        self._make_folder(path)
        try:
            self._do("stage", path, lambda: Path(self._full(staged)).write_bytes(data))
            self._do("sync", path, lambda: _sync(self._full(staged)))
            self._do("replace", path, lambda: os.replace(self._full(staged), self._full(path)))
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(self._full(staged))
            raise
        self._sync_folder(path)

    def _make_folder(self, path: str) -> None:
        folder = Path(self._full(path)).parent
        if folder.is_dir():
            return
        existing = next(parent for parent in folder.parents if parent.is_dir())
        self._do("make_folder", path, lambda: folder.mkdir(parents=True, exist_ok=True))
        # A new folder's own name outlives a loss of power only when the folder that holds it is synced.
        for parent in folder.parents:
            self._do("sync_folder", path, functools.partial(_sync, parent))
            if parent == existing:
                break

    def _sync_folder(self, path: str) -> None:
        self._do("sync_folder", path, lambda: _sync(Path(self._full(path)).parent))

    def _entries(self, folder: str, kind: str) -> list[dict[str, Any]]:
        def entries() -> list[dict[str, Any]]:
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._full(folder), detail=True)
            except FileNotFoundError as error:
                if lacks_bucket(error):
                    raise
                return []
            whole = self._full(folder)
            # An object store lists a folder's own marker among its entries.
            return [e for e in found if e["type"] == kind and e["name"].rstrip("/") != whole]

        with self._read_told(folder):
            return self._do("list", folder, entries)

    def _full(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base

    def _do(self, operation: Operation, path: str, action: Callable[[], _Result]) -> _Result:
        if self.hook is None:
            return action()
        self.hook("before", operation, path)
        result = action()
        self.hook("after", operation, path)
        return result

    @contextlib.contextmanager
    def _read_told(self, path: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            absent = isinstance(error, FileNotFoundError | NotADirectoryError) and not lacks_bucket(error)
            if absent or not is_failure(error):
                raise
            raise StoreReadError(f"cannot read {self.url(path)}: {self._reason(error)}") from error

    @contextlib.contextmanager
    def _told(self, path: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            absent = isinstance(error, FileNotFoundError) and not lacks_bucket(error)
            if absent or not is_failure(error):
                raise
            raise StoreWriteError(
                f"cannot write {self.url(path)}: {self._reason(error)}; what was committed before stays readable"
            ) from error

    def _reason(self, error: Exception) -> str:
        if self.is_local:
            return getattr(error, "strerror", None) or str(error)
        return reason_of(error, self._fs)


def _names(entries: list[dict[str, Any]]) -> list[str]:
    return sorted(str(entry["name"]).rstrip("/").rsplit("/", 1)[-1] for entry in entries)


def _sync(path: str | Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
