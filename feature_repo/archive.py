"""NumPy archives that appear whole or not at all."""

from __future__ import annotations

import os
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.errors import StoreWriteError


def write_archive(path: str | Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write a NumPy archive of named arrays, which ``np.load`` reads without pickle.

    Raises:
        StoreWriteError: the file can't be written; an older one is as it was.
    """
    target = Path(path)
    staged = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with staged.open("wb") as sink:
            # Not np.savez: it takes names as keywords, and an array may well be called "file".
            with zipfile.ZipFile(sink, "w") as archive:
                for name, array in arrays.items():
                    # An array above 2 GiB needs the larger format from the start: nobody can go back in a stream.
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            sink.flush()
            os.fsync(sink.fileno())
        staged.replace(target)
    except OSError as error:
        raise StoreWriteError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        staged.unlink(missing_ok=True)
