"""Family B by the command line: a split, stage 1 from stored features, stage 2, fine-tuning; once it is killed."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load
from typer.testing import CliRunner

from affectstore import command_line
from feature_repo.console import console
from feature_repo.store import open_store
from tests.trainers.end_to_end.planted_recordings import Recordings
from trainers.experiments.experiment import load_experiment
from trainers.runs.run import Run, finished_runs

ROOT = Path(__file__).parents[3]
# The command line, in a process that saves after every epoch and, where it is told to, waits to be killed in one.
SCRIPT = """
import sys
from trainers import training_job
from trainers.runs import resumption

resumption._TIMES_THE_LAST = 0
stop, fit = int(sys.argv.pop(1)), training_job.fit

def watched(*args, on_epoch=None, **given):
    def told(epoch):
        if on_epoch:
            on_epoch(epoch)
        print("epoch", epoch.number, flush=True)
        if epoch.number == stop:
            sys.stdin.read()
    return fit(*args, on_epoch=told, **given)

training_job.fit = watched
from affectstore import main
main()
"""
SMALL = ("width=16", "depth=1", "heads=2", "batch_size=16", "precision=float32")


class Shell:
    """The command line on one store."""

    def __init__(self, recordings: Recordings) -> None:
        self.recordings = recordings
        self.root = recordings.store.root
        self.encoders = [f"{name}={folder}" for name, folder in recordings.settings.items()]

    def command(self, *words: str) -> str:
        """A command in this process, and what it printed."""
        result = CliRunner().invoke(command_line(), [*words, "--root", self.root], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def training(self, experiment: str, *settings: str, start: Run | None = None) -> list[str]:
        """The words of a training."""
        ours = self.encoders if load_experiment(experiment).model == "end-to-end" else []
        given = [word for setting in (*SMALL, *ours, *settings) for word in ("--set", setting)]
        begin = ["--start", start.key] if start else []
        return ["train", "-e", experiment, "--seeds", "0", "--profile", "default", *begin, *given]

    def process(self, *words: str, stop: int = 0) -> "subprocess.Popen[str]":
        """A command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(stop), *words, "--root", self.root],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, trainer: str, *, start: str | None = None) -> Run:
        """The one finished run of a model that began with another."""
        (found,) = (
            run
            for run in finished_runs(open_store(self.root).files)
            if run.record["trainer"] == trainer and run.record.get("start") == start
        )
        return found


@pytest.mark.long
def test_stage_1_stage_2_and_fine_tuning_with_a_kill_between(copied: Callable[[str], Recordings]) -> None:
    shell = Shell(copied("one"))
    told = shell.command("split", "audio-text", "-c", "ravdess", "-c", "meld")
    assert "audio-text" in told
    told = shell.command(*shell.training("003-b2", "max_epochs=4"))
    assert "62.1" in told  # the paper's accuracy on TestB beside ours
    stage_1 = shell.run("token-transformer")
    assert stage_1.record["protocol"].startswith("split")
    fast = ("max_epochs=4", "speech_lr=1e-3", "text_lr=1e-3", "ema=0.5", "frontend_frozen_epochs=2")
    # Stage 2 in a copy of the store is killed in its second epoch, with the convolutions still frozen.
    other = Shell(_copy(shell.recordings))
    words = shell.training("003-b3", *fast, start=stage_1)
    assert shell.process(*words).communicate(timeout=300)[0].count("epoch ") == 4
    killed = other.process(*words, stop=2)
    assert killed.stdout is not None
    while "epoch 2" not in killed.stdout.readline():
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    again = other.process(*words).communicate(timeout=300)[0]
    assert ("epoch 3" in again, "epoch 2" in again) == (True, False)
    whole, resumed = (one.run("end-to-end", start=stage_1.key) for one in (shell, other))
    assert resumed.key == whole.key
    assert resumed.checkpoint() == whole.checkpoint()
    assert resumed.epochs().drop("seconds").equals(whole.epochs().drop("seconds"))
    assert resumed.record["tuned"] == whole.record["tuned"]
    assert resumed.record["scores"] == whole.record["scores"]
    # Fine-tuning goes on with the tuned encoders, reads the turns before, and scores both selections.
    still = ("max_epochs=1", "lr=1e-12", "speech_lr=1e-12", "text_lr=1e-12")
    told = shell.command(*shell.training("003-b6", *still, start=whole))
    assert "audio-text-testa" in told
    assert "audio-text-testb" in told
    last = shell.run("end-to-end", start=whole.key)
    assert last.record["upstream"] == sorted([whole.key, stage_1.key])
    before, after = load(whole.checkpoint()), load(last.checkpoint())
    assert all(abs(before[name] - after[name]).max() < 1e-6 for name in before)
    # Its epoch changed next to nothing, so what changed is what was read: texts of conversations with their turns.
    moved = (
        whole.predictions()
        .join(last.predictions(), on="utterance_id")
        .filter((pl.col("p_joy") - pl.col("p_joy_right")).abs() > 1e-4)
    )
    assert any(name.startswith("meld/") for name in moved["utterance_id"])
    # The tuned encoders are models for `extract`.
    folder = Path(shell.root) / whole.record["tuned"]["text"]["folder"]
    shell.command("extract", "-e", "roberta", "-s", f"model={folder}", "--as", "tuned")
    tuned = open_store(shell.root).catalog.slots("tuned")
    assert tuned["text"].startswith("text_roberta_")
    told = shell.command("runs", last.key)
    assert whole.key in told  # what it began with


def _copy(recordings: Recordings) -> Recordings:
    root = f"{recordings.store.root}-killed"
    shutil.copytree(recordings.store.root, root)
    return Recordings(
        open_store(root), recordings.speech_model, recordings.text_model, recordings.speech, recordings.text
    )


@pytest.mark.long
def test_the_whole_family_by_one_suite(recordings: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", 240)  # a narrow table cuts its numbers
    shell = Shell(recordings)
    shell.command("split", "audio-text", "-c", "ravdess", "-c", "meld")
    given = [word for setting in (*SMALL, *shell.encoders, "max_epochs=1") for word in ("--set", setting)]
    told = shell.command("suite", "family-b", "--seeds", "0", "--profile", "default", *given)
    for number in range(10):
        assert f"b{number} " in told
    for paper in ("0.0606", "0.9238", "0.4339"):  # B0's and B9's cells
        assert paper in told
    runs = finished_runs(open_store(shell.root).files)
    # Where B3 is the better stage 2, B8 and B9 are the runs of B6 and B7.
    assert len(runs) in (9, 11)
    begun = {run.record.get("start") for run in runs}
    stage_2 = [run for run in runs if run.record["trainer"] == "end-to-end" and run.record.get("upstream")]
    assert len(stage_2) >= 5
    assert {run.key for run in runs if run.record["trainer"] == "token-transformer"} <= begun
