"""Faces per second: crops of many clips pooled by the extractor, against bare batched calls and one call per face.

``python -m tests.benchmarks.bench_faces [faces] [batch]`` builds Facenet512 with random weights and, where
AFFECTSTORE_SAMPLES names the real models, takes MobileFaceNet, whose file allows one face a pass, so that pooling can
win nothing there. The clips have 0 to 4 faces, in an uneven order. Goals: at least 0.9 of bare batched calls, and more
than one call per face. The sides take turns and the best turn counts; of one run only ratios are compared. The ratio of
processor time stands beside that of the clock: on a shared machine the clock alone mostly measures the others.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from extractors.face_extractor import FaceExtractor, SeenFace, SeenFrame
from extractors.protocol import Item
from extractors.registry import create
from tests.extractors.face.random_models import write_facenet512

TURNS = 3
FACES = 96


def clips(faces: int, size: int) -> list[Item]:
    """Clips of 0 to 4 frames with one face each."""
    rng = np.random.default_rng(0)
    items: list[Item] = []
    left = faces
    while left:
        count = min(int(rng.integers(0, 5)), left)
        left -= count
        crops = rng.integers(0, 256, (count, size, size, 3), np.uint8)
        box = (0.0, 0.0, float(size), float(size))
        seen = tuple(
            SeenFrame(place + 0.5, size, size, True, (SeenFace(box, 1.0, crop),))
            for place, crop in enumerate(crops)
        )
        items.append(Item(f"c/{len(items)}", seen=seen))
    return items


def compare(title: str, made: FaceExtractor, faces: int, batch: int) -> None:
    made.load("cpu")
    items = clips(faces, made.crop_style().size)
    crops = np.stack([face.crop for item in items for frame in item.seen for face in frame.faces])

    def pooled() -> None:
        made.extract(items)

    def bare() -> None:
        for begin in range(0, len(crops), batch):
            made.embed(crops[begin : begin + batch])

    def single() -> None:
        for place in range(len(crops)):
            made.embed(crops[place : place + 1])

    def by_clip() -> None:
        for item in items:
            made.extract([item])

    sides: Mapping[str, Callable[[], None]] = {
        "pooled by the extractor": pooled,
        "bare batched calls": bare,
        "one call per clip": by_clip,
        "one call per face": single,
    }
    clock: dict[str, list[float]] = {name: [] for name in sides}
    processor: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(TURNS + 1):
        for name, side in sides.items():
            started = time.perf_counter(), time.process_time()
            side()
            if turn:  # the first warms allocators and caches
                clock[name].append(time.perf_counter() - started[0])
                processor[name].append(time.process_time() - started[1])
    print(f"{title}: {len(crops)} faces of {len(items)} clips, batch {batch}, best of {TURNS} turns")
    for name in sides:
        ratios = [min(times[name]) / min(times["pooled by the extractor"]) for times in (clock, processor)]
        print(
            f"  {name:25} {len(crops) / min(clock[name]):7.1f} faces/s   "
            f"pooled is {ratios[0]:.2f} of it   by processor time {ratios[1]:.2f}"
        )


def main() -> None:
    faces = int(sys.argv[1]) if len(sys.argv) > 1 else FACES
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    with tempfile.TemporaryDirectory() as folder:
        weights = write_facenet512(Path(folder) / "facenet512_weights.pth")
        told = {"model": str(weights), "detector": "whole", "batch_size": str(batch)}
        made = create("facenet512", told)
        assert isinstance(made, FaceExtractor)
        compare("Facenet512, random weights", made, faces, batch)
    model = Path(os.environ.get("AFFECTSTORE_SAMPLES", "")) / "models/mobilefacenet/MobileFaceNet.onnx"
    if not os.environ.get("AFFECTSTORE_SAMPLES") or not model.is_file():
        print("MobileFaceNet skipped: AFFECTSTORE_SAMPLES names no folder with it")
        return
    told = {"model": str(model), "detector": "whole", "batch_size": str(batch)}
    made = create("onnxface", told)
    assert isinstance(made, FaceExtractor)
    compare("MobileFaceNet, one face a pass", made, faces, batch)


if __name__ == "__main__":
    main()
