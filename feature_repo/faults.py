"""The fault ledger: why an utterance has no features, filed under utterance, recipe and content key."""

import io
import json
import time
import uuid
import warnings
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl

from feature_repo.errors import StoreWriteError
from feature_repo.feature_table import QUARANTINE, QuarantineWarning
from feature_repo.files import FileLayer
from feature_repo.outcome import Fault, storable

FAULTS = "faults"
_CANCELLED = ""  # stage of an entry that takes back the earlier ones
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "utterance_id": pl.String,
    "content_key": pl.String,
    "stage": pl.String,
    "error": pl.String,
    "message": pl.String,
    "facts": pl.String,
    "attempts": pl.Int32,
    "time": pl.Datetime("us", "UTC"),
}


class FaultLedger:
    """Append-only files below ``faults/<view>/``; per utterance and content key the newest entry counts.

    A later row of the feature table cancels a fault, and so does a changed content: whoever asks compares the
    entry's content key with the wanted one.
    """

    def __init__(self, files: FileLayer) -> None:
        self.files = files
        self._read: dict[str, pl.DataFrame] = {}

    def views(self) -> list[str]:
        """Names of the views that have a ledger."""
        return self.files.list_folders(FAULTS)

    def entries(self, view: str) -> pl.DataFrame:
        """The newest entry per utterance and content key: the ledger's columns, ``facts`` as JSON text."""
        folder = f"{FAULTS}/{view}"
        frames = []
        for name in self.files.list_files(folder):
            path = f"{folder}/{name}"
            if path not in self._read:
                try:
                    data = self.files.read(path)
                except FileNotFoundError:
                    continue  # merged or forgotten since the listing
                try:
                    self._read[path] = pl.read_parquet(io.BytesIO(data)).select(list(_SCHEMA))
                except pl.exceptions.PolarsError as error:
                    self._set_aside(view, name, error)
                    continue
            frames.append(self._read[path])
        if not frames:
            return pl.DataFrame(schema=_SCHEMA)
        newest = pl.concat(frames).sort("time", descending=True)
        newest = newest.unique(["utterance_id", "content_key"], keep="first", maintain_order=True)
        return newest.filter(pl.col("stage") != _CANCELLED)

    def add(self, view: str, faults: Mapping[tuple[str, str], Fault]) -> None:
        """File the faults, each under (utterance_id, content_key), counting earlier attempts.

        Raises:
            StoreWriteError: the write failed.
        """
        if not faults:
            return
        earlier = {
            (row[0], row[1]): row[2]
            for row in self.entries(view).select("utterance_id", "content_key", "attempts").iter_rows()
        }
        now = self._next_us(view)
        rows = [
            (
                *key,
                storable(fault.stage),
                storable(fault.error),
                storable(fault.message),
                json.dumps(dict(fault.facts), sort_keys=True, default=_plain),
                earlier.get(key, 0) + 1,
                now,
            )
            for key, fault in faults.items()
        ]
        self._write(view, pl.DataFrame(rows, schema=_SCHEMA, orient="row"), now)

    def cancel(self, view: str, keys: Collection[tuple[str, str]]) -> None:
        """Say that these (utterance_id, content_key) succeeded at another attempt.

        The row cancels the fault already; this does so too should the row ever be lost to damage.

        Raises:
            StoreWriteError: the write failed.
        """
        if keys:
            now = self._next_us(view)
            rows = [(*key, _CANCELLED, "", "", "{}", 0, now) for key in keys]
            self._write(view, pl.DataFrame(rows, schema=_SCHEMA, orient="row"), now)

    def merge(self, view: str) -> None:
        """Replace the view's files by one that holds the newest entries."""
        folder = f"{FAULTS}/{view}"
        with self.files.lock(f"faults-{view}"):
            names = self.files.list_files(folder)
            if len(names) > 1:
                self._write(view, self.entries(view), self._next_us(view))
                for name in names:
                    self.files.remove(f"{folder}/{name}")

    def erase(self, view: str, utterance_ids: Sequence[str]) -> None:
        """Remove every entry of these utterances from the view's files."""
        folder = f"{FAULTS}/{view}"
        with self.files.lock(f"faults-{view}"):
            names = self.files.list_files(folder)
            frame = self.entries(view)
            kept = frame.filter(~pl.col("utterance_id").is_in(list(utterance_ids)))
            if kept.height == frame.height:
                return
            if kept.height:
                self._write(view, kept, self._next_us(view))
            for name in names:
                self.files.remove(f"{folder}/{name}")

    def _set_aside(self, view: str, name: str, error: Exception) -> None:
        kept = f"{QUARANTINE}/{view}/{name}"
        try:
            self.files.move(f"{FAULTS}/{view}/{name}", kept)
        except FileNotFoundError:
            return  # another reader moved it
        except StoreWriteError:
            kept = f"{FAULTS}/{view}/{name}"  # a store that this user may only read
        warnings.warn(
            f"fault file {name} of {view} can't be read ({error}); it is kept at {self.files.url(kept)} and what it "
            "told of is tried again",
            QuarantineWarning,
            stacklevel=3,
        )

    def _next_us(self, view: str) -> int:
        # A clock that went backwards does not make the newest entry an old one.
        names = self.files.list_files(f"{FAULTS}/{view}")
        return max(time.time_ns() // 1000, max(map(_written_us, names), default=0) + 1)

    def _write(self, view: str, frame: pl.DataFrame, now_us: int) -> None:
        sink = io.BytesIO()
        frame.write_parquet(sink)
        self.files.create(
            f"{FAULTS}/{view}/faults-{now_us:017d}-{uuid.uuid4().hex[:12]}.parquet", sink.getvalue()
        )


def _written_us(name: str) -> int:
    return int(name.split("-")[1])


def _plain(fact: object) -> object:
    """A NumPy number as Python's; anything else that is not JSON as text: a fault is never lost over its facts."""
    return fact.item() if isinstance(fact, np.generic) else str(fact)
