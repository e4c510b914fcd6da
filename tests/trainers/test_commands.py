"""The commands end to end, and what they answer to slips."""

import json
import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from feature_repo.errors import AffectStoreError
from tests.trainers.conftest import Planted
from trainers.commands import add_commands

APP = typer.Typer()
add_commands(APP)
FAST = ["--set", "max_epochs=2"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    from feature_repo.console import console, err

    monkeypatch.setattr(console, "_width", 240)
    monkeypatch.setattr(err, "_width", 240)


def _run(planted: Planted, *words: str) -> str:
    result = CliRunner().invoke(APP, [*words, "--root", planted.store.root], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _records(planted: Planted, *words: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(APP, [*words, "--json", "--root", planted.store.root], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    told: list[dict[str, Any]] = json.loads(result.stdout)
    return told


def test_train_tells_scores_and_what_was_pulled_and_keeps_finished_runs(planted: Planted) -> None:
    words = ["train", "--slots", "text, speech", "--seeds", "0,1", *FAST]
    told = _run(planted, *words)
    assert "mean ± deviation" in told
    assert planted.speech.view in told
    assert "2 run(s) trained, 0 finished before" in told
    again = _run(planted, *words)
    assert "0 run(s) trained, 2 finished before" in again
    mean = sum(record["scores"]["test"]["uar"] for record in _records(planted, "runs")) / 2
    assert f"{mean:.4f} ±" in told


def test_runs_lists_and_shows(planted: Planted) -> None:
    assert "no runs yet" in _run(planted, "runs")
    (record,) = _records(planted, "train", "--slots", "text", "--seeds", "4", *FAST)
    listed = _run(planted, "runs")
    assert record["key"] in listed
    shown = _run(planted, "runs", record["key"][:6])
    assert "assumed: given; papers/000 III-B2 has 100" in shown
    assert "papers/000 III-B2" in shown
    for counts in record["confusion"]:
        assert all(str(count) in shown for count in counts)
    assert _records(planted, "runs", record["key"])["key"] == record["key"]  # type: ignore[call-overload]


def test_embed_stores_the_layer(planted: Planted) -> None:
    (record,) = _records(planted, "train", "--slots", "text", "--seeds", "0", *FAST)
    told = _run(planted, "embed", record["key"])
    assert "240 computed" in told
    (view,) = [name for name in planted.store.views() if "adapter" in name]
    assert view in told
    assert "240 were there" in _run(planted, "embed", record["key"])


def test_the_model_is_chosen_by_name(planted: Planted) -> None:
    words = ["train", "--slots", "text", "--seeds", "0", "--model", "kan", "--set", "hidden=[8,4]", *FAST]
    (record,) = _records(planted, *words)
    assert (record["trainer"], record["hidden"]) == ("kan", [8, 4])
    assert "KAN adapter without its settings" in _run(planted, "runs", record["key"])


def test_folds_by_speaker(planted: Planted) -> None:
    words = [
        "train",
        "--slots",
        "text",
        "--protocol",
        "speaker-folds",
        "--folds",
        "3",
        "--fold",
        "1",
        "--seeds",
        "0",
    ]
    (record,) = _records(planted, *words, *FAST)
    assert (record["protocol"], record["folds"], record["fold"]) == ("speaker-folds", 3, 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["train", "--slots", "text", "--set", "speed=1"],
            "unknown config key 'speed'; allowed: accumulate, batch_size",
        ),
        (["train", "--slots", "text", "--set", "lr=fast"], "config key 'lr'"),
        (
            ["train", "--slots", "text", "--model", "cnn"],
            "unknown model 'cnn'; allowed: conversation, cross-modal-transformer, gated, kan, mamba, ",
        ),
        (["train", "--slots", "text", "--set", "grid=3"], "unknown config key 'grid'"),
        (["train", "--slots", "text", "--seeds", "one"], "seeds 'one'"),
        (["train", "--slots", "text", "--seeds", "1,1"], "each once"),
        (
            ["train", "--slots", "text", "--protocol", "random"],
            "'random'; allowed: official, session-folds, speaker-folds",
        ),
        (["train", "--slots", "text", "--corpus", "meld"], "'meld'; allowed: toy"),
        (["train", "--slots", "text", "--labels", "nine"], "'nine'; allowed: "),
        (["train", "--slots", "text", "--device", "tpu"], "device 'tpu'; allowed: auto, cpu, cuda"),
        (["train", "--slots", "text", "--set", "class_weights.happy=2"], "'happy'; allowed: "),
        (["runs", "ffff"], "unknown finished run 'ffff'"),
        (["embed", "ffff"], "unknown finished run 'ffff'"),
    ],
)
def test_slips_are_named_with_what_is_allowed(planted: Planted, words: list[str], told: str) -> None:
    result = CliRunner().invoke(APP, [*words, "--root", planted.store.root])
    assert isinstance(result.exception, AffectStoreError)
    assert told in str(result.exception)
    assert planted.store.files.list_folders("runs") == []


def test_help_imports_no_torch() -> None:
    code = (
        "import sys, typer, trainers.commands as c; a = typer.Typer(); c.add_commands(a); typer.main.get_command(a);"
        "print([m for m in ('torch', 'polars', 'omegaconf', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
