"""``affectstore runs`` over planted runs: lists, details, comparisons, figures, and answers to slips."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from feature_repo.errors import AffectStoreError
from feature_repo.selections import NamedSelection
from feature_repo.store import Store, init_store
from tests.trainers.planted_runs import CLASSES, planted_run
from trainers.runs.command import runs

APP = typer.Typer()
APP.command()(runs)
TRUE = [CLASSES[row % 3] for row in range(60)]
IDS = [f"toy/u{row:02}" for row in range(60)]
# Key, group, seed -> rows that are right; `bb` has ten to twelve more than `aa`.
HITS = {("a0", "aa00", 0): 30, ("a1", "aa00", 1): 36, ("b0", "bb00", 0): 42, ("b1", "bb00", 1): 46}


def said(hits: int) -> list[str]:
    return TRUE[:hits] + [CLASSES[(row + 1) % 3] for row in range(hits, 60)]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    from feature_repo.console import console, err

    monkeypatch.setattr(console, "_width", 240)
    monkeypatch.setattr(err, "_width", 240)
    made = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    for (key, group, seed), hits in HITS.items():
        planted_run(
            made.files, key, ids=IDS, true=TRUE, predicted=said(hits), seed=seed, group=group,
            lr=1e-3 if group == "aa00" else 1e-4,
        )  # fmt: skip
    return made


def run(store: Store, *words: str) -> str:
    result = CliRunner().invoke(APP, [*words, "--root", store.root], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def lines(told: str, beginning: str) -> list[list[str]]:
    return [line.split() for line in told.splitlines() if line.strip().startswith(beginning)]


def test_a_line_per_setting_with_mean_and_deviation(store: Store) -> None:
    told = run(store)
    (one,), (other,) = lines(told, "aa00"), lines(told, "bb00")
    assert one[:5] == ["aa00", "mlp", "text", "toy", "seven"]
    assert "0.5500 ± 0.0707" in " ".join(one)  # 30 and 36 of 60: 0.5 and 0.6, deviation 0.1 / sqrt 2
    assert "lr=0.0001" in " ".join(other)
    assert "lr=" not in " ".join(one)  # the default
    assert "max_epochs=2" in " ".join(one)


def test_a_text_encoders_runs_and_those_of_models_that_are_gone_are_listed(store: Store) -> None:
    for key, trainer in (("e0", "text-encoder"), ("f0", "of-old")):
        planted_run(
            store.files, key, ids=IDS, true=TRUE, predicted=TRUE, group=f"{key}00", trainer=trainer,
            views={}, settings={"lr": 1e-5, "batch_size": 16},
        )  # fmt: skip
    told = run(store)
    (encoder,), (gone,) = lines(told, "e000"), lines(told, "f000")
    assert "lr=1e-05" in encoder
    assert "batch_size=16" not in " ".join(encoder)  # papers/000 III-B1c, its default
    assert gone[1] == "of-old"


def test_a_line_per_run_on_request(store: Store) -> None:
    told = run(store, "--all")
    for key, group, seed in HITS:
        (line,) = lines(told, key)
        assert line[1] == group
        assert str(seed) in line
    assert not lines(run(store, "--all", "aa"), "b")


def test_a_groups_detail_has_each_seed_and_the_interval(store: Store) -> None:
    told = run(store, "aa")
    assert ["0", "a0", "60", "0.5000"] in [line[:4] for line in lines(told, "0 ")]
    # Student's t of one degree: 12.7062 times 0.1 / 2 beside the mean 0.55, of any printed table.
    assert f"{0.55 - 12.7062 * 0.05:.4f} to {0.55 + 12.7062 * 0.05:.4f}" in told
    assert "papers/000 III-B2" in told
    (joy,) = lines(told, "joy")
    assert joy[:4] == ["joy", "0", "22", "18"]  # 30 and 36 hits are 10 and 12 rows of joy


def test_a_runs_own_detail(store: Store) -> None:
    told = run(store, "a1")
    assert "run a1" in told
    assert "best of 3 epochs was 2" in told


def test_settings_are_compared_with_the_first(store: Store) -> None:
    told = run(store, "aa", "bb")
    assert lines(told, "lr") == [["lr", "0.001", "0.0001"]]
    difference = statistics.fmean([42, 46]) / 60 - statistics.fmean([30, 36]) / 60
    assert f"{difference:+.4f}" in told
    assert "60 test rows" in told
    assert "McNemar" not in told  # seeds are not paired


def test_single_runs_are_tested_by_mcnemar(store: Store) -> None:
    told = run(store, "a0", "b0")
    assert (
        "b0: 12 rows that only it got right, 0 that only a0 did; exact McNemar p 0.0005" in told
    )  # 2 / 2^12


def test_json_has_records_and_comparisons(store: Store) -> None:
    def loaded(*words: str) -> Any:
        return json.loads(run(store, "--json", *words))

    assert [record["key"] for record in loaded()] == ["a0", "a1", "b0", "b1"]
    assert loaded("a1")["key"] == "a1"
    assert [record["key"] for record in loaded("aa")] == ["a0", "a1"]
    told = loaded("aa", "bb")
    assert told["settings"] == {"lr": {"aa00": "0.001", "bb00": "0.0001"}}
    accuracy = told["comparisons"]["bb00"]["scores"]["accuracy"]
    assert accuracy["first"] == [0.5, 0.6]
    assert accuracy["low"] < accuracy["difference"] < accuracy["high"]


def test_other_rows_are_compared_on_request_only(store: Store) -> None:
    planted_run(store.files, "c0", ids=IDS[:30], true=TRUE[:30], predicted=said(30)[:30], group="cc00")
    result = CliRunner().invoke(APP, ["aa", "cc", "--root", store.root])
    assert isinstance(result.exception, AffectStoreError)
    assert "aa00 tests 60 rows, cc00 30, and 30 are in both" in str(result.exception)
    assert "30 test rows" in run(store, "aa", "cc", "--common")


def test_seeds_without_all_folds_are_told(store: Store) -> None:
    for fold, seed in ((0, 0), (1, 0), (0, 1)):
        planted_run(
            store.files, f"d{fold}{seed}", ids=IDS[fold::2], true=TRUE[fold::2], predicted=TRUE[fold::2],
            seed=seed, fold=fold, folds=2, group="dd00",
        )  # fmt: skip
    told = run(store)
    assert "2 x 2 folds" in told
    assert "dd00: 1 run(s) left out" in told


def test_figures_are_written_where_asked(store: Store, tmp_path: Path) -> None:
    told = run(store, "aa", "--figures", str(tmp_path / "figures"), "--as", "pdf")
    written = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert written == [f"{name}_aa00.pdf" for name in ("confusion", "curves", "per_class")]
    assert all(name in told for name in written)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ffff"], "unknown finished run 'ffff'; allowed: a0, a1, aa00"),
        (["aa", "aa00"], "named twice"),
        (["--common"], "named"),
        (["aa", "--figures", "x", "--as", "gif"], "'gif'; allowed: png, svg, pdf"),
    ],
)
def test_slips_are_answered(store: Store, words: list[str], told: str) -> None:
    result = CliRunner().invoke(APP, [*words, "--root", store.root])
    assert isinstance(result.exception, AffectStoreError)
    assert told in str(result.exception)


def test_a_slot_that_means_several_views_says_which(store: Store) -> None:
    planted_run(
        store.files, "c0", ids=IDS, true=TRUE, predicted=said(30), group="cc00",
        views={"text": "text_adapter_12345678"},
    )  # fmt: skip
    told = run(store)
    assert lines(told, "aa00")[0][2] == "text=planted_0000"
    assert lines(told, "cc00")[0][2] == "text=adapter_1234"
    assert "text=adapter_1234" in run(store, "--all")


def test_some_rows_are_scored_and_compared(store: Store) -> None:
    store.selections.save(NamedSelection("first", IDS[:40]))
    store.selections.save(NamedSelection("elsewhere", ["toy/v"]))
    told = run(store, "aa00", "--on", "first", "--on", "elsewhere")
    # 30 and 36 of the first 40 are right.
    assert lines(told, "first")[0][1:6] == ["2", "40", "0.8250", "±", "0.1061"]
    assert "elsewhere: none of these 1 utterances is a test row" in told
    compared = json.loads(run(store, "aa", "bb", "--on", "first", "--json"))["comparisons"]["bb00"]
    assert compared["rows"] == 40
    # All of bb's 40 are right.
    assert compared["scores"]["accuracy"]["difference"] == pytest.approx(1 - 0.825)
    for words in (["aa", "bb", "--on", "first", "--on", "elsewhere"], ["--on", "first"]):
        with pytest.raises(AffectStoreError, match="allowed: one|of runs that are named"):
            run(store, *words)
