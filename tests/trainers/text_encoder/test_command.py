"""The command end to end, what it answers to slips, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from feature_repo.errors import AffectStoreError
from feature_repo.store import Store, open_store
from trainers.commands import add_commands
from trainers.runs.run import finished_runs

ROOT = Path(__file__).parents[3]
APP = typer.Typer()
add_commands(APP)
FAST = ["--set", "per_emotion=36", "--set", "epochs=1", "--set", "lr=1e-3"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    from feature_repo.console import console, err

    monkeypatch.setattr(console, "_width", 240)
    monkeypatch.setattr(err, "_width", 240)


def invoke(store: Store, *words: str) -> Result:
    return CliRunner().invoke(APP, [*words, "--root", store.root, "--device", "cpu"], catch_exceptions=False)


def cells(told: str, row: str) -> list[str]:
    (line,) = [line for line in told.splitlines() if line.split() and line.split()[0] == row]
    return line.split()[1:]


def test_the_plan_is_source_by_emotion(texts: Store) -> None:
    result = invoke(texts, "finetune", "--plan", *FAST)
    assert result.exit_code == 0, result.output
    # neutral, surprise, fear, sadness, joy, disgust, anger, all
    eighteen = ["18", "(40)"]
    assert cells(result.output, "crowdflower") == [*eighteen * 2, "-", *eighteen * 2, "-", *eighteen, "90"]
    assert cells(result.output, "all") == ["36", "36", "30", "36", "36", "30", "36", "240"]
    assert "missing: fear 6, disgust 6" in result.output
    assert finished_runs(texts.files) == []
    repeated = invoke(texts, "finetune", "--plan", "--set", "shortfall=oversample", *FAST).output
    assert "train, oversampled" in repeated


def test_it_trains_once_and_is_listed(texts: Store, tiny_encoder: Path) -> None:
    words = ["finetune", "--model", str(tiny_encoder), *FAST]
    result = invoke(texts, *words)
    assert result.exit_code == 0, result.output
    (run,) = finished_runs(texts.files)
    folder = Path(texts.root) / "models" / run.key
    assert f"extract -e sentence -s model={folder}" in result.output
    assert f"{run.record['scores']['test']['weighted_f1']:.4f}" in result.output
    again = invoke(texts, *words)
    assert f"run {run.key} was finished before" in again.output
    told = json.loads(invoke(texts, *words, "--json").stdout)
    assert told["weights"] == run.record["weights"]
    listed = CliRunner().invoke(APP, ["runs", "--all", "--root", texts.root], catch_exceptions=False)
    assert run.key in listed.output
    shown = CliRunner().invoke(APP, ["runs", run.key, "--root", texts.root], catch_exceptions=False)
    assert "papers/000 III-B1c has 2e-05" in shown.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "speed=1"], "unknown config key 'speed'; allowed: accumulate"),
        (["--set", "precision=float16"], "precision 'float16' needs a GPU"),
        (["--corpus", "isear"], "unknown corpus 'isear'; allowed: crowdflower, goemotions"),
        (["--corpus", "crowdflower"], "no text of class 'fear' in crowdflower"),
        (["--labels", "nine"], "unknown label scheme 'nine'"),
        (["--model", "/nowhere"], "model '/nowhere': no such folder"),
    ],
)
def test_slips_are_told(texts: Store, tiny_encoder: Path, words: list[str], told: str) -> None:
    with pytest.raises(AffectStoreError) as error:
        invoke(texts, "finetune", "--model", str(tiny_encoder), *FAST, *words)
    assert told in str(error.value)


SCRIPT = """
import sys
import typer
from trainers.text_encoder import fitting
from trainers.text_encoder.command import finetune

fitting._SAVE_SECONDS = 0.0
check = fitting.predict


def announced(*arguments):
    print("validating", flush=True)
    return check(*arguments)


fitting.predict = announced
typer.run(finetune)
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_a_signal_ended_goes_on_to_the_same_weights(
    texts: Store, tiny_encoder: Path, kind: signal.Signals
) -> None:
    words = ["--root", texts.root, "--model", str(tiny_encoder), "--device", "cpu"]
    more = ["--set", "per_emotion=36", "--set", "epochs=40", "--set", "lr=1e-3"]
    command = [sys.executable, "-c", SCRIPT, *words, *more]
    began = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert began.stdout is not None
    for line in began.stdout:
        if "validating" in line:
            break
    began.send_signal(kind)
    _, errors = began.communicate(timeout=600)
    assert finished_runs(open_store(texts.root).files) == []
    if kind is not signal.SIGKILL:
        assert began.returncode == 130
        assert "the same command goes on from here" in errors
        assert "the best so far (step" in errors
    result = invoke(texts, "finetune", *words[2:4], *more)
    assert result.exit_code == 0, result.output
    (ended,) = finished_runs(texts.files)
    texts.files.remove_folder(f"runs/{ended.key}")
    invoke(texts, "finetune", *words[2:4], *more)
    (whole,) = finished_runs(texts.files)
    assert (whole.key, whole.record["weights"]) == (ended.key, ended.record["weights"])
