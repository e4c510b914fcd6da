"""What a stand-in consists of: takes that somebody speaks, and the text files around them; no sound yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Take:
    """One utterance to be spoken.

    Attributes:
        path: the file, relative to the corpus's folder; its ending decides the format (``.wav``, ``.m4a``).
        speaker: whose voice.
        feeling: one of the seven classes, or ``contempt``, ``calm``, ``sleepy``: how it is spoken.
        text: the words; they decide how long it takes.
        rate: samples per second of the file.
        strength: how much of the feeling is heard, 0 to 1; None draws it.
    """

    path: str
    speaker: str
    feeling: str
    text: str
    rate: int = 16_000
    strength: float | None = None


@dataclass(frozen=True)
class Plan:
    """A whole stand-in.

    Attributes:
        takes: what is spoken.
        files: further files, relative path to content.
    """

    takes: list[Take]
    files: Mapping[str, bytes] = field(default_factory=dict)
