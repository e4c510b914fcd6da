"""A corpus's terms: its licence, and whether what was derived from it may be passed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOT_RECORDED = "not recorded: ingest the corpus again"


@dataclass(frozen=True)
class Terms:
    """What a corpus's owners allow; ingest keeps it with the manifest.

    Attributes:
        licence: the terms in a few words.
        redistributable: whether they let anybody pass on the corpus or what was derived from it; None where they
            don't say, or nobody recorded it.
    """

    licence: str = NOT_RECORDED
    redistributable: bool | None = None

    def as_data(self) -> dict[str, Any]:
        """Plain JSON data that :meth:`from_data` reads."""
        return {"licence": self.licence, "redistributable": self.redistributable}

    @classmethod
    def from_data(cls, data: object) -> Terms:
        """The terms that :meth:`as_data` described; of anything else, terms that were not recorded."""
        if not isinstance(data, Mapping) or not isinstance(data.get("licence"), str):
            return cls()
        allowed = data.get("redistributable")
        return cls(data["licence"], allowed if isinstance(allowed, bool) else None)

    @property
    def told(self) -> str:
        """Whether the corpus may be passed on, in words."""
        if self.redistributable is None:
            return "the terms don't say whether it may be passed on"
        return "may be passed on under these terms" if self.redistributable else "must not be passed on"
