"""The mirror: a local, disposable copy of the parts' values in a form that is read without parsing (DESIGN section 5).

``<cache>/mirror/<view>/<part>/`` is one part's segment. Parts never change, so neither do segments: a new part adds
one, and a removed part's is pruned. Several processes share the folder; whoever comes first makes a segment.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import time
import uuid
import weakref
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.errors import StoreWriteError
from feature_repo.feature_table import FeatureTable
from feature_repo.segment import Segment, open_segment, segment_norms, write_segment

if TYPE_CHECKING:
    from feature_repo.store import Store

MIRROR = "mirror"
CHUNK_BYTES = 16 * 2**20  # converted at once; Arrow's binary arrays end at 2 GiB, and a part may be larger
_ABANDONED_S = 3600.0  # a segment that was begun this long ago belongs to a process that died
_BUILDING = ".building-"


class Mirror:
    """The segments of one store on this machine. Deleting the folder loses nothing.

    Args:
        cache: the store's cache folder.
        chunk_bytes: about how much of a part is held in memory while its segment is made.
    """

    def __init__(self, cache: Path, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.folder = cache / MIRROR
        self.chunk_bytes = chunk_bytes
        self._open: dict[tuple[str, str], Segment] = {}
        self._norms: dict[tuple[str, str], npt.NDArray[np.float64]] = {}

    def view_folder(self, view: str) -> Path:
        """The folder of everything that the mirror keeps of a view, made when it is not there.

        Raises:
            StoreWriteError: the cache can't be written.
        """
        folder = self.folder / view
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def segment(self, table: FeatureTable, part: str) -> Segment:
        """The part's segment, made when there is none.

        Raises:
            FileNotFoundError: there is neither a segment nor such a part; list the table again.
            StoreWriteError: the cache can't be written.
        """
        key = (table.view, part)
        if key not in self._open:
            folder = self.view_folder(table.view) / part.removesuffix(".parquet")
            found = open_segment(folder, table.recipe)
            self._open[key] = found if found is not None else self._make(folder, table, part)
        return self._open[key]

    def norms(self, table: FeatureTable, part: str) -> npt.NDArray[np.float64]:
        """Euclidean norms ``[rows]`` of a pooled part's vectors, kept beside its segment once they were computed.

        Raises:
            FileNotFoundError: there is neither a segment nor such a part; list the table again.
            StoreWriteError: the cache can't be written.
        """
        key = (table.view, part)
        if key not in self._norms:
            segment = self.segment(table, part)
            folder = self.folder / table.view / part.removesuffix(".parquet")
            self._norms[key] = segment_norms(folder, segment)
        return self._norms[key]

    def prune(self, view: str, parts: Collection[str]) -> list[str]:
        """Remove the segments of other parts than these; returns their names. Open ones stay readable."""
        kept = {name.removesuffix(".parquet") for name in parts}
        for opened in [key for key in self._open if key[0] == view and key[1] not in parts]:
            del self._open[opened]
            self._norms.pop(opened, None)
        gone = []
        with contextlib.suppress(FileNotFoundError):
            for entry in sorted((self.folder / view).iterdir()):
                if entry.name.startswith(_BUILDING):
                    with contextlib.suppress(FileNotFoundError):
                        if time.time() - entry.stat().st_mtime > _ABANDONED_S:
                            shutil.rmtree(entry, ignore_errors=True)
                elif entry.name.startswith("part-") and entry.name not in kept:
                    shutil.rmtree(entry, ignore_errors=True)
                    gone.append(entry.name)
        return gone

    def _make(self, folder: Path, table: FeatureTable, part: str) -> Segment:
        building = folder.with_name(f"{_BUILDING}{uuid.uuid4().hex}")
        try:
            with _told(folder):
                building.mkdir(parents=True)
                write_segment(building, table.recipe, self._batches(table, part))
            made = open_segment(building, table.recipe)
            if made is None:
                raise StoreWriteError(
                    f"{building} reads back otherwise than it was written: is the cache's disk sound?"
                )
            _publish(building, folder, table)
            return made
        finally:
            shutil.rmtree(building, ignore_errors=True)
            # Arrow keeps what it decoded with for a next time that does not come.
            pa.default_memory_pool().release_unused()

    def _batches(self, table: FeatureTable, part: str) -> Iterator[pa.RecordBatch]:
        slot = table.recipe.slot
        try:
            with table.files.open(table.part_path(part)) as source:
                # Buffered, so that a row group is read page by page and not whole.
                file = pq.ParquetFile(source, page_checksum_verification=True, buffer_size=2**20)
                size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups))
                rows = max(1, self.chunk_bytes * file.metadata.num_rows // max(size, 1))
                yield from file.iter_batches(rows, columns=[slot], use_threads=False)
        except FileNotFoundError:
            raise
        except (pa.ArrowInvalid, OSError):
            table.read_part(part, [slot])  # takes a damaged part into quarantine and tells of it
            raise


def mirror_of(store: Store) -> Mirror:
    """The store's mirror, one per open store, so that what is mapped stays mapped."""
    if store not in _mirrors:
        _mirrors[store] = Mirror(store.cache)
    return _mirrors[store]


_mirrors: weakref.WeakKeyDictionary[Store, Mirror] = weakref.WeakKeyDictionary()


def _publish(building: Path, folder: Path, table: FeatureTable) -> None:
    for _ in range(3):
        try:
            building.rename(folder)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise StoreWriteError(f"cannot write the cache {folder}: {error.strerror}") from error
        if open_segment(folder, table.recipe) is not None:
            return  # another process was first
        # Torn: out of the way by a rename, so that nobody meets a half-deleted one.
        torn = folder.with_name(f"{_BUILDING}{uuid.uuid4().hex}")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(torn)
        shutil.rmtree(torn, ignore_errors=True)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreWriteError(
            f"cannot write the cache {path}: {error.strerror or error}; AFFECTSTORE_CACHE names another folder"
        ) from error
