"""Faces that an utterance's text spells out: an extractor of faces whose people, places and cosines are known.

``A0.9@0.5 B@0.5 | A@0.6`` shows person A at 0.5 s, 0.9 from A's axis, and B beside; around it, A at 0.6 s. People of
even letters (A, C) sit in the left half of the picture, the others in the right. ``-@1.5`` is a frame without a face,
and a text that begins with ``whole`` a picture that is one face.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from extractors.face_extractor import FaceSettings
from extractors.protocol import Extractor, Item, Outputs
from extractors.settings import Settings
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe, identity_settings
from feature_repo.store import Store, init_store

WIDTH = 48
PEOPLE = "ABCDEFGH"
_FACE = re.compile(r"([A-H-])([\d.]*)@([\d.]+)")
_COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("time_s", "x", "y", "width", "height", "score"), "step"),
    "frame_times": "floats",
    **dict.fromkeys(("frame_width", "frame_height", "whole"), "int"),
}


def vector(person: str, cosine: float, own: int) -> np.ndarray:
    """A unit vector at this cosine to the person's axis; what differs lies on one of forty other axes."""
    made = np.zeros(WIDTH, np.float32)
    made[PEOPLE.index(person)] = cosine
    made[len(PEOPLE) + own % (WIDTH - len(PEOPLE))] = np.sqrt(1 - cosine**2)
    return made


def spelled(utterance_id: str, text: str) -> Features:
    """The faces of one text."""
    places = [(who, float(cosine or 0.95), float(time)) for who, cosine, time in _FACE.findall(text)]
    faces = [place for place in places if place[0] != "-"]
    own = zlib.crc32(utterance_id.encode())
    columns = {
        "time_s": [time for _, _, time in faces],
        "x": [20.0 if PEOPLE.index(who) % 2 == 0 else 280.0 for who, _, _ in faces],
        "y": [30.0] * len(faces),
        "width": [100.0] * len(faces),
        "height": [120.0] * len(faces),
        "score": [0.9 - 0.1 * PEOPLE.index(who) for who, _, _ in faces],
        "frame_times": sorted({time for _, _, time in places}),
        "frame_width": 400,
        "frame_height": 300,
        "whole": int(text.startswith("whole")),
    }
    if not faces:
        return Features(None, "no face", columns)
    vectors = [vector(who, cosine, own + place) for place, (who, cosine, _) in enumerate(faces)]
    return Features(np.stack(vectors), columns=columns)


@dataclass(frozen=True)
class PlantedSettings(FaceSettings):
    """Those of an extractor of faces."""


class PlantedFaces(Extractor):
    """Reads faces off the text; remembers every utterance that it was asked for."""

    name: ClassVar[str] = "planted"
    modality: ClassVar[str] = "faces"
    needs: ClassVar[Any] = "text"
    Settings: ClassVar[type[Settings]] = PlantedSettings
    uses_device: ClassVar[bool] = False
    asked: ClassVar[list[tuple[str, str]]] = []
    loads: ClassVar[list[str]] = []

    def recipes(self) -> Mapping[str, Recipe]:
        recipe = Recipe(
            "faces" if self.settings.sampling == "seconds" else "offsets",
            self.name,
            1,
            "text",
            "steps",
            WIDTH,
            settings=identity_settings(self.settings),
            columns=_COLUMNS,
        )
        return {recipe.slot: recipe}

    def cost(self, item: Item) -> float:
        return 1.0

    def load(self, device: str) -> None:
        self.loads.append(self.settings.sampling)

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        (slot,) = self.recipes()
        found: list[Outputs] = []
        for item in batch:
            self.asked.append((slot, item.utterance_id))
            base, _, around = item.text.partition("|")
            found.append(
                {slot: spelled(item.utterance_id, base if self.settings.sampling == "seconds" else around)}
            )
        return found


def manifest(
    utterances: Mapping[str, tuple[str | None, str]], picture: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """Manifest rows from id to (speaker, text)."""
    return pl.DataFrame(
        {
            "utterance_id": list(utterances),
            "speaker_id": [speaker for speaker, _ in utterances.values()],
            "text": [text for _, text in utterances.values()],
            "picture": [(picture or {}).get(name) for name in utterances],
        },
        schema_overrides={"speaker_id": pl.String, "picture": pl.String},
    )


def planted_store(folder: Path, utterances: Mapping[str, tuple[str | None, str]], **options: Any) -> Store:
    """A store of corpus ``c`` whose faces are computed, in the profile ``default``."""
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    store.write_manifest("c", manifest(utterances, **options))
    look(store)
    return store


def look(store: Store) -> str:
    """Compute what is missing of the faces; their view."""
    from extractors.extraction import extract

    extract(store, [PlantedFaces(PlantedSettings())], profile="default")
    return store.catalog.slots("default")["faces_steps"]
