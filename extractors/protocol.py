"""What an extractor is: recipes that it can state without its model, and outcomes that it computes with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from extractors.settings import Settings
from feature_repo.outcome import Fact, Fault, Features
from feature_repo.recipe import Recipe

if TYPE_CHECKING:
    import polars as pl

SAMPLE_RATE = 16_000  # Hz of every waveform that an extractor sees (papers/000 III-D)

Waveform = npt.NDArray[np.float32]
Needs = Literal["text", "audio", "frames", "nothing"]
Outputs = Mapping[str, Features] | Fault


@dataclass(frozen=True)
class Frame:
    """One picture of a video, or a still.

    Attributes:
        time_s: seconds from the utterance's start.
        image: uint8 ``[height, width, 3]``, RGB, upright.
        still: whether the file is a picture, not a video.
    """

    time_s: float
    image: npt.NDArray[np.uint8]
    still: bool = False


@dataclass(frozen=True)
class Item:
    """What an extractor reads for one utterance.

    Attributes:
        utterance_id: its key in the manifest.
        text: the words that were said, after those before them where the extractor reads context.
        audio: ``[samples]``, mono, 16 kHz, nominally within -1 to 1; None for an extractor that needs text.
        language: ISO 639-1 code, None when unknown.
        seen: what an extractor of frames kept of each sampled frame, in order of time.
        facts: what is known of the media: channels, the chosen channel, duration.
    """

    utterance_id: str
    text: str = ""
    audio: Waveform | None = None
    language: str | None = None
    seen: tuple[Any, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)


class Extractor(ABC):
    """Computes one or several recipes' features in one pass.

    A subclass is registered with ``extractors.registry.register``. Its module imports model libraries only inside
    ``load`` and ``extract``, so that stating recipes costs no import.

    Attributes:
        name: registered name, also the recipes' extractor.
        modality: the recipes' modality.
        needs: which part of an item it reads.
        Settings: dataclass of its settings.
        batch_tolerance: how far an output may differ between a batch of one and a batch of many, relative to the
            output's largest magnitude; zero where items never meet in one computation.
        uses_device: whether it runs on an accelerator; one that does not never needs torch to choose a device.
        summary: one line for the list of extractors.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    needs: ClassVar[Needs]
    Settings: ClassVar[type[Settings]]
    batch_tolerance: ClassVar[float] = 0.0
    uses_device: ClassVar[bool] = True
    summary: ClassVar[str] = ""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def recipes(self) -> Mapping[str, Recipe]:
        """Output name to recipe. Imports no model library.

        Raises:
            BadInputError: the weights are not at hand.
        """

    @abstractmethod
    def cost(self, item: Item) -> float:
        """How much work an item is: characters of text, seconds of sound. Needs no model."""

    @abstractmethod
    def load(self, device: str) -> None:
        """Bring the model onto the device (``cpu``, ``cuda``, ``cuda:1``)."""

    @abstractmethod
    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        """The outcome of each item, in the batch's order: features by output name, or a fault."""

    def texts(self, manifest: pl.DataFrame) -> pl.Series:
        """What an extractor of text reads for each row of whole dialogues, null where there is nothing."""
        return manifest["text"]

    def remarks(self, known: Collection[str]) -> list[str]:
        """What a person should be told before a run, given the ids of all utterances of the store."""
        return []

    def without_media(self, fault: Fault) -> Outputs:
        """The outcome of an utterance whose media gave this fault."""
        return fault
