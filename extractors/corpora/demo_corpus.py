"""The demonstration corpus: 120 made-up utterances in MELD's layout, with things wrong at known places."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from extractors.corpora.demo_clip import Track, clip
from extractors.corpora.demo_face import LOOKS
from extractors.corpora.demo_planted import PLANTED, RECUT, SIX_CHANNELS
from extractors.corpora.demo_script import Line, script
from extractors.corpora.demo_transcripts import transcripts
from extractors.corpora.demo_voice import MANNERS, VOICES, Samples, speak

NAME = "demo"  # what the corpus is called in the store
MEDIA = "MELD.Raw"
TRANSCRIPTS = "transcripts.csv"
TOLD = "planted.json"
_VERSION = 3  # raised whenever the generated files change, so that an old folder is made anew
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


@dataclass(frozen=True)
class DemoCorpus:
    """Where a demonstration corpus lies, and what is wrong with it by intent.

    Attributes:
        folder: holds ``{train,dev,test}_sent_emo.csv``, ``MELD.Raw`` and ``transcripts.csv``.
        utterances: how many there are.
        made: False if it was there already.
    """

    folder: Path
    utterances: int
    made: bool


def make_demo_corpus(folder: Path, seed: int = 0, on_clip: Callable[[int], None] | None = None) -> DemoCorpus:
    """Write the demonstration corpus, unless the same one is there already.

    Args:
        folder: made if absent; ``planted.json`` in it is written last, so a half-made corpus is made again.
        seed: decides voices, words and faces; the same seed gives the same files.
        on_clip: told 1 after each clip.
    """
    lines = script(seed)
    identity = {
        "version": _VERSION,
        "seed": seed,
        "utterances": len(lines),
        "planted": PLANTED,
        "six channels": SIX_CHANNELS,
        "recut": RECUT,
    }
    told = folder / TOLD
    if told.is_file() and json.loads(told.read_text("utf-8")) == identity:
        return DemoCorpus(folder, len(lines), made=False)
    for split, place in _FOLDERS.items():
        (folder / MEDIA / place).mkdir(parents=True, exist_ok=True)
        (folder / f"{split}_sent_emo.csv").write_text(_annotations(lines, split), "utf-8", newline="")
    heard = transcripts(lines, NAME, np.random.default_rng((seed, len(lines))))
    (folder / TRANSCRIPTS).write_text(heard, "utf-8", newline="")
    for number, line in enumerate(lines):
        _write_clip(folder / MEDIA / _FOLDERS[line.split], line, np.random.default_rng((seed, number)))
        if on_clip:
            on_clip(1)
    told.write_text(json.dumps(identity, indent=2), "utf-8")
    return DemoCorpus(folder, len(lines), made=True)


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
    sound = speak(VOICES[line.person], MANNERS[line.emotion], 4 + len(line.text.split()) // 2, rng)
    kind = PLANTED.get(line.key)
    if kind == "file missing":
        path.unlink(missing_ok=True)
        return
    if kind == "file empty":
        path.write_bytes(b"")
        return
    if line.key == RECUT:
        path.write_bytes(clip(line.person, "neutral", sound[::-1]))
        path = path.with_name(f"final_videos_test{path.name}")
    played: Samples = np.zeros_like(sound) if kind == "silence" else sound
    track: Track = "5.1" if line.key == SIX_CHANNELS else "none" if kind == "no audio track" else "stereo"
    people = list(LOOKS)
    shown = line.person
    if kind == "somebody else's face":
        shown = people[people.index(shown) - 1]
    data = clip(shown, line.emotion, played, track=track, nobody=kind == "nobody in the picture")
    path.write_bytes(data[: len(data) * 2 // 5] if kind == "file truncated" else data)
