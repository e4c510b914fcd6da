"""Ray's workers against this process: speed-up, start-up, and what passing every value through the driver costs.

Run it as ``python tests/benchmarks/bench_ray.py [--clips 1280] [--texts 20000]`` with PYTHONPATH naming the repository.
A heavy extractor (Resemblyzer over made-up voices) says how much faster two workers are than one; a light one (hashing)
how many values a second the driver takes at most. Each runs over a small and a large number of utterances in a fresh
store: the difference is the rate, what is left of the small one's time is the start-up. Every process computes on one
thread, so that a second worker is a second core.
"""

import argparse
import os
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from extractors.engines import ray_engine
from extractors.engines.packing import Message
from extractors.engines.ray_cluster import RayPlace
from extractors.extraction import extract
from extractors.registry import create
from feature_repo.store import init_store

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
SECONDS = 2.0
PLACES = {"local": None, "ray, 1 worker": RayPlace(workers=1), "ray, 2 workers": RayPlace(workers=2)}
ENOUGH = 1.6  # speed-up of two workers on two free cores


@dataclass(frozen=True)
class Measured:
    start_s: float
    per_utterance_s: float
    bytes_each: float


def write_voices(folder: Path, count: int) -> list[str]:
    """So many files of a buzzing voice, each of another pitch."""
    times = np.arange(round(16_000 * SECONDS)) / 16_000
    paths = []
    for number in range(count):
        pitch = 90 + number * 137 % 160
        sound = sum(np.sin(2 * np.pi * pitch * harmonic * times) / harmonic for harmonic in range(1, 20))
        loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * times)
        path = folder / f"{number}.wav"
        with wave.open(str(path), "wb") as target:
            target.setparams((1, 2, 16_000, 0, "NONE", ""))
            target.writeframes((sound * loudness * 9000).astype("<i2").tobytes())
        paths.append(str(path))
    return paths


class Counted:
    """Bytes of the messages that reach the driver."""

    def __init__(self) -> None:
        self.bytes = 0
        self._messages = ray_engine.messages
        ray_engine.messages = self

    def __call__(self, rows: pa.Table) -> Iterator[Message]:
        self.bytes += rows.nbytes
        return self._messages(rows)


def seconds_for(rows: pl.DataFrame, extractor: str, place: RayPlace | None, folder: Path) -> float:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        store = init_store(str(Path(name) / "store"), cache=str(Path(name) / "cache"))
        store.write_manifest("bench", rows)
        began = time.perf_counter()
        report, _ = extract(store, [create(extractor)], profile="default", ray=place, device="cpu")
        assert report.computed == rows.height, report
        return time.perf_counter() - began


def measure(
    rows: pl.DataFrame, small: int, extractor: str, place: RayPlace | None, folder: Path, counted: Counted
) -> Measured:
    before = counted.bytes
    few = seconds_for(rows.head(small), extractor, place, folder)
    many = seconds_for(rows, extractor, place, folder)
    each = (many - few) / (rows.height - small)
    return Measured(few - each * small, each, (counted.bytes - before) / (rows.height + small))


def compare(
    title: str, rows: pl.DataFrame, small: int, extractor: str, folder: Path, counted: Counted
) -> float:
    print(f"{title}; load {os.getloadavg()[0]:.1f}")
    print(f"{'':<16}{'start-up':>10}{'utterances/s':>14}{'ms each':>9}{'bytes each':>12}{'speed-up':>10}")
    seconds_for(rows.head(8), extractor, None, folder)  # libraries are imported once in this process
    found: dict[str, Measured] = {}
    for name, place in PLACES.items():
        found[name] = one = measure(rows, small, extractor, place, folder, counted)
        local = found["local"].per_utterance_s
        print(
            f"{name:<16}{one.start_s:>8.1f} s{1 / one.per_utterance_s:>14.0f}{1000 * one.per_utterance_s:>9.2f}"
            f"{one.bytes_each:>12.0f}{local / one.per_utterance_s:>10.2f}",
            flush=True,
        )
    alone = found["ray, 1 worker"].per_utterance_s
    print(f"overhead of Ray: {1000 * (alone - local):.2f} ms an utterance", flush=True)
    return alone / found["ray, 2 workers"].per_utterance_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clips", type=int, default=1280, help="a multiple of 256; few are lost in start-up noise"
    )
    parser.add_argument("--texts", type=int, default=20_000)
    given = parser.parse_args()
    if any(
        os.environ.get(variable) != "1" for variable in THREADS
    ):  # libraries read it when they are imported
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict.fromkeys(THREADS, "1")})
    counted = Counted()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = pl.DataFrame(
            {
                "utterance_id": [f"bench/{n:06d}" for n in range(given.clips)],
                "media_uri": write_voices(folder, given.clips),
            }
        )
        texts = pl.DataFrame(
            {
                "utterance_id": [f"bench/{n:06d}" for n in range(given.texts)],
                "text": [
                    f"this is what utterance {n} says{' and more' * (n % 7)}" for n in range(given.texts)
                ],
            }
        )
        faster = compare(
            f"Resemblyzer, {given.clips} clips of {SECONDS:g} s", clips, 256, "resemblyzer", folder, counted
        )
        compare(f"hashing, {given.texts:,} texts", texts, given.texts // 5, "hashing", folder, counted)
    print(f"two workers are {faster:.2f} times as fast as one on {os.cpu_count()} cores", end="; ")
    print(f"at least {ENOUGH}: {'kept' if faster >= ENOUGH else 'MISSED (are both cores free?)'}")


if __name__ == "__main__":
    main()
