"""What computing one utterance gives: features, a legitimate nothing, or a fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Fact = str | int | float | bool | None


@dataclass(frozen=True)
class Features:
    """One utterance's features for one recipe.

    Attributes:
        value: ``[width]`` for a pooled recipe, ``[n, width]`` for a sequence; None is a legitimate nothing (no face,
            an empty transcript), which is stored so that it is not computed again. A record has no value.
        note: why there is nothing; empty otherwise.
        columns: the recipe's further columns by name; a nothing may have them too.
    """

    value: npt.NDArray[np.generic] | None
    note: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """Why an utterance has no features: a row of the fault ledger.

    Attributes:
        stage: where it happened: ``media``, ``decode``, ``extract`` or ``gate``.
        error: class of the exception, such as ``FileNotFoundError``.
        message: the exception's message, naming the file.
        facts: what is known of the media (path, size, channels, rate, duration).
    """

    stage: str
    error: str
    message: str
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @classmethod
    def from_exception(cls, stage: str, error: BaseException, **facts: Fact) -> "Fault":
        """The fault that an exception tells of."""
        return cls(stage, type(error).__name__, str(error) or type(error).__name__, facts)


Outcome = Features | Fault


def storable(text: str) -> str:
    """The text as UTF-8 can hold it: a file name of other bytes reaches a message as lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
