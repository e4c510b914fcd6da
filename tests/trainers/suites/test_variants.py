"""Variants that begin from each other, need corpora, choose by validation, or fail: on a planted store."""

import io
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.selections import NamedSelection
from tests.trainers.conftest import Planted
from trainers.runs.run import finished_run
from trainers.suites.command import suite as suite_command
from trainers.suites.suite import Suite, load_suite
from trainers.suites.suite_run import run_suite
from trainers.suites.variant import in_order

APP = typer.Typer()
APP.command()(suite_command)
FAST = ["max_epochs=2", "lr=0.01"]
_HEAD = "title: mine\nexperiment: {model: gated, slots: [text, speech], seeds: [0, 1]}\n"


def _suite(folder: Path, text: str, head: str = _HEAD) -> Suite:
    path = folder / "mine.yaml"
    path.write_text(head + text)
    return load_suite(str(path))


def _stored(planted: Planted) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(planted.store.files.read("suites/mine.parquet")))


def test_a_variant_begins_with_the_weights_of_the_same_seed_of_another(
    planted: Planted, tmp_path: Path
) -> None:
    # The later variant stands first in the file: the order is that of what begins from what.
    text = "variants:\n  tuned: {start: base, settings: {lr: 0.0001}}\n  base: {}\n"
    asked = _suite(tmp_path, text).changed({}, FAST)
    assert [each.name for each in in_order(asked.variants)] == ["base", "tuned"]
    done = run_suite(planted.store, asked)
    tuned, base = done.variants
    assert (tuned.name, base.name) == ("tuned", "base")
    assert tuned.experiment.start == ",".join(run.key for run in base.trained.runs)
    by_seed = {run.record["seed"]: run.key for run in base.trained.runs}
    for run in tuned.trained.runs:
        assert by_seed[run.record["seed"]] in str(run.record["start"])
    again = run_suite(planted.store, asked)
    assert [one.trained.trained for one in again.variants] == [0, 0]


def test_of_several_starts_the_best_on_validation_is_taken_with_its_seeds(
    planted: Planted, tmp_path: Path
) -> None:
    text = (
        "variants:\n  poor: {settings: {max_epochs: 1, lr: 0.00001}}\n"
        "  good: {settings: {max_epochs: 12}, other_seeds: 7}\n  next: {start: [poor, good]}\n"
    )
    done = run_suite(planted.store, _suite(tmp_path, text).changed({}, FAST))
    poor, good, following = done.variants
    assert [run.record["seed"] for run in good.trained.runs] == [7, 8]
    assert [run.record["seed"] for run in following.trained.runs] == [7, 8]
    assert following.experiment.start == ",".join(run.key for run in good.trained.runs)
    assert min(run.record["scores"]["validation"]["uar"] for run in good.trained.runs) > max(
        run.record["scores"]["validation"]["uar"] for run in poor.trained.runs
    )


def test_a_corpus_that_is_not_there_leaves_out_and_a_stand_in_will_do(
    planted: Planted, tmp_path: Path
) -> None:
    rows = planted.store.manifest(["toy"])
    generated = rows.with_columns(
        utterance_id=pl.col("utterance_id").str.replace("toy/", "tess-standin/"),
        corpus=pl.lit("tess-standin"),
    )
    planted.vectors.update({name.replace("toy/", "tess-standin/"): v for name, v in planted.vectors.items()})
    planted.store.write_manifest("tess-standin", generated)
    planted.write_rows(rows)
    text = "variants:\n  here: {}\n  lost: {needs: [iemocap]}\n  found: {needs: [tess], corpora: [tess-standin]}\n"
    done = run_suite(planted.store, _suite(tmp_path, text).changed({"corpora": ("toy",)}, FAST))
    assert [one.name for one in done.variants] == ["here", "found"]
    assert done.untold == {"lost": "left out: it needs iemocap, which the store does not have"}
    assert done.failed == ()
    assert [one.stand_ins for one in done.variants] == [(), ("tess-standin",)]
    told = _stored(planted).select("variant", "stand_in").unique(maintain_order=True).rows()
    assert told == [("here", None), ("found", "tess-standin")]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_failed_variant_is_told_and_the_others_go_on(
    planted: Planted, tmp_path: Path, workers: int
) -> None:
    text = (
        "variants:\n  wrong: {slots: [face]}\n  after: {start: wrong}\n  right: {}\n"
        "  later: {start: right, settings: {lr: 0.001}}\n"
    )
    done = run_suite(planted.store, _suite(tmp_path, text).changed({}, FAST), workers=workers)
    assert [one.name for one in done.variants] == ["right", "later"]
    assert done.failed == ("wrong", "after")
    assert "slot or view 'face'" in done.untold["wrong"]
    assert done.untold["after"] == "not run: wrong, from which it begins, has no result"
    words = [str(tmp_path / "mine.yaml"), "--workers", str(workers), "--root", planted.store.root]
    words += ["--set", "max_epochs=2", "--set", "lr=0.01"]
    result = CliRunner().invoke(APP, words, catch_exceptions=False)
    assert result.exit_code == 1
    assert "wrong failed: unknown slot or view 'face'" in " ".join(result.output.split())
    with pytest.raises((UnknownNameError, BadInputError), match="slot or view 'face'"):
        run_suite(planted.store, _suite(tmp_path, text).only(["wrong"]), workers=workers)


