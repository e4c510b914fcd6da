"""The list of experiments, and one of them with every setting's source."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from feature_repo.errors import UnknownNameError
from trainers.experiments.command import experiments
from trainers.experiments.experiment import experiment_names

APP = typer.Typer()
APP.command()(experiments)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    from feature_repo.console import console

    monkeypatch.setattr(console, "_width", 240)


def _told(*words: str) -> str:
    result = CliRunner().invoke(APP, list(words), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_every_experiment_is_a_line_with_the_papers_scores() -> None:
    lines = {line.split()[0]: line for line in _told().splitlines() if line.strip()}
    for name in experiment_names():
        assert name in lines
    assert lines["meld-t-v-a"].split()[-3:] == ["64.8", "64.3", "–"]
    assert lines["iemocap4-t"].split()[-3:] == ["66.2", "66.0", "–"]
    assert lines["poster-t-s-f"].split()[-3:] == ["64.4", "64.53", "–"]
    assert lines["poster-adapter-face"].split()[-3:] == ["–", "–", "–"]
    assert lines["003-a0"].split()[-7:] == ["72.33", "/", "45.44", "–", "71.96", "/", "23.77"]
    assert [one["name"] for one in json.loads(_told("--json"))] == experiment_names()


def test_one_shows_its_settings_with_their_sources_and_what_the_paper_reports() -> None:
    told = " ".join(_told("meld-t-v-a").split())
    assert "slots: text_steps, face_steps, speaker" in told
    assert "folds:" not in told
    assert "class_weights surprise 15, fear 15, disgust 6" in told
    assert "this experiment, papers/000 Table II, MELD T+V+A" in told
    assert "d_state 64 papers/000 III-B3" in told
    assert "recall fear 16.7 papers/000 IV-B, Fig. 5, T+V+A the paper's verified subset" in told
    assert "folds: 5" in _told("adapter-face")


def test_what_a_file_sets_without_the_paper_is_told_as_assumed() -> None:
    told = " ".join(_told("003-a9").split())
    assert "ema 0.999 assumed: A6's" in told
    assert "lr 0.0001 assumed: the paper states no rate of the fine-tuning" in told
    assert "protocol: split:audio-text (assumed: the paper states TestA's size" in told
    assert "starts_from: 003-a8" in told
    assert "modality_dropout 0.2 this experiment, papers/003 5.1, A3" in " ".join(_told("003-a3").split())


def test_a_file_of_ones_own_and_json(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: meld-t-v-a\nslots: [text_steps]\nsettings: {depth: 2}\n")
    told = json.loads(_told(str(path), "--json"))
    assert (told["name"], told["slots"], told["settings"]["depth"]["value"]) == ("mine", ["text_steps"], 2)
    assert told["settings"]["lr"] == {"value": 1e-5, "source": "papers/000 III-B3"}
    assert told["reference"]["000/table-2/meld/t-v-a"]["accuracy"] == pytest.approx(0.648)


def test_an_unknown_one_lists_them() -> None:
    with pytest.raises(UnknownNameError, match="'meld'; allowed: 003-a0"):
        _told("meld")
