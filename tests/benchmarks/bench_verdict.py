"""New verdicts for 13,708 utterances (MELD) when a threshold changes, and for 106,256 (papers/003).

Run it as ``python -m tests.benchmarks.bench_verdict [--rows 13708]``. The measures are read once; then each of four
thresholds is changed in turn and everything is judged and counted anew, best of five; the goal is 0.2 s. Beside it:
reading the measures, and the whole command ``affectstore quality --set ...``, the start of Python included.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from extractors.quality.composition import compositions
from feature_repo.measures import Measures, read_measures
from feature_repo.quality_config import load_quality_config
from feature_repo.verdict import judge
from tests.feature_repo.planted_measures import PlantedStore, good

MORE = 106_256
CHANGES = (
    "face.MobileFaceNet.similarity=0.4",
    "text.all-mpnet-base-v2.cosine=0.35",
    "alignment.levenshtein=0.2",
    "audio.peak_db=-40",
)
_BASE = "face.MobileFaceNet.similarity=0.3"


def make_store(folder: Path, rows: int) -> PlantedStore:
    random = np.random.default_rng(0)
    similarity, cosine, levenshtein = random.beta(5, 2, (3, rows))
    peak = random.uniform(-70, 0, rows)
    planted = {}
    for row in range(rows):
        one = good(
            level={"peak_db": float(peak[row])},
            match={"similarity": float(similarity[row])},
            alignment={"cosine": float(cosine[row]), "levenshtein": float(levenshtein[row])},
        )
        one |= {"split": ("train", "train", "dev", "test")[row % 4], "emotion": ("joy", "anger")[row % 2]}
        planted[f"meld/{row:06}"] = one
    return PlantedStore(folder, planted)


def best(action: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        taken.append(time.perf_counter() - began)
    return min(taken)


def change_all(measures: Measures) -> list[float]:
    """Seconds for each changed threshold: load the config, judge, count."""

    def change(override: str) -> None:
        config = load_quality_config(None, None, [_BASE, override])
        compositions(measures, judge(measures, config), config)

    return [best(lambda override=override: change(override)) for override in CHANGES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=13_708)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        planted = make_store(Path(name), rows)
        reading = best(lambda: read_measures(planted.store))
        measures = read_measures(planted.store)
        seconds = change_all(measures)
        print(f"{rows:,} utterances")
        print(f"  reading the measures        {reading:6.3f} s")
        for override, taken in zip(CHANGES, seconds, strict=True):
            print(f"  judged: {override:<36} {taken:6.3f} s")
        print(
            f"  the slowest {max(seconds):.3f} s; goal 0.2 s: {'reached' if max(seconds) <= 0.2 else 'MISSED'}"
        )
        command = [
            sys.executable,
            "-m",
            "affectstore",
            "quality",
            "--root",
            planted.store.root,
            "--set",
            CHANGES[0],
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        whole = best(lambda: subprocess.run(command, check=True, capture_output=True, env=environment), 3)
        print(f"  the whole command           {whole:6.3f} s")
    times = -(-MORE // rows)
    many = Measures(pl.concat([measures.frame] * times).head(MORE), {}, measures.embedder, measures.encoder)
    config = load_quality_config(None, None, [_BASE])
    print(f"{MORE:,} utterances: judged in {best(lambda: judge(many, config)):.3f} s")


if __name__ == "__main__":
    main()
