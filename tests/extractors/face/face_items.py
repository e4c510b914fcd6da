"""Frames for tests that go through all extractors, and settings under which each extractor of faces runs anywhere."""

from functools import cache
from pathlib import Path

import numpy as np

from extractors.face_extractor import FaceExtractor
from extractors.protocol import Frame, Item
from tests.extractors.face.random_models import write_facenet512
from tests.extractors.face.tiny_onnx import write_tiny_onnx

# Frames of each utterance; one more shows a single colour.
COUNTS = (2, 1, 0, 5, 1, 3)


@cache
def face_settings(name: str, folder: Path) -> dict[str, str]:
    """Settings of an extractor of faces with a small or random model, built into the folder once."""
    if name == "onnxface":
        return {"model": str(write_tiny_onnx(folder / "tiny.onnx")), "detector": "whole"}
    if name == "facenet512":
        return {"model": str(write_facenet512(folder / "facenet512_weights.pth")), "detector": "whole"}
    return {}


def picture(seed: int, shape: tuple[int, int] = (90, 120)) -> np.ndarray:
    """Soft blobs of colour: pictures that differ in the large, not in the noise alone."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros((*shape, 3))
    for _ in range(12):
        y, x, size = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(6, 30)
        blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * size**2))
        image += blob[..., None] * rng.uniform(0, 160, 3)
    return image.clip(0, 255).astype(np.uint8)


def face_items(extractor: FaceExtractor) -> list[Item]:
    """Utterances of several frames, of none, and of one colour, as the extractor sees them."""
    items = []
    for number, count in enumerate(COUNTS):
        frames = [Frame(place + 0.5, picture(10 * number + place)) for place in range(count)]
        items.append(Item(f"c/{number}", seen=tuple(extractor.look(frames))))
    black = Frame(0.0, np.zeros((90, 120, 3), np.uint8), still=True)
    items.append(Item(f"c/{len(COUNTS)}", seen=tuple(extractor.look([black]))))
    return items
