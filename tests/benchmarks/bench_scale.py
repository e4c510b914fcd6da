"""papers/003's whole manifest, 106,256 utterances, from ingest to an epoch of its family A, against a tenth of it.

Run it as ``python -m tests.benchmarks.bench_scale [--rows 106256] [--model gated] [--folder DIR]``. Seven synthetic
corpora of the sizes of papers/003 section 1.4, with as many speakers and dialogues as the real ones about have: acted
ones say the same sentences over and over, MELD has official splits. Each utterance has a small file of its own, so that
ingest hashes as many files as it would. The features are random, of the widths of MFCC (160) and hashing (768).

Every stage runs in a process of its own, so that its memory is its own. Told are the seconds that it took, the
processor's seconds (the machine may be shared), the most memory that was no file's above what the process had before,
and each as a multiple of the tenth's: of something linear 10, or less where something is fixed. Much more than 10 in
processor time is not linear.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from feature_repo.outcome import Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store, open_store

ROWS = 106_256
EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
# Corpus: utterances (papers/003 section 1.4), speakers, sentences, utterances of a dialogue.
CORPORA = {
    "mead": (31_734, 48, 600, 1),
    "ravdess": (1_440, 24, 2, 1),
    "cremad": (7_442, 91, 12, 1),
    "esd": (35_000, 20, 700, 1),
    "emovdb": (6_893, 4, 1_132, 1),
    "iemocap": (10_039, 10, 10_039, 66),
    "meld": (13_708, 260, 12_000, 10),
}
TEXT = Recipe("text", "scale", 1, "text", "pooled", 768)
SPEECH = Recipe("speech", "scale", 1, "media", "pooled", 160)
LINEAR = 13.0  # times a tenth's processor time: what is slower grows faster than the rows do


def corpus_rows(corpus: str, share: float, media: Path) -> pl.DataFrame:
    """A corpus's rows, and a file for each below the folder."""
    whole, speakers, sentences, turns = CORPORA[corpus]
    count = max(400, round(whole * share))  # so that everybody says something, whatever the share
    random = np.random.default_rng(sum(corpus.encode()))
    number = np.arange(count)
    dialogue = number // turns
    if corpus == "meld":
        # Six leads say most, in all of the official splits.
        who = np.where(random.random(count) < 0.83, number % 6, random.integers(6, speakers, count))
        split = np.array(["train"] * 73 + ["dev"] * 8 + ["test"] * 19)[dialogue * 100 // (dialogue[-1] + 1)]
    elif corpus == "iemocap":
        who = dialogue % 5 * 2 + number % 2  # two of each session
        split = np.full(count, "all")
    else:
        who = number % speakers
        split = np.full(count, "all")
    files = media / corpus
    files.mkdir(parents=True)
    uris = [str(files / f"{place}.wav") for place in number]
    for uri in uris:
        Path(uri).write_bytes(uri.encode())
    emotion = np.array(EMOTIONS)[random.integers(0, len(EMOTIONS), count)]
    return pl.DataFrame(
        {
            "utterance_id": [f"{corpus}/dia{d}_utt{n}" for d, n in zip(dialogue, number, strict=True)],
            "split": split,
            "dialogue_id": [f"{corpus}/dia{d}" for d in dialogue] if turns > 1 else None,
            "turn": number % turns if turns > 1 else None,
            "speaker_id": [f"{corpus}/{speaker}" for speaker in who],
            "text": [f"{corpus} sentence {n % sentences} as it was said" for n in number],
            "language": np.where(who < 10, "zh", "en") if corpus == "esd" else "en",
            "label_raw": emotion,
            "emotion": emotion,
            "media_uri": uris,
        }
    )


def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
    random = np.random.default_rng(0)
    for view, ids in missing.items():
        width = TEXT.width if view == TEXT.view else SPEECH.width
        for utterance_id in ids:
            yield view, utterance_id, Features(random.standard_normal(width, dtype=np.float32))


def ingest(store: Store, folder: Path, model: str) -> object:
    for corpus in CORPORA:
        store.write_manifest(corpus, pl.read_parquet(folder / f"{corpus}.parquet"))
    return store.manifest().height


def ingest_again(store: Store, folder: Path, model: str) -> object:
    return ingest(store, folder, model)


def count(store: Store, folder: Path, model: str) -> object:
    from feature_repo.manifest_census import census

    return census(store.manifest()).corpora.height


def split(store: Store, folder: Path, model: str) -> object:
    from feature_repo.split_making import make_split

    made = make_split("scale", store.manifest())
    store.splits.save(made)
    return made.digest


def leakage(store: Store, folder: Path, model: str) -> object:
    from feature_repo.leakage import check_leakage

    found = check_leakage(store.splits.load("scale"), store.manifest())
    assert not found.leaks
    return found.recurring["texts_in_train"].sum()


def features(store: Store, folder: Path, model: str) -> object:
    from feature_repo.fill import fill

    report = fill(store, [TEXT, SPEECH], compute)
    store.catalog.set("default", {"text": TEXT.view, "speech": SPEECH.view})
    return report.computed


def first_pull(store: Store, folder: Path, model: str) -> object:
    return len(store.pull(["text", "speech"]))


def pull(store: Store, folder: Path, model: str) -> object:
    return len(store.pull(["text", "speech"]))


def epoch(store: Store, folder: Path, model: str) -> object:
    import torch

    from trainers.fusion.config import GatedFusionConfig, TokenTransformerConfig
    from trainers.train import train

    torch.set_num_threads(1)
    config = (TokenTransformerConfig if model == "token-transformer" else GatedFusionConfig)(max_epochs=1)
    done = train(store, ["text", "speech"], config=config, protocol="split:scale", join="outer")
    return len(done.plan.splits[0].train)


STAGES: dict[str, Callable[[Store, Path, str], object]] = {
    "ingest": ingest,
    "ingest again": ingest_again,
    "manifest": count,
    "split": split,
    "leakage": leakage,
    "features": features,
    "pull, first": first_pull,
    "pull": pull,
    "epoch": epoch,
}


def run_stage(stage: str, folder: Path, model: str) -> None:
    """Run one stage in this process and print what it took as JSON."""
    from tests.benchmarks.bench_pull import peak_during

    store = open_store(str(folder / "store"), cache=str(folder / "cache"))
    if stage == "epoch":
        import torch  # noqa: F401, its import is no part of an epoch

        import trainers.train  # noqa: F401
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    peak, result = peak_during(lambda: STAGES[stage](store, folder, model))
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(json.dumps({"seconds": seconds, "processor": used, "memory": peak, "result": result}))


def measure(folder: Path, share: float, model: str) -> dict[str, dict[str, Any]]:
    """What each stage takes for this share of every corpus."""
    folder.mkdir()
    init_store(str(folder / "store"), cache=str(folder / "cache"))
    for corpus in CORPORA:
        corpus_rows(corpus, share, folder / "media").write_parquet(folder / f"{corpus}.parquet")
    taken = {}
    for stage in STAGES:
        command = [sys.executable, "-m", "tests.benchmarks.bench_scale", "--stage", stage]
        command += ["--folder", str(folder), "--model", model]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{stage}: {done.stderr}")
        taken[stage] = json.loads(done.stdout.splitlines()[-1])
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--model", choices=("gated", "token-transformer"), default="gated")
    parser.add_argument("--folder", type=Path, help="where the temporary stores lie")
    parser.add_argument("--stage", choices=list(STAGES), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        run_stage(given.stage, given.folder, given.model)
        return
    share = given.rows / ROWS
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        tenth = measure(Path(name) / "tenth", share / 10, given.model)
        whole = measure(Path(name) / "whole", share, given.model)
    print(
        f"{tenth['ingest']['result']:,} and {whole['ingest']['result']:,} utterances of {len(CORPORA)} corpora"
    )
    print(f"{'stage':<14}{'tenth':>9}{'whole':>9}{'processor':>11}{'ratio':>8}{'memory':>11}{'ratio':>8}")
    late = []
    for stage, large in whole.items():
        small = tenth[stage]
        ratio = large["processor"] / max(small["processor"], 1e-3)
        memory = large["memory"] / max(small["memory"], 2**20)
        print(
            f"{stage:<14}{small['seconds']:>7.2f} s{large['seconds']:>7.2f} s{large['processor']:>9.2f} s{ratio:>8.1f}"
            f"{large['memory'] / 2**20:>7.0f} MiB{memory:>8.1f}"
        )
        if ratio > LINEAR:
            late.append(stage)
    print(
        f"linear (at most {LINEAR:g} times a tenth): {'MISSED by ' + ', '.join(late) if late else 'all stages'}"
    )


if __name__ == "__main__":
    main()
