"""The commands end to end, and what they answer to slips."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from feature_repo.errors import AffectStoreError
from feature_repo.recipe import Recipe
from feature_repo.selections import NamedSelection
from feature_repo.splits import SavedSplit
from tests.trainers.conftest import Planted
from trainers.commands import add_commands
from trainers.runs.run import finished_runs

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
    assert record["group"] in _run(planted, "runs")
    assert record["key"] in _run(planted, "runs", "--all")
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


def test_embed_puts_its_view_into_a_profile(planted: Planted) -> None:
    faces = Recipe("faces", "planted", 1, "text", "pooled", 4)  # what quality control works on
    planted.store.ensure_table(faces)
    planted.store.catalog.set("default", {"faces": faces.view})
    (record,) = _records(planted, "train", "--slots", "text", "--seeds", "0", *FAST)
    told = _run(planted, "embed", record["key"], "--profile", "adapted")
    (view,) = [name for name in planted.store.views() if "adapter" in name]
    assert "profile adapted means it by text" in told
    # The rest of a new profile is what the slots mean anyway; of a profile that is there only this slot changes.
    assert planted.store.catalog.slots("adapted") == {"text": view, "speech": planted.speech.view}
    planted.store.catalog.set("mine", {"speech": "other"})
    _run(planted, "embed", record["key"], "--profile", "mine")
    assert planted.store.catalog.slots("mine") == {"text": view, "speech": "other"}


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
        (["train"], "--slots is missing; allowed: slots or views by commas"),
        (["train", "--slots", "text", "--set", "lr"], "setting 'lr' is not of the form key=value"),
        (["train", "--slots", "text", "--join", "left"], "unknown join 'left'; allowed: inner, outer"),
        (["train", "--slots", "text", "--set", "lr=fast"], "config key 'lr'"),
        (
            ["train", "--slots", "text", "--model", "cnn"],
            "unknown model 'cnn'; allowed: conversation, cross-modal-transformer, end-to-end, gated, kan, mamba, ",
        ),
        (["train", "--slots", "text", "--set", "grid=3"], "unknown config key 'grid'"),
        (["train", "--slots", "text", "--seeds", "one"], "seeds 'one'"),
        (["train", "--slots", "text", "--seeds", "1,1"], "each once"),
        (
            ["train", "--slots", "text", "--protocol", "random"],
            "'random'; allowed: leave-corpus-out, official, session-folds, speaker-folds",
        ),
        (["train", "--slots", "text", "--protocol", "split:mine"], "unknown split 'mine'; allowed: none"),
        (["train", "--slots", "text", "--train-corpus", "acted"], "domain 'acted'; allowed: other, toy"),
        (["train", "--slots", "text", "--train-on", "mine"], "unknown selection or verdict 'mine'"),
        (["train", "--slots", "text", "--report", "mine"], "unknown selection or verdict 'mine'"),
        (["train", "--slots", "text", "--row-weights", "mine"], "unknown verdict 'mine'"),
        (["train", "--slots", "text", "--start", "ffff"], "unknown finished run 'ffff'"),
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


def _experiment(folder: Path, more: str = "") -> str:
    path = folder / "mine.yaml"
    path.write_text(
        "title: mine\nmodel: mlp\nslots: [text, speech]\nseeds: [3]\nsettings: {max_epochs: 2, hidden: [8]}\n"
        + more
    )
    return str(path)


def test_an_experiment_says_what_to_train_and_options_that_are_given_win(
    planted: Planted, tmp_path: Path
) -> None:
    file = _experiment(tmp_path)
    (record,) = _records(planted, "train", "--experiment", file)
    assert (record["trainer"], record["slots"], record["seed"]) == ("mlp", ["text", "speech"], 3)
    assert (record["settings"]["max_epochs"], record["hidden"]) == (2, [8])
    words = ["--slots", "text", "--seeds", "4", "--set", "max_epochs=1", "--labels", "seven"]
    (record,) = _records(planted, "train", "-e", file, *words)
    assert (record["slots"], record["seed"], record["epochs"], record["hidden"]) == (["text"], 4, 1, [8])
    # A default of the command line is not given, so the file's value stands.
    assert record["trainer"] == "mlp"
    kan = ["--model", "kan", "--set", "hidden=[4]"]
    (record,) = _records(planted, "train", "-e", file, *kan)
    assert (record["trainer"], record["hidden"]) == ("kan", [4])


def test_the_papers_cell_stands_beside_ours_and_is_said_not_to_be_alike(
    planted: Planted, tmp_path: Path
) -> None:
    file = _experiment(tmp_path, "verdict: verified\nreference: [000/stage-2/face]\n")
    told = " ".join(_run(planted, "train", "-e", file, "--verdict", "").split())
    (record,) = _records(planted, "runs")
    ours = record["scores"]["test"]["accuracy"] * 100
    assert f"accuracy {ours:.1f} 82.5 {ours - 82.5:+.1f}" in told
    assert "Beside papers/000 III-B2" in told
    assert "ours has another verdict than mine" in told
    assert "ours is on all 80 test rows" in told


def test_a_setting_of_a_file_is_taken_away_by_null(planted: Planted, tmp_path: Path) -> None:
    file = _experiment(tmp_path)
    with pytest.raises(AffectStoreError, match="unknown experiment .*'mine'; allowed: 003-a0"):
        _run(planted, "train", "--experiment", "mine")
    (record,) = _records(planted, "train", "-e", file, "--slots", "text", "--set", "hidden=null")
    assert record["hidden"] == [256, 128]


def test_a_profile_that_an_experiment_misses_is_told_with_how_to_make_it(
    planted: Planted, tmp_path: Path
) -> None:
    file = _experiment(tmp_path, "profile: mine-adapted\n")
    with pytest.raises(AffectStoreError, match="embed RUN --profile mine-adapted`.*--profile: default"):
        _run(planted, "train", "-e", file)
    (record,) = _records(planted, "train", "-e", file, "--profile", "default", "--slots", "text")
    assert record["slots"] == ["text"]


def _split_and_selections(planted: Planted) -> None:
    store = planted.store
    ids = store.manifest()["utterance_id"].to_list()
    parts = [("train", "train", "validation", "test")[place % 4] for place in range(len(ids))]
    rows = pl.DataFrame({"utterance_id": ids, "corpus": ["toy"] * len(ids), "part": parts})
    store.splits.save(SavedSplit("mine", rows))
    tested = rows.filter(part="test")["utterance_id"].to_list()
    store.selections.save(NamedSelection("mine-testa", tested[:20]))
    store.selections.save(NamedSelection("mine-testb", tested[20:]))
    store.selections.save(NamedSelection("trained", rows.filter(part="train")["utterance_id"].to_list()))


def test_selections_are_scored_by_themselves_beside_the_papers(planted: Planted, tmp_path: Path) -> None:
    _split_and_selections(planted)
    more = "protocol: split:mine\nreport: [mine-testa, mine-testb]\nreference: [003/family-a/a0]\n"
    told = " ".join(_run(planted, "train", "-e", _experiment(tmp_path, more), "--report", "trained").split())
    assert "trained: none of these 120 utterances is a test row" in told
    assert "mine-testa" not in told  # the option is in the place of the file's list
    told = " ".join(_run(planted, "train", "-e", _experiment(tmp_path, more)).split())
    (record,) = _records(planted, "runs")
    rows = finished_runs(planted.store.files)[0].predictions()
    for name, part in (("testa", rows[:20]), ("testb", rows[20:])):
        ours = 100 * (part["true"] == part["predicted"]).mean()
        paper = {"testa": 72.33, "testb": 45.44}[name]
        assert f"{name} accuracy {ours:.1f} {paper:.1f} {ours - paper:+.1f}" in told
        assert f"mine-{name} 1 {len(part)} {ours / 100:.4f}" in told
    assert "ours on 60 test rows (mine-testa of 20, mine-testb of 40)" in told
    on = json.loads(_run(planted, "runs", record["key"], "--on", "mine-testa", "--json"))
    assert on["mine-testa"]["3"]["rows"] == 20
    with pytest.raises(AffectStoreError, match="selection or verdict 'nobody'; allowed: mine-testa"):
        _run(planted, "train", "-e", _experiment(tmp_path, more), "--report", "nobody")


def test_an_experiment_that_begins_with_anothers_runs_asks_for_them(planted: Planted, tmp_path: Path) -> None:
    _split_and_selections(planted)
    file = _experiment(tmp_path, "starts_from: 003-a8\n")
    with pytest.raises(
        AffectStoreError, match="mine begins with the runs of 003-a8: train that, then name its group"
    ):
        _run(planted, "train", "-e", file)
    words = ["--slots", "text,speech", "--set", "hidden=[8]", *FAST]
    (first,) = _records(planted, "train", *words, "--seeds", "3")
    options = [
        "--train-on",
        "trained",
        "--train-corpus",
        "toy",
        "--start",
        first["group"],
        "--set",
        "lr=1e-4",
    ]
    (record,) = _records(planted, "train", "-e", file, *options)
    assert (record["start"], record["train_corpora"], record["train_on"]["name"]) == (
        first["key"],
        ["toy"],
        "trained",
    )
    told = " ".join(_run(planted, "runs").split())
    assert f"train_corpora=toy train_on=trained start={first['group']}" in told.replace(",", "")
    assert "lr=0.0001" in told
    assert first["key"] in _run(planted, "runs", record["key"])
