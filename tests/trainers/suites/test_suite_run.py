"""Suites run on a planted store: every run once, results in one file, the planted difference found."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from feature_repo.errors import BadInputError
from tests.trainers.conftest import Planted
from trainers.runs.run import finished_runs
from trainers.suites.command import suite as suite_command
from trainers.suites.suite import load_suite
from trainers.suites.suite_report import suite_report
from trainers.suites.suite_results import SCORES, SuiteResult, results_frame
from trainers.suites.suite_run import run_suite
from trainers.suites.tables import curve

APP = typer.Typer()
APP.command()(suite_command)
FAST = ["max_epochs=2", "lr=0.01"]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    from feature_repo.console import console

    monkeypatch.setattr(console, "_width", 240)


def _against(done: SuiteResult, name: str) -> Any:
    """What the report of all test rows says of a variant and the first."""
    (row,) = [row for row in suite_report(done).tables[0].rows if row.variant == name]
    return row.against


def _file(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text("title: mine\nexperiment: {model: gated, slots: [text, speech], seeds: [0, 1]}\n" + text)
    return str(path)


def test_the_results_are_the_runs_and_a_second_time_trains_nothing(planted: Planted, tmp_path: Path) -> None:
    asked = load_suite(_file(tmp_path, "variants: {one: {}, two: {settings: {latent: 256}}}\ncost: true\n"))
    asked = asked.changed({"protocol": "speaker-folds", "folds": 3, "only_folds": (0, 2)}, FAST)
    done = run_suite(planted.store, asked)
    assert done.path == "suites/mine.parquet"
    stored = pl.read_parquet(io.BytesIO(planted.store.files.read(done.path)))
    assert stored.equals(results_frame(done.variants))
    records = {run.key: run.record for run in finished_runs(planted.store.files)}
    assert set(stored["run"]) == set(records)
    assert stored.select("variant", "seed", "fold").rows() == [
        (variant, seed, fold) for variant in ("one", "two") for seed in (0, 1) for fold in (0, 2)
    ]
    for row in stored.iter_rows(named=True):
        record = records[row["run"]]
        assert [row[score] for score in SCORES] == [record["scores"]["test"][score] for score in SCORES]
        assert (row["rows"], row["rate"], row["parameters"]) == (
            record["rows"]["test"],
            None,
            record["parameters"],
        )
    # A wider vector: more parameters, more operations.
    (one, two) = (stored.filter(variant=name).row(0, named=True) for name in ("one", "two"))
    assert two["parameters"] > one["parameters"]
    assert two["flops"] > one["flops"] > 0
    assert one["latency_ms_1"] > 0
    again = run_suite(planted.store, asked)
    assert [variant.trained.trained for variant in again.variants] == [0, 0]


def test_what_was_finished_before_an_interruption_is_stored_and_kept(
    planted: Planted, tmp_path: Path
) -> None:
    asked = load_suite(_file(tmp_path, "variants: {one: {}, two: {settings: {latent: 256}}}\n")).changed(
        {}, FAST
    )

    def stop(what: str, config: object) -> None:
        if what == "two":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_suite(planted.store, asked, name="mine-2", on_training=stop)
    stored = pl.read_parquet(io.BytesIO(planted.store.files.read("suites/mine-2.parquet")))
    assert stored["variant"].to_list() == ["one", "one"]
    done = run_suite(planted.store, asked, name="mine-2")
    assert [variant.trained.trained for variant in done.variants] == [0, 2]
    with pytest.raises(BadInputError, match="'../x'"):
        run_suite(planted.store, asked, name="../x")


def test_the_first_is_told_apart_from_one_without_the_telling_slot(planted: Planted, tmp_path: Path) -> None:
    asked = load_suite(_file(tmp_path, "variants: {both: {}, noise: {slots: [speech]}}\n"))
    done = run_suite(planted.store, asked.changed({}, ["max_epochs=15", "lr=0.01"]))
    told = _against(done, "noise")
    assert not isinstance(told, str)
    difference = told["uar"]
    # The planted text tells the emotion, the planted speech is noise over three classes.
    assert difference.difference < -0.2
    assert difference.high < 0
    assert difference.p < 0.001


def test_other_rows_are_not_compared(planted: Planted, tmp_path: Path) -> None:
    variants = "variants: {whole: {}, folds: {protocol: speaker-folds, folds: 3, only_folds: [0]}}\n"
    done = run_suite(planted.store, load_suite(_file(tmp_path, variants)).changed({"seeds": (0,)}, FAST))
    told = _against(done, "folds")
    assert isinstance(told, str)
    assert "whole" in told


def test_adapted_slots_are_learned_fold_by_fold_and_text_is_left(planted: Planted, tmp_path: Path) -> None:
    asked = load_suite(_file(tmp_path, "variants: {raw: {}, adapted: {adapt: mlp}}\n"))
    asked = asked.changed({"protocol": "speaker-folds", "folds": 3, "seeds": (0,)}, FAST)
    whats = []
    done = run_suite(planted.store, asked, on_training=lambda what, config: whats.append(what))  # type: ignore[func-returns-value]
    assert whats == ["raw", "adapted, mlp over speech", "adapted"]
    raw, adapted = (variant.trained.runs for variant in done.variants)
    assert {run.record["views"]["text"] for run in (*raw, *adapted)} == {planted.text.view}
    learned = [planted.store.recipe(run.record["views"]["speech"]) for run in adapted]
    assert [recipe.settings["fold"] for recipe in learned] == [0, 1, 2]
    assert [recipe.width for recipe in learned] == [128, 128, 128]
    # Of each fold, what the adapter was fitted on is what the fusion is fitted on.
    for run, recipe in zip(adapted, learned, strict=True):
        assert recipe.settings["training_ids"] == run.record["training_ids"]
    assert not isinstance(_against(done, "adapted"), str)


def test_text_alone_has_nothing_to_adapt(planted: Planted, tmp_path: Path) -> None:
    asked = load_suite(_file(tmp_path, "variants: {adapted: {adapt: mlp}}\n")).changed({"slots": ("text",)})
    with pytest.raises(BadInputError, match="text: nothing to adapt"):
        run_suite(planted.store, asked)


def test_scores_fall_as_the_telling_slot_goes_missing(planted: Planted, tmp_path: Path) -> None:
    asked = load_suite(
        _file(tmp_path, "variants: {one: {}, two: {settings: {modality_dropout: 0}}}\ndrop: [0, 0.3, 0.6]\n")
    )
    asked = asked.changed({}, ["max_epochs=15", "lr=0.01"])
    done = run_suite(planted.store, asked)
    frame = results_frame(done.variants)
    assert frame.group_by("rate").len().sort("rate").rows() == [(None, 4), (0.0, 12), (0.3, 12), (0.6, 12)]
    # Nothing dropped is the test score itself.
    whole = frame.filter(pl.col("rate").is_null()).select("run", exact="accuracy")
    kept = frame.filter(rate=0.0).join(whole, on="run")
    assert np.allclose(kept["accuracy"], kept["exact"])
    for variant in done.variants:
        points = curve(variant, "accuracy")
        assert [rate for rate, *_ in points] == [0, 0.3, 0.6]
        assert points[0][1] == pytest.approx(variant.trained.summary()["accuracy"][0])
        assert points[0][1] - points[2][1] > 0.1


def test_the_command_lists_runs_draws_and_tells_where_the_results_are(
    planted: Planted, tmp_path: Path
) -> None:
    listed = CliRunner().invoke(APP, [], catch_exceptions=False).output
    assert "mamba-or-transformer" in listed
    assert "parameters, FLOPs, latency" in listed
    file = _file(tmp_path, "drop: [0, 0.5]\ncost: true\nvariants: {gated: {}, mlp: {adapt: mlp}}\n")
    words = [file, "--corpus", "toy", "--seeds", "3", "--set", "max_epochs=1", "--as", "toy"]
    words += ["--figures", str(tmp_path / "figures"), "--root", planted.store.root]
    words += ["--table", str(tmp_path / "a.md"), "--table", str(tmp_path / "a.csv"), "--report", "lost"]
    result = CliRunner().invoke(APP, words, catch_exceptions=False)
    assert result.exit_code == 0
    told = " ".join(result.output.split())
    rows = finished_runs(planted.store.files)
    reached = {run.record["trainer"]: run.record["scores"]["test"]["weighted_f1"] for run in rows[:1]}
    assert f"{reached['gated']:.4f}" in told
    assert "UAR against gated [95 %]" in told
    assert "UAR by the chance that a slot is missing at test" in told
    assert "Cost of a forward pass" in told
    assert "suites/toy.parquet" in told
    assert "lost is not scored by itself: unknown selection or verdict 'lost'" in told
    assert (tmp_path / "a.md").read_text().count("### ") == 3  # scores, cost, curves
    assert (tmp_path / "a.csv").read_text().count("\n") == 1 + 2 * 4
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "toy_bars.png",
        "toy_confusion_gated.png",
        "toy_confusion_mlp.png",
        "toy_missing.png",
        "toy_scores.png",
    ]


def test_show_tells_what_a_suite_is_and_wants_and_trains_nothing(planted: Planted, tmp_path: Path) -> None:
    text = (
        "prepare: [affectstore extract -e mfcc --as loud]\n"
        "variants:\n  one: {}\n  two: {start: one, profile: loud, train_domains: [acted], settings: {lr: 0.5}}\n"
    )
    words = [_file(tmp_path, text), "--show", "--root", planted.store.root]
    told = CliRunner().invoke(APP, words, catch_exceptions=False).output
    (row,) = [line for line in told.splitlines() if line.startswith("two")]
    assert "lr=0.5; begins from one; trains on acted" in row
    assert "loud" in row
    assert "wanted in the store:\n  affectstore extract -e mfcc --as loud" in told
    assert finished_runs(planted.store.files) == []
    wrong = CliRunner().invoke(
        APP, [*words[:1], "--table", "t.pdf", "--root", planted.store.root], catch_exceptions=True
    )
    assert isinstance(wrong.exception, BadInputError)
