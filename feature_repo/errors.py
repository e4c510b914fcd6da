"""The errors a user meets: each names the thing, the reason, and what is allowed."""

from collections.abc import Iterable


class AffectStoreError(Exception):
    """Base of every error that is an answer to a user rather than a defect of the program."""


class UnknownNameError(AffectStoreError):
    """A corpus, extractor, column, label, view or config key that does not exist.

    Args:
        kind: what was asked for, such as ``"corpus"``.
        name: the name that was given.
        allowed: the names that exist.
    """

    def __init__(self, kind: str, name: str, allowed: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.allowed = sorted(allowed)
        listed = ", ".join(self.allowed) if self.allowed else "none exist yet"
        super().__init__(f"unknown {kind} {name!r}; allowed: {listed}")


class BadInputError(AffectStoreError):
    """A file, row or value that cannot be used as it is."""


class StoreFormatError(AffectStoreError):
    """The root is not a store, or a store of another format."""


class StoreReadError(AffectStoreError):
    """A read failed for a reason that lies outside the file (disk, network, permission); nothing was changed."""


class StoreWriteError(AffectStoreError):
    """A write failed (disk full, read-only); what was committed before stays readable."""


class AmbiguousViewError(AffectStoreError):
    """Several feature views answer to one name; the message lists them."""
