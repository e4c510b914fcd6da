"""``derive`` on synthetic faces of a corpus as large as MELD: 13,708 utterances of three frames, two faces in each.

Run it as ``python -m tests.benchmarks.bench_derive [--utterances 13708]``. Beside each derivation stands what NumPy
alone takes for its arithmetic with the faces in memory: the product of each speaker's sampled faces with each other,
and of every face with one reference. A second run tells what it costs to find that nothing is missing.
"""

import argparse
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from extractors.quality.derivation import Watch, derive
from feature_repo.fill import fill
from feature_repo.outcome import Features
from feature_repo.recipe import ColumnType, Recipe
from feature_repo.records import live_rows
from feature_repo.store import Store, init_store

SPEAKERS, WIDTH, FRAMES = 286, 512, 3
COLUMNS: dict[str, ColumnType] = {
    **dict.fromkeys(("time_s", "x", "y", "width", "height", "score"), "step"),
    "frame_times": "floats",
    **dict.fromkeys(("frame_width", "frame_height", "whole"), "int"),
}
FACES = Recipe("faces", "facenet512", 1, "text", "steps", WIDTH, columns=COLUMNS)


def make_store(folder: Path, utterances: int) -> tuple[Store, dict[str, np.ndarray]]:
    """Speakers as unevenly frequent as in a series; each frame shows the speaker (four times in five) and another."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, SPEAKERS + 1)
    speaker = rng.choice(SPEAKERS, utterances, p=frequency / frequency.sum())
    people = unit(rng.standard_normal((SPEAKERS, WIDTH)))
    ids = [f"bench/{number:06d}" for number in range(utterances)]
    seen = np.stack(
        [np.where(rng.random(utterances) < 0.8, speaker, -1), rng.integers(0, SPEAKERS, utterances)]
    ).T
    values = {}
    for number, name in enumerate(ids):
        who = people[np.tile(seen[number], FRAMES)]
        values[name] = unit(who + 0.03 * rng.standard_normal(who.shape))
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    named = [f"speaker {number}" for number in speaker]
    store.write_manifest(
        "bench", pl.DataFrame({"utterance_id": ids, "text": ids, "speaker_id": named, "speaker_raw": named})
    )

    def compute(
        missing: Mapping[str, Sequence[str]],
    ) -> Generator[tuple[str, str, Features], None, None]:
        count = 2 * FRAMES
        columns = {
            "time_s": np.repeat(np.arange(FRAMES) + 0.5, 2),
            **{name: np.full(count, 60.0) for name in ("x", "y", "width", "height")},
            "score": np.full(count, 0.9),
            "frame_times": np.arange(FRAMES) + 0.5,
            "frame_width": 640,
            "frame_height": 360,
            "whole": 0,
        }
        for view, wanted in missing.items():
            for name in wanted:
                yield view, name, Features(values[name], columns=columns)

    fill(store, [FACES], compute)
    store.catalog.set("default", {"faces_steps": FACES.view})
    return store, values


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors at length one, float32."""
    made: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return made.astype(np.float32)


def timed(store: Store) -> dict[str, float]:
    """Seconds of each derivation, computed or not."""
    marks: list[tuple[str, float]] = []
    report = derive(store, watch=Watch(on_step=lambda name: marks.append((name, time.perf_counter()))))
    ends = [mark for _, mark in marks[1:]] + [time.perf_counter()]
    assert list(report.fills) == ["reference", "match", "face"]
    return {name: end - start for (name, start), end in zip(marks, ends, strict=True)}


def bare(store: Store, values: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Seconds of the arithmetic alone."""
    manifest = store.manifest()
    started = time.perf_counter()
    for _, rows in manifest.group_by("speaker_id"):
        own = np.concatenate([values[name] for name in rows["utterance_id"].head(15)])
        own @ own.T
    middle = time.perf_counter()
    references = np.stack([values[name][0] for name in manifest["utterance_id"]])
    for name, reference in zip(manifest["utterance_id"], references, strict=True):
        values[name] @ reference
    return {"reference": middle - started, "match": time.perf_counter() - middle}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, default=13_708)
    utterances = parser.parse_args().utterances
    with tempfile.TemporaryDirectory() as name:
        store, values = make_store(Path(name), utterances)
        first, alone, again = timed(store), bare(store, values), timed(store)
        found = live_rows(store, store.catalog.slots("default")["reference"])
        sure = found.filter(pl.col("margin") > 0).height
        print(
            f"{utterances:,} utterances, {2 * FRAMES} faces of {WIDTH} numbers each, {found.height} speakers"
        )
        for step, seconds in first.items():
            beside = f"; the arithmetic alone {alone[step]:.2f} s" if step in alone else ""
            print(f"{step:10} {seconds:6.2f} s{beside}; when nothing is missing {again[step]:.2f} s")
        print(f"in all     {sum(first.values()):6.2f} s; when nothing is missing {sum(again.values()):.2f} s")
        print(
            f"{sure} of {found.height} speakers were seen in more clips than anybody else in their pictures"
        )


if __name__ == "__main__":
    main()
