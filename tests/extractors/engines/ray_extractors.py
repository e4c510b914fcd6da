"""Extractors that Ray's workers import by name: one that is slow, one that ends its process at some texts."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from extractors.protocol import Extractor, Item, Outputs
from extractors.settings import Settings, runtime
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe


@dataclass(frozen=True)
class LettersSettings(Settings):
    """Settings: seconds that each text takes, a folder for one file a death, a file whose words name other weights."""

    batch_size: int = runtime(4)
    seconds: float = runtime(0.0)
    deaths: str = runtime("")
    weights: str = runtime("")


class Letters(Extractor):
    """The codes of the first letters of a text.

    ``die`` in a text ends the process, ``die once`` only the first time, ``fail`` is a fault.
    """

    name, modality, needs, Settings = "letters", "text", "text", LettersSettings
    uses_device = False

    def recipes(self) -> Mapping[str, Recipe]:
        weights = Path(self.settings.weights).read_text() if self.settings.weights else ""
        return {"text": Recipe("text", "letters", 1, "text", "pooled", 4, weights=weights)}

    def cost(self, item: Item) -> float:
        return len(item.text)

    def load(self, device: str) -> None:
        pass

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        return [self._outcome(item) for item in batch]

    def _outcome(self, item: Item) -> Outputs:
        time.sleep(self.settings.seconds)
        if "die" in item.text:
            before = list(Path(self.settings.deaths).iterdir())
            if "once" not in item.text or not before:
                Path(self.settings.deaths, f"{len(before)}").write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
        if "fail" in item.text:
            return Fault("extract", "Failed", "as planted")
        return {"text": Features(letters(item.text))}


def letters(text: str) -> np.ndarray:
    return np.array([ord(letter) for letter in f"{text}    "[:4]], np.float32)