def test_selections_have_rows_of_their_own(planted: Planted, tmp_path: Path) -> None:
    ids = [f"toy/u{row:03}" for row in range(160, 190)]
    planted.store.selections.save(NamedSelection("few-testa", ids))
    planted.store.selections.save(NamedSelection("none-testb", ["toy/u000"]))
    asked = _suite(tmp_path, "variants: {one: {}, two: {slots: [speech]}}\n")
    asked = asked.changed({"report": ("few-testa", "none-testb")}, FAST)
    run_suite(planted.store, asked)
    stored = _stored(planted)
    assert stored.select("variant", "seed", "selection", "rows").rows() == [
        (variant, seed, selection, rows)
        for variant in ("one", "two")
        for seed in (0, 1)
        for selection, rows in ((None, 80), ("few-testa", 30), ("none-testb", 0))
    ]
    for row in stored.filter(selection="few-testa").iter_rows(named=True):
        run = finished_run(planted.store.files, row["run"])
        assert run is not None
        own = run.predictions().filter(pl.col("utterance_id").is_in(ids))
        assert row["accuracy"] == pytest.approx((own["true"] == own["predicted"]).mean())
    assert stored.filter(selection="none-testb")["accuracy"].null_count() == 4


def test_a_suites_own_slips_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    for text, told in (
        ("variants: {a: {start: b}, b: {start: a}}\n", "variants a, b begin from each other"),
        ("variants: {a: {}, b: {start: c}}\n", "variant 'b': key 'start' is 'c'; .*allowed: a"),
        ("variants: {a: {needs: 3}}\n", "variant 'a': key 'needs' is 3"),
        ("variants: {a: {other_seeds: -1}}\n", "key 'other_seeds' is -1"),
        ("variants: {a: {base: 7}}\n", "key 'base' is 7"),
        ("relative: 1\nvariants: {a: {}}\n", "key 'relative' is 1; allowed: true, false"),
        (
            "variants: {a: {reference: [003/family-a/a1]}, b: {reference: [003/family-b/b1]}}\n",
            "003/family-a/a1 is on TestA of 10,247",
        ),
    ):
        with pytest.raises(BadInputError, match=told):
            _suite(tmp_path, text)
    with pytest.raises(UnknownNameError, match="experiment .*'meld-x'"):
        _suite(tmp_path, "variants: {a: {base: meld-x}}\n")


def test_a_variant_that_is_an_experiment_lies_below_options(tmp_path: Path) -> None:
    head = "title: mine\nexperiment: {seeds: [3]}\n"
    text = "variants:\n  t: {base: meld-t, settings: {lr: 0.5}}\n  a: {base: meld-t-a, other_seeds: 10}\n"
    asked = _suite(tmp_path, text, head)
    made = asked.changed({"verdict": None, "corpora": ("toy",)}, ["lr=0.25", "max_epochs=1"]).experiments()
    assert made["t"].slots == ("text_steps",)
    assert made["a"].slots == ("text_steps", "speaker")
    assert {one.verdict for one in made.values()} == {None}
    assert [one.settings["lr"] for one in made.values()] == [0.5, 0.25]
    assert [one.settings["max_epochs"] for one in made.values()] == [1, 1]
    assert made["t"].settings["class_weights"]["fear"] == 15
    assert [one.seeds for one in made.values()] == [(3,), (13,)]
    assert made["t"].reference == ("000/table-2/meld/t",)
    from trainers.experiments.experiment import load_experiment

    with pytest.raises(BadInputError, match="its variants are experiments by themselves"):
        asked.of_experiment(load_experiment("meld-v"))
    with pytest.raises(UnknownNameError, match="variant of suite mine 'b'; allowed: a, t"):
        asked.only(["b"])


def test_some_variants_bring_what_they_begin_from(tmp_path: Path) -> None:
    text = "variants:\n  a: {}\n  b: {}\n  c: {start: b, settings: {lr: 1}}\n  d: {start: c}\n"
    assert [each.name for each in _suite(tmp_path, text).only(["d"]).variants] == ["b", "c", "d"]


def test_domains_say_which_corpora_train(planted: Planted, tmp_path: Path) -> None:
    rows = planted.store.manifest(["toy"])
    for corpus in ("tess", "meld"):
        named = rows.with_columns(
            utterance_id=pl.col("utterance_id").str.replace("toy/", f"{corpus}/"),
            corpus=pl.lit(corpus),
            speaker_id=pl.col("speaker_id").str.replace("toy/", f"{corpus}/"),
            dialogue_id=pl.col("dialogue_id").str.replace("toy/", f"{corpus}/"),
        )
        planted.vectors.update(
            {name.replace("toy/", f"{corpus}/"): v for name, v in planted.vectors.items() if "toy/" in name}
        )
        planted.store.write_manifest(corpus, named)
    planted.write_rows(rows)
    text = "variants:\n  acted: {train_domains: [acted, text]}\n  all: {}\n  other: {train_domains: [face]}\n"
    asked = _suite(tmp_path, text).changed({"corpora": ("tess", "meld"), "seeds": (0,)}, FAST)
    done = run_suite(planted.store, asked)
    acted, every = (one.trained.runs[0].parts() for one in done.variants)

    def training(parts: pl.DataFrame) -> list[str]:
        names = parts.filter(part="train")["utterance_id"].str.split("/").list.first()
        return sorted(names.unique())

    assert (training(acted), training(every)) == (["tess"], ["meld", "tess"])
    assert acted.filter(part="test").height == every.filter(part="test").height == 160
    assert "none of the corpora meld, tess is of domain face" in done.untold["other"]
