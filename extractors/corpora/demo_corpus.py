"""The demonstration corpus: 120 made-up utterances in MELD's layout, with broken clips at known places."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from extractors.corpora.demo_clip import clip
from extractors.corpora.demo_script import SPEAKERS, Line, script
from extractors.corpora.demo_voice import MANNERS, VOICES, Samples, speak

MEDIA = "MELD.Raw"
PLANTED = "planted.json"
_VERSION = 1  # raised whenever the generated files change, so that an old folder is made anew
_FOLDERS = {
    "train": "train/train_splits",
    "dev": "dev/dev_splits_complete",
    "test": "test/output_repeated_splits_test",
}
_HEADER = (
    *(
        "Sr No.",
        "Utterance",
        "Speaker",
        "Emotion",
        "Sentiment",
        "Dialogue_ID",
        "Utterance_ID",
        "Season",
        "Episode",
    ),
    *("StartTime", "EndTime"),
)
# Utterance -> what is wrong with its clip.
FAULTS = {
    "train/dia2_utt3": "truncated",
    "train/dia5_utt1": "missing",
    "train/dia7_utt4": "silent",
    "train/dia8_utt0": "empty",
    "test/dia1_utt2": "no audio track",
}
# This utterance's plain clip shows another scene; its re-cut is the right one, as for 132 clips of MELD's test folder.
RECUT = "test/dia0_utt3"


@dataclass(frozen=True)
class DemoCorpus:
    """Where a demonstration corpus lies, and what is wrong with it by intent.

    Attributes:
        folder: holds ``{train,dev,test}_sent_emo.csv`` and ``MELD.Raw``.
        utterances: how many there are.
        planted: utterance id without the corpus's name -> kind of fault.
        made: False if it was there already.
    """

    folder: Path
    utterances: int
    planted: dict[str, str]
    made: bool


def make_demo_corpus(folder: Path, seed: int = 0, on_clip: Callable[[int], None] | None = None) -> DemoCorpus:
    """Write the demonstration corpus, unless the same one is there already.

    Args:
        folder: made if absent; ``planted.json`` in it is written last, so a half-made corpus is made again.
        seed: decides voices, words and faces; the same seed gives the same files.
        on_clip: told 1 after each clip.
    """
    lines = script(seed)
    identity = {"version": _VERSION, "seed": seed, "utterances": len(lines), "faults": FAULTS, "recut": RECUT}
    corpus = DemoCorpus(folder, len(lines), dict(FAULTS), made=True)
    planted = folder / PLANTED
    if planted.is_file() and json.loads(planted.read_text("utf-8")) == identity:
        return DemoCorpus(folder, len(lines), dict(FAULTS), made=False)
    for split, place in _FOLDERS.items():
        (folder / MEDIA / place).mkdir(parents=True, exist_ok=True)
        (folder / f"{split}_sent_emo.csv").write_text(_annotations(lines, split), "utf-8", newline="")
    for number, line in enumerate(lines):
        _write_clip(folder / MEDIA / _FOLDERS[line.split], line, np.random.default_rng((seed, number)))
        if on_clip:
            on_clip(1)
    planted.write_text(json.dumps(identity, indent=2), "utf-8")
    return corpus


def _annotations(lines: list[Line], split: str) -> str:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(_HEADER)
    for number, line in enumerate((line for line in lines if line.split == split), 1):
        start = 60 * line.dialogue + 4 * line.turn  # in the made-up episode, as MELD's times are
        times = tuple(f"00:{at // 60:02}:{at % 60:02},000" for at in (start, start + 3))
        labels = (line.text, line.speaker, line.emotion, line.sentiment)
        writer.writerow((number, *labels, line.dialogue, line.turn, 1, 1, *times))
    return sink.getvalue()


def _write_clip(folder: Path, line: Line, rng: np.random.Generator) -> None:
    path = folder / f"dia{line.dialogue}_utt{line.turn}.mp4"
    sound = speak(VOICES[line.speaker], MANNERS[line.emotion], 4 + len(line.text.split()) // 2, rng)
    speaker = SPEAKERS.index(line.speaker)
    fault = FAULTS.get(line.key)
    if fault == "missing":
        path.unlink(missing_ok=True)
        return
    if fault == "empty":
        path.write_bytes(b"")
        return
    if line.key == RECUT:
        path.write_bytes(clip(speaker, "neutral", sound[::-1]))
        path = path.with_name(f"final_videos_test{path.name}")
    played: Samples = np.zeros_like(sound) if fault == "silent" else sound
    data = clip(speaker, line.emotion, played, with_sound=fault != "no audio track")
    path.write_bytes(data[: len(data) * 2 // 5] if fault == "truncated" else data)
