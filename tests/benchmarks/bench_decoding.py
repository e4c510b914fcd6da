"""Decoding: against bare PyAV doing the same, once for everybody against once for each, and an hour's memory.

``python -m tests.benchmarks.bench_decoding [turns]``; the goal of the first is 0.9. With AFFECTSTORE_SAMPLES it runs on
the real clips there, else on clips that it makes. The sides take turns and the best turn counts, and the ratio of
processor time stands beside that of the clock: on a shared machine the clock alone mostly measures the others.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import polars as pl

from extractors.clip import decode_clip
from extractors.frame_extractor import FrameExtractor
from extractors.protocol import Extractor, Frame, Item
from extractors.runner import Runner
from extractors.sampling import frame_times
from extractors.settings import Settings
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from tests.extractors.numbered_video import write_video

HOUR_S = 3600


class Watching(FrameExtractor):
    """Looks at the sampled frames and keeps a 112 x 112 crop, as an extractor of faces does; no model."""

    name, modality, Settings = "watching", "faces", Settings
    uses_device = False

    @property
    def sampling(self):
        return "seconds"

    def recipes(self) -> Mapping[str, Recipe]:
        return {"faces_steps": Recipe("faces", self.name, 1, "media", "steps", 1)}

    def cost(self, item: Item) -> float:
        return len(item.seen)

    def load(self, device: str) -> None:
        pass

    def look(self, frames: Sequence[Frame]) -> list[Any]:
        return [frame.image[:112, :112].copy() for frame in frames]

    def extract(self, batch: Sequence[Item]) -> list[Any]:
        return [{"faces_steps": Features(np.ones((len(item.seen), 1), np.float32))} for item in batch]


class Hearing(Extractor):
    """Takes the sound and does nothing with it."""

    needs, Settings = "audio", Settings
    uses_device = False

    def __init__(self, name: str, modality: str) -> None:
        super().__init__(Settings())
        self.name, self.modality = name, modality

    def recipes(self) -> Mapping[str, Recipe]:
        return {self.modality: Recipe(self.modality, self.name, 1, "media", "pooled", 1)}

    def cost(self, item: Item) -> float:
        return len(item.audio)

    def load(self, device: str) -> None:
        pass

    def extract(self, batch: Sequence[Item]) -> list[Any]:
        return [{self.modality: Features(np.ones(1, np.float32))} for _ in batch]


def clips(folder: Path) -> list[str]:
    samples = os.environ.get("AFFECTSTORE_SAMPLES")
    if samples:
        found = [*Path(samples, "data", "clips").glob("*.mp4"), *Path(samples, "data", "clips").glob("*.mov")]
        if found:
            return sorted(map(str, found))
    sound = np.random.default_rng(0).normal(0, 0.1, (1, 12 * 16_000)).astype(np.float32)
    options = {"codec": "libx264", "b_frames": 2, "size": (640, 360), "sound": sound}
    return [write_video(folder / f"{n}.mp4", 300, 25, **options) for n in range(8)]


def bare(path: str) -> int:
    """The frames that a plain loop decodes until it has the sampled ones in RGB."""
    count = 0
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        wanted = frame_times(float(stream.duration * stream.time_base), "seconds")
        for frame in container.decode(stream):
            count += 1
            while wanted and frame.time >= wanted[0]:
                frame.to_ndarray(format="rgb24")
                wanted.pop(0)
            if not wanted:
                break
    return count


def turns_of(sides: Mapping[str, Callable[[], Any]], turns: int) -> tuple[dict[str, float], dict[str, float]]:
    """Best clock and processor seconds of each side."""
    clock = {name: float("inf") for name in sides}
    processor = dict(clock)
    for side in sides.values():
        side()
    for _ in range(turns):
        for name, side in sides.items():
            started = time.perf_counter(), time.process_time()
            side()
            clock[name] = min(clock[name], time.perf_counter() - started[0])
            processor[name] = min(processor[name], time.process_time() - started[1])
    return clock, processor


def against_bare(paths: Sequence[str], turns: int) -> None:
    """Sums of each clip's best turns, so that a neighbour's burst spoils one turn of one clip."""
    watcher = Watching(Settings())
    count = sum(map(bare, paths))
    clock: Counter[str] = Counter()
    processor: Counter[str] = Counter()
    for path in paths:
        sides: dict[str, Callable[[], Any]] = {
            "bare PyAV": lambda path=path: bare(path),
            "decode_clip": lambda path=path: decode_clip(path, sound=False, watchers=[watcher]),
        }
        best = turns_of(sides, turns)
        clock.update(best[0])
        processor.update(best[1])
    print(f"{len(paths)} clips, {count} frames decoded on one thread, best of {turns} turns")
    for name in clock:
        ratio, of_processor = (times["bare PyAV"] / times[name] for times in (clock, processor))
        rate = count / clock[name]
        print(f"  {name:32} {rate:6.0f} frames/s   ratio {ratio:.2f}   of processor time {of_processor:.2f}")


def once_against_each(paths: Sequence[str], turns: int) -> None:
    ids = [f"c/{n}" for n in range(len(paths))]
    nothing = {"media_size": [Path(path).stat().st_size for path in paths], "start_s": None, "end_s": None}
    rows = pl.DataFrame(
        {"utterance_id": ids, "media_uri": list(paths), **nothing},
        schema_overrides={"start_s": pl.Float64, "end_s": pl.Float64},
    )
    ears = [Hearing("speaker", "speaker"), Hearing("asr", "transcript")]
    eye, second = Watching(Settings()), Watching(Settings())
    second.name = "second"

    def run(chosen: Sequence[Extractor]) -> None:
        runner = Runner(chosen, rows, device="cpu", decode_threads=2)
        for _ in runner.compute({recipe.view: ids for recipe in runner.recipes()}):
            pass

    for what, extractors in (
        ("sound, faces and speech recognition", [*ears, eye]),
        ("the same and faces by a second encoder", [*ears, eye, second]),
    ):
        sides: dict[str, Callable[[], Any]] = {
            "a decode for each": lambda extractors=extractors: [run([each]) for each in extractors],
            "one decode": lambda extractors=extractors: run(extractors),
        }
        clock, processor = turns_of(sides, turns)
        print(f"{what}: through the runner, without models, two files side by side")
        for name in sides:
            faster, of_processor = (times["a decode for each"] / times[name] for times in (clock, processor))
            seconds = f"{clock[name]:6.2f} s   {faster:.2f} times"
            print(f"  {name:32} {seconds}   of processor time {of_processor:.2f}")


def peak_mib() -> float:
    """Largest resident size of this process; ``getrusage`` would count that of the process before it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def hours_memory(path: str, sound: bool) -> None:
    """Printed by a process of its own, since the largest resident size never shrinks."""
    decode_clip(path, 0.0, 60.0, sound=sound, watchers=[Watching(Settings())])
    before = peak_mib()
    started = time.perf_counter()
    clip = decode_clip(path, sound=sound, watchers=[Watching(Settings())])
    seconds = time.perf_counter() - started
    grown = peak_mib() - before
    kept = sum(crop.nbytes for crop in clip.seen[0]) / 2**20
    heard = clip.sound.samples.nbytes / 2**20 if clip.sound else 0.0
    what = "frames and sound" if sound else "frames"
    print(
        f"  {what:32} {seconds:6.2f} s   {grown:.0f} MiB more at the peak; of it kept: "
        f"{kept:.0f} MiB of {len(clip.seen[0])} crops, {heard:.0f} MiB of sound"
    )


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "hour":
        hours_memory(sys.argv[2], sys.argv[3] == "sound")
        return
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        paths = clips(Path(folder))
        against_bare(paths, turns)
        once_against_each(paths, turns)
        sound = np.zeros((1, HOUR_S * 8000), np.float32)
        sound[0, ::80] = 0.3
        options = {"size": (160, 90), "sound": sound, "sound_rate": 8000, "sound_codec": "pcm_s16le"}
        hour = write_video(Path(folder) / "hour.mkv", HOUR_S * 5, 5, **options)
        print("an hour of 160 x 90 at 5 frames/s, with sound")
        for what in ("frames", "sound"):
            subprocess.run([sys.executable, __file__, "hour", hour, what], check=True)


if __name__ == "__main__":
    main()
