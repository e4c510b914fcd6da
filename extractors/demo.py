"""The demonstration: the real command line, step by step, on a corpus whose faults are known beforehand."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape

from extractors.corpora.demo_corpus import MEDIA, PLANTED, DemoCorpus, make_demo_corpus
from feature_repo.console import Table, console, err

CORPUS = "demo"
PROFILE = "wheels"
COMBINATIONS = (("text",), ("speaker", "speech"), ("text", "speaker", "speech"))


@dataclass(frozen=True)
class Step:
    """One command of the demonstration: what to say before it, and its arguments."""

    why: str
    arguments: tuple[str, ...]
    needed: bool = False  # without it the rest makes no sense


@dataclass
class Demo:
    """A demonstration in a folder: ``corpus``, ``store``, ``cache`` and ``pulled`` below it.

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
    """Make the corpus, go the whole way by the command line, and compare what failed with what was broken by intent.

    Args:
        folder: made if absent; a second run in the same folder computes and trains nothing again.

    Returns:
        Whether every command succeeded and the faults found are exactly the planted ones.
    """
    demo = Demo(folder.expanduser().absolute())
    corpus = _make_corpus(demo)
    first = _stored(demo)
    runs_before = _runs(demo) if first else set()
    for step in _steps(demo):
        if not demo.run(step) and step.needed:
            return False
    return _summary(demo, corpus, first, runs_before)


