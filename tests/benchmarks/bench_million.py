"""A million synthetic utterances: planned, extracted, killed half way, resumed and pulled, with the memory of each.

Run it as ``python tests/benchmarks/bench_million.py [--rows 1000000] [--width 64] [--folder DIR]`` with PYTHONPATH
naming the repository. The extractor gives numbers drawn from a hash of the text, so what is measured is the store, the
runner and the fill loop. Each stage is a process of its own, told with the seconds that it took, its processor time and
the most memory it ever held, interpreter and libraries included.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from extractors.protocol import Extractor, Item, Outputs
from extractors.settings import Settings
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store, open_store

ROWS = 1_000_000
WIDTH = 64
PART_OF_RUN = 0.5  # after which the first extraction is killed
LIMIT_MIB = 2048  # no stage may hold more at a million utterances of 64 numbers


@dataclass(frozen=True)
class DrawnSettings(Settings):
    width: int = WIDTH


class Drawn(Extractor):
    """Numbers that a hash of the text decides."""

    name, modality, needs, Settings = "drawn", "text", "text", DrawnSettings
    uses_device = False

    def recipes(self) -> Mapping[str, Recipe]:
        return {"text": Recipe("text", self.name, 1, "text", "pooled", self.settings.width)}

    def cost(self, item: Item) -> float:
        return len(item.text)

    def load(self, device: str) -> None:
        pass

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        return [{"text": Features(drawn(item.text, self.settings.width))} for item in batch]


def drawn(text: str, width: int) -> np.ndarray:
    """``[width]`` float32 in 1 to 2, the same for the same text everywhere."""
    raw = hashlib.shake_128(text.encode()).digest(2 * width)
    return np.frombuffer(raw, "<u2").astype(np.float32) / 65_536 + 1


def text_of(number: int) -> str:
    return f"this is what utterance {number} says{' and more' * (number % 7)}"


def write_manifest(store: Store, rows: int, width: int) -> object:
    number = np.arange(rows)
    frame = pl.DataFrame(
        {
            "utterance_id": [f"big/dia{n // 10}_utt{n}" for n in number],
            "dialogue_id": [f"big/dia{n // 10}" for n in number],
            "turn": number % 10,
            "speaker_id": [f"big/{n % 5000}" for n in number],
            "text": [text_of(n) for n in number],
            "language": "en",
            "emotion": np.array(["neutral", "joy", "anger", "sadness"])[number % 4],
        }
    )
    return store.write_manifest("big", frame).total


def plan(store: Store, rows: int, width: int) -> object:
    from feature_repo.fill import plan

    recipe = Drawn(DrawnSettings(width=width)).recipes()["text"]
    return len(plan(store, [recipe])[recipe.view].keys)


def extract(store: Store, rows: int, width: int) -> object:
    from extractors.extraction import extract

    report, _ = extract(store, [Drawn(DrawnSettings(width=width))], profile="default")
    (view,) = report.views.values()
    return {"computed": view.computed, "up to date": view.up_to_date}


def pull(store: Store, rows: int, width: int) -> object:
    data = store.pull(["text"])
    for place in (0, rows // 2, rows - 1):
        number = int(data.ids[place].rpartition("utt")[2])
        np.testing.assert_array_equal(data.features["text"][place], drawn(text_of(number), width))
    return list(data.features["text"].shape)


STAGES = {"manifest": write_manifest, "plan": plan, "extract": extract, "resume": extract, "plan again": plan,
          "pull, first": pull, "pull": pull}  # fmt: skip


@dataclass(frozen=True)
class Taken:
    seconds: float
    processor: float
    mib: float
    result: object


def run_stage(stage: str, folder: Path, rows: int, width: int, kill_after: int = 0) -> Taken:
    """Run a stage in a process of its own; with ``kill_after``, kill -9 it once that many rows are committed."""
    command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder)]
    command += ["--rows", str(rows), "--width", str(width)]
    began = time.perf_counter()
    with (folder / "stage.out").open("w+") as out:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        process = subprocess.Popen(command, stdout=out, env=environment)
        if kill_after:
            _kill_when(process.pid, folder, kill_after * width * 4)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        told = out.read()
    killed = process.returncode == -signal.SIGKILL
    if process.returncode and not (kill_after and killed):
        raise RuntimeError(f"{stage} ended with {process.returncode}")
    result = "killed" if killed else json.loads(told.splitlines()[-1])
    processor = usage.ru_utime + usage.ru_stime
    return Taken(time.perf_counter() - began, processor, usage.ru_maxrss / 1024, result)


def _kill_when(pid: int, folder: Path, size: int) -> None:
    for _ in range(100_000):
        parts = list((folder / "store").glob("features/*/*.parquet"))
        if sum(part.stat().st_size for part in parts) >= size:
            os.kill(pid, signal.SIGKILL)
            return
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return  # it was faster
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--folder", type=Path, help="where the temporary store lies")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        store = open_store(str(given.folder / "store"), cache=str(given.folder / "cache"))
        print(json.dumps(STAGES[given.stage](store, given.rows, given.width)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        init_store(str(folder / "store"), cache=str(folder / "cache"))
        print(f"{given.rows:,} utterances of {given.width} numbers; load {os.getloadavg()[0]:.1f}")
        print(f"{'stage':<14}{'seconds':>9}{'processor':>11}{'memory':>12}  result")
        largest = 0.0
        for stage in STAGES:
            kill_after = round(given.rows * PART_OF_RUN) if stage == "extract" else 0
            taken = run_stage(stage, folder, given.rows, given.width, kill_after)
            largest = max(largest, taken.mib)
            print(
                f"{stage:<14}{taken.seconds:>9.1f}{taken.processor:>9.1f} s{taken.mib:>8.0f} MiB  {taken.result}",
                flush=True,
            )
        values = given.rows * given.width * 4 / 2**20
        print(f"most memory: {largest:.0f} MiB, of which the pulled matrix itself is {values:.0f} MiB")
        if given.rows <= ROWS and given.width <= WIDTH:
            print(f"at most {LIMIT_MIB} MiB: {'kept' if largest <= LIMIT_MIB else 'MISSED'}")


if __name__ == "__main__":
    main()
