"""Extractors without a model that write down what they are asked, and what a runner makes of them."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import av
import numpy as np
import polars as pl

from extractors.frame_extractor import FrameExtractor
from extractors.protocol import Extractor, Frame, Item
from extractors.runner import Runner
from extractors.settings import Settings
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from tests.extractors.numbered_video import number_of


class Planted(Extractor):
    """Writes down what it is asked; raises for the ids in ``bad``."""

    name, modality, Settings = "planted", "text", Settings
    uses_device = False

    def __init__(
        self, name: str, needs: str, modality: str, bad: Sequence[str] = (), two: bool = False
    ) -> None:
        super().__init__(Settings(batch_size=4))
        self.name, self.needs, self.modality = name, needs, modality  # type: ignore[misc]
        self.bad, self.two = set(bad), two
        self.loads = 0
        self.batches: list[list[str]] = []

    def recipes(self) -> Mapping[str, Recipe]:
        reads = "text" if self.needs == "text" else "media"
        recipes = {self.modality: Recipe(self.modality, self.name, 1, reads, "pooled", 1)}
        if self.two:
            recipes[f"{self.modality}_steps"] = Recipe(self.modality, self.name, 1, reads, "steps", 1)
        return recipes

    def cost(self, item: Item) -> float:
        if self.needs == "nothing":
            return 1.0
        return len(item.text) if item.audio is None else len(item.audio)

    def load(self, device: str) -> None:
        self.loads += 1

    def extract(self, batch: Sequence[Item]) -> list:
        self.batches.append([item.utterance_id for item in batch])
        if any(item.utterance_id in self.bad for item in batch):
            raise ValueError("planted")
        outcomes = []
        for item in batch:
            outputs = {self.modality: Features(np.array([self.cost(item)], np.float32))}
            if self.two:
                outputs[f"{self.modality}_steps"] = Features(np.ones((2, 1), np.float32))
            outcomes.append(outputs)
        return outcomes


def manifest(rows: Mapping[str, Mapping[str, object]]) -> pl.DataFrame:
    columns = {"text": pl.String, "language": pl.String, "media_uri": pl.String, "media_size": pl.Int64,
               "start_s": pl.Float64, "end_s": pl.Float64}  # fmt: skip
    listed = [{"utterance_id": key, **dict.fromkeys(columns), **row} for key, row in rows.items()]
    return pl.DataFrame(listed, schema={"utterance_id": pl.String, **columns})


class PlantedEye(FrameExtractor):
    """Keeps the numbers of the pictures; refuses to look before it is loaded, and at the files in ``bad``."""

    name, modality, Settings = "eye", "faces", Settings
    uses_device = False

    def __init__(self, name: str, sampling: str = "seconds", bad: Sequence[int] = (), keep: int = 0) -> None:
        super().__init__(Settings(batch_size=4))
        self.name, self._sampling, self.bad, self.keep = name, sampling, set(bad), keep  # type: ignore[misc]
        self.loads = 0
        self.threads: set[str] = set()
        self.batches: list[list[str]] = []
        self.items: dict[str, Item] = {}

    @property
    def sampling(self):
        return self._sampling

    def recipes(self) -> Mapping[str, Recipe]:
        modality = "faces" if self._sampling == "seconds" else "offsets"
        return {modality: Recipe(modality, self.name, 1, "media", "steps", 1)}

    def cost(self, item: Item) -> float:
        return len(item.seen)

    def load(self, device: str) -> None:
        self.loads += 1

    def look(self, frames: Sequence[Frame]) -> list:
        assert self.loads == 1
        self.threads.add(threading.current_thread().name)
        numbers = [number_of(frame.image) for frame in frames]
        if self.bad & set(numbers):
            raise ValueError("planted")
        return [(frame.time_s, number, np.zeros(self.keep, np.uint8))
                for frame, number in zip(frames, numbers, strict=True)]  # fmt: skip

    def extract(self, batch: Sequence[Item]) -> list:
        self.batches.append([item.utterance_id for item in batch])
        self.items |= {item.utterance_id: item for item in batch}
        (output,) = self.recipes()
        return [
            {output: Features(np.array([[number] for _, number, _ in item.seen], np.float32))}
            for item in batch
        ]


def view(extractor: Extractor, output: str) -> str:
    return extractor.recipes()[output].view


def opened(monkeypatch) -> Counter[str]:
    """How often each file is opened by ffmpeg from now on."""
    counts: Counter[str] = Counter()
    original = av.open

    def count(source, *arguments, **options):
        counts[source] += 1
        return original(source, *arguments, **options)

    monkeypatch.setattr(av, "open", count)
    return counts


def results(runner: Runner, missing: Mapping[str, Sequence[str]]) -> dict:
    found = list(runner.compute(missing))
    assert sorted((name, key) for name, key, _ in found) == sorted(
        (n, k) for n in missing for k in missing[n]
    )
    return {(name, key): outcome for name, key, outcome in found}