def _make_corpus(demo: Demo) -> DemoCorpus:
    from rich.progress import Progress

    console.print("[bold]affectstore, the whole way[/bold]: every command below is one that you can type.")
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("speaking and drawing", total=None)
        corpus = make_demo_corpus(demo.folder / "corpus", on_clip=lambda count: progress.advance(task, count))
    made = "made" if corpus.made else "there already"
    console.print(
        f"A corpus of {corpus.utterances} made-up utterances in MELD's layout, {len(corpus.planted)} of them with"
        f" broken clips ({made}): {corpus.folder}",
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


def _steps(demo: Demo) -> list[Step]:
    corpus = str(demo.folder / "corpus")
    pulled = demo.folder / "pulled"
    pulled.mkdir(exist_ok=True)
    steps = [
        Step("An empty store.", ("init",), needed=True),
        Step(
            "Read the corpus: one manifest row per utterance. Missing clips are counted, not hidden.",
            ("ingest", "meld", corpus, "--media", f"{corpus}/{MEDIA}", "--name", CORPUS),
            needed=True,
        ),
        Step(
            "Compute every embedding once, with models whose weights come in Python packages.",
            ("extract", "--profile", PROFILE),
            needed=True,
        ),
        Step(
            "The same again: what is stored is not computed a second time, no model is even loaded.",
            ("extract", "--profile", PROFILE),
        ),
        Step("What there is.", ("status",)),
        Step("What failed, and why.", ("faults",)),
        Step("Register everything in Feast: a view per table, a service per combination.", ("register",)),
    ]
    for slots in COMBINATIONS:
        output = str(pulled / f"{'_'.join(slots)}.npz")
        arguments = ("pull", *slots, "--corpus", CORPUS, "-o", output)
        steps.append(Step(f"Pull {_and(slots)}, aligned by utterance.", arguments))
    for slots in COMBINATIONS:
        arguments = ("train", "--slots", ",".join(slots), "--corpus", CORPUS, "--seeds", "0")
        steps.append(Step(f"Train on {_and(slots)}: from stored numbers, nothing is extracted.", arguments))
    steps.append(Step("The runs side by side.", ("runs",)))
    return steps


@dataclass(frozen=True)
class _Stored:
    """What lies in a view's table: parts are immutable, so the same names are the same numbers."""

    rows: int
    parts: tuple[str, ...]


def _stored(demo: Demo) -> dict[str, _Stored]:
    """The store's views; empty before the first extraction."""
    from feature_repo.errors import StoreFormatError
    from feature_repo.store import open_store

    try:
        store = open_store(str(demo.store), cache=str(demo.folder / "cache"))
    except StoreFormatError:
        return {}
    tables = {view: store.table(view) for view in store.views()}
    return {view: _Stored(table.live_keys().height, tuple(table.parts())) for view, table in tables.items()}


def _and(slots: Sequence[str]) -> str:
    return " and ".join((", ".join(slots[:-1]), slots[-1])) if len(slots) > 1 else slots[0]


def _runs(demo: Demo) -> set[str]:
    return {str(run.get("key", number)) for number, run in enumerate(demo.ask("runs") or ())}


def _summary(demo: Demo, corpus: DemoCorpus, before: Mapping[str, _Stored], runs_before: set[str]) -> bool:
    stored, runs = _stored(demo), _runs(demo)
    faults: Sequence[Mapping[str, Any]] = demo.ask("faults") or ()
    console.print()
    console.rule("[bold]What happened[/bold]", align="left")
    if before == stored:
        console.print("features: all were stored by an earlier run of the demo, 0 computed")
    else:
        console.print(
            f"features: {sum(view.rows for view in stored.values())} rows computed and stored in {len(stored)} views"
        )
    new = len(runs - runs_before)
    console.print(
        f"training: {len(runs)} runs, {new} new" + ("" if new else " (a finished run is not run again)")
    )
    as_planted = _compare(demo, corpus, faults)
    table = Table("command", "seconds", title="Time", title_justify="left")
    table.columns[1].justify = "right"
    for command, seconds in demo.seconds:
        table.add_row(escape(command.replace(str(demo.folder), demo.folder.name)), f"{seconds:.1f}")
    table.add_row("[bold]together[/bold]", f"{sum(seconds for _, seconds in demo.seconds):.1f}")
    console.print(table)
    for what, place in (
        ("corpus", corpus.folder),
        ("broken by intent", corpus.folder / PLANTED),
        ("store", demo.store),
        ("features", demo.store / "features"),
        ("runs", demo.store / "runs"),
        ("pulled arrays", demo.folder / "pulled"),
    ):
        console.print(f"{what:>17}  {place}", highlight=False, markup=False, soft_wrap=True)
    if demo.failed:
        err.print(f"{len(demo.failed)} commands failed: {'; '.join(demo.failed)}", style="red", markup=False)
    console.print("Run [cyan]affectstore demo[/cyan] again: nothing will be computed a second time.")
    return as_planted and not demo.failed


def _compare(demo: Demo, corpus: DemoCorpus, faults: Sequence[Mapping[str, Any]]) -> bool:
    """Print planted against found; True if every view made from media failed on each of them and on nothing else."""
    from feature_repo.store import open_store

    store = open_store(str(demo.store), cache=str(demo.folder / "cache"))
    media_views = [view for view in store.views() if store.recipe(view).reads == "media"]
    found: dict[tuple[str, str], str] = {}
    for row in faults:
        found[str(row["view"]), str(row["utterance_id"]).removeprefix(f"{CORPUS}/")] = str(row["error"])
    table = Table("utterance", "broken by intent", "found", "in views", title="Faults", title_justify="left")
    for key in sorted({*corpus.planted, *(key for _, key in found)}):
        planted = corpus.planted.get(key)
        reasons = sorted({error for (_, other), error in found.items() if other == key})
        views = [view for view, other in found if other == key]
        colour = "green" if planted and sorted(views) == sorted(media_views) else "red"
        table.add_row(
            key, planted or "no", f"[{colour}]{', '.join(reasons) or 'not found'}[/]", str(len(views))
        )
    console.print(table)
    agree = set(found) == {(view, key) for view in media_views for key in corpus.planted}
    if agree:
        console.print(f"all {len(corpus.planted)} planted faults were found, and no other utterance failed")
    else:
        err.print("what failed is not what was broken by intent", style="red")
    return agree
