"""Which parts of a table are in the online store: what makes loading incremental and exact.

A row's time can't tell: a part is stamped before it is written and may become visible after a later one was loaded, and
clocks of several machines differ. Parts are immutable and their names unique, so their names can.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from feature_repo.feast_config import FEAST
from feature_repo.recipe import digest

if TYPE_CHECKING:
    from feature_repo.store import Store

_FOLDER = f"{FEAST}/loaded"


def loaded_parts(store: Store, view: str, online: str) -> frozenset[str]:
    """Names of the view's parts that were loaded; none when nothing is known, or the note is of another online store.

    Args:
        store: the store.
        view: the view.
        online: which online store is meant, see :func:`feature_repo.feast_config.online_identity`.
    """
    try:
        noted = json.loads(store.files.read(_path(view)))
        return frozenset(noted["parts"] if noted["online"] == online else ())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return frozenset()  # everything is loaded again, which is slow and right


def save_loaded_parts(store: Store, view: str, parts: Collection[str], online: str) -> None:
    """Say that exactly these parts are in the online store of this identity."""
    store.files.write(_path(view), json.dumps({"online": online, "parts": sorted(parts)}).encode())


def parts_mark(parts: Collection[str]) -> str:
    """What an online store keeps of the parts that were loaded, to tell whether it lost the last ones: 16 digits."""
    return digest(sorted(parts))[:16]


def remove_all_but(store: Store, views: Collection[str]) -> None:
    """Forget what was loaded of views that exist no more."""
    for name in store.files.list_files(_FOLDER):
        if name.removesuffix(".json") not in views:
            store.files.remove(f"{_FOLDER}/{name}")


def _path(view: str) -> str:
    return f"{_FOLDER}/{view}.json"
