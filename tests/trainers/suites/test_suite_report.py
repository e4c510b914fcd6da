"""The numbers of a suite's tables by hand, and the files they are written as, from planted runs."""

import csv
import dataclasses
import re
import statistics
from pathlib import Path
from typing import Any, cast

import pytest

from feature_repo.errors import BadInputError
from feature_repo.store import Store, init_store
from tests.trainers.planted_runs import CLASSES, planted_run
from trainers.experiments.experiment import Experiment
from trainers.experiments.reference import reference_cell
from trainers.runs.comparison import compare, intervals
from trainers.runs.predictions import predictions_of
from trainers.suites.figures import held_out_figure, write_suite_figures
from trainers.suites.suite import Suite, load_suite
from trainers.suites.suite_report import HeldOut, Reached, SuiteReport, paper_scores, suite_report
from trainers.suites.suite_results import SCORES, SuiteResult, VariantResult
from trainers.suites.table_files import check_table_paths, tex, write_tables
from trainers.suites.tables import print_tables, suite_grids, suite_notes
from trainers.suites.variant import Variant
from trainers.train import Trained

IDS = [f"{corpus}/u{row:02}" for corpus in ("cremad-standin", "meld") for row in range(30)]
TRUE = [CLASSES[row % 3] for row in range(60)]
TESTB = frozenset(IDS[30:])


def _said(right: int) -> list[str]:
    """The first so many of TestA and of TestB right, the others the next class."""
    return [TRUE[row] if row % 30 < right else CLASSES[(row + 1) % 3] for row in range(60)]


class _Trained(Trained):
    """Runs alone: what was pulled is not there."""

    def by_seed(self) -> dict[int, Any]:
        return {run.record["seed"]: run.test for run in self.runs}


def _variant(
    store: Store,
    name: str,
    hits: list[int],
    *,
    protocol: str = "split:audio-text",
    rows: slice = slice(None),
    **more: Any,
) -> VariantResult:
    runs = tuple(
        planted_run(
            store.files,
            f"{name}{seed}",
            ids=IDS[rows],
            true=TRUE[rows],
            predicted=_said(right)[rows],
            seed=seed,
            corpora=["cremad-standin", "meld"],
            protocol=protocol,
        )
        for seed, right in enumerate(hits)
    )
    asked = Experiment(
        f"mine-{name}", name, "mlp", ("text",), seeds=tuple(range(len(hits))), protocol=protocol, **more
    )
    return VariantResult(name, asked, _Trained(runs, 0, cast("Any", None), cast("Any", None)))


def _report(
    store: Store, *variants: VariantResult, relative: bool = True, title: str = "50 % & more_"
) -> SuiteReport:
    suite = Suite("mine", title, "", {}, tuple(Variant(one.name, {}) for one in variants), relative=relative)
    return suite_report(
        SuiteResult(suite, variants, "suites/mine.parquet", {"audio-text-testb": TESTB}, {"lost": "why"})
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("planted")
    return init_store(str(folder / "store"), cache=str(folder / "cache"))


@pytest.fixture(scope="module")
def report(store: Store) -> SuiteReport:
    first = _variant(store, "a0", [15, 18], reference=("003/family-a/a0",))
    second = _variant(store, "a1", [24, 27], reference=("003/family-a/a1",))
    return _report(store, first, second)


def test_means_deviations_intervals_and_the_difference_are_the_comparisons(report: SuiteReport) -> None:
    whole, testb = report.tables
    assert (whole.selection, testb.selection) == (None, "audio-text-testb")
    first, second = whole.rows
    assert (first.rows, second.rows) == (60, 60)
    assert [row.rows for row in testb.rows] == [30, 30]
    assert first.reached["accuracy"].mean == pytest.approx((0.5 + 0.6) / 2)
    assert first.reached["accuracy"].deviation == pytest.approx(statistics.stdev([0.5, 0.6]))
    assert first.against is None
    assert not isinstance(second.against, str)
    assert second.against is not None
    assert second.against["accuracy"].difference == pytest.approx(0.3)
    # In percent of the first's 0.55.
    assert second.relative("accuracy") == pytest.approx(100 * 0.3 / 0.55)
    assert first.relative("accuracy") is None
    sets = [predictions_of(one.trained.runs, one.name) for one in report.result.variants]
    told = compare(*sets).scores["uar"]
    assert second.against["uar"] == told
    ends = intervals(sets[0])["uar"]
    assert (first.reached["uar"].low, first.reached["uar"].high) == ends
    assert (second.reached["uar"].low, second.reached["uar"].high) == told.second_interval


def test_the_papers_cells_stand_beside_the_selection_that_they_are_on(report: SuiteReport) -> None:
    whole, testb = report.tables
    assert whole.rows[0].paper == {}  # the paper has TestA and TestB, no score of both together
    assert testb.rows[0].paper == {"accuracy": 0.4544, "uar": 0.2377}
    assert testb.rows[1].paper == {"accuracy": 0.4375, "uar": 0.2500}
    cells = [reference_cell("003/family-a/a0")]
    assert paper_scores(cells, "mine-testa") == {"accuracy": 0.7233, "uar": 0.7196}
    assert paper_scores(cells, "few") == {}
    assert paper_scores([reference_cell("000/table-2/meld/t")], None) == {
        "accuracy": pytest.approx(0.581), "weighted_f1": pytest.approx(0.579)
    }  # fmt: skip


def test_what_is_not_like_for_like_is_told(report: SuiteReport) -> None:
    told = " ".join(report.notes)
    assert "* with stand-ins" in told
    assert "cremad-standin" in told
    assert "papers/003 5.1: TestA of 10,247 and TestB of 2,610 utterances" in told
    assert "ours: 60 of all test rows, 30 of audio-text-testb" in told
    assert "lost: why" in told


def test_rows_that_one_variant_lacks_are_left_out_of_the_comparison_alone(store: Store) -> None:
    whole = _variant(store, "b0", [15])
    # Without the last two of TestB, which the first has wrong and the second would have right.
    less = _variant(store, "b1", [30], rows=slice(58))
    found = _report(store, whole, less)
    first, second = found.tables[0].rows
    assert (first.rows, second.rows, second.compared) == (60, 58, 58)
    assert first.reached["accuracy"].mean == pytest.approx(30 / 60)
    assert second.reached["accuracy"].mean == 1
    assert second.against is not None
    assert not isinstance(second.against, str)
    assert second.against["accuracy"].difference == pytest.approx(1 - 30 / 58)
    assert "b1 is compared on the 58 test rows that b0 has too" in found.notes
    assert "b1 is compared on audio-text-testb on the 28 test rows that b0 has too" in found.notes


def test_too_few_rows_in_common_are_no_comparison(store: Store) -> None:
    found = _report(store, _variant(store, "c0", [15]), _variant(store, "c1", [30], rows=slice(50)))
    assert isinstance(found.tables[0].rows[1].against, str)


def test_a_base_beside_the_suites_file_is_what_changes_are_told_against(store: Store, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "title: own\nmodel: gated\nslots: [text, speech]\nsettings: {lr: 0.01, ema: 0.9}\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "title: mine\nvariants:\n  plain: {base: own.yaml}\n  without: {base: own.yaml, settings: {ema: null}}\n"
    )
    suite = load_suite(str(tmp_path / "mine.yaml"))  # not where this process is
    variants = tuple(_variant(store, name, [15]) for name in ("plain", "without"))
    for asked, expected in (
        (suite, []),
        (suite.changed({}, ["lr=0.1"]), ["plain, without: trained with other settings than the"]),
    ):
        notes = suite_report(SuiteResult(asked, variants, "suites/mine.parquet")).notes
        assert [note[:48] for note in notes if "trained with other" in note] == [one[:48] for one in expected]


def test_the_printed_table_has_both(report: SuiteReport, monkeypatch: pytest.MonkeyPatch) -> None:
    from feature_repo.console import console

    monkeypatch.setattr(console, "_width", 300)
    with console.capture() as captured:
        print_tables(report)
    lines = captured.get().splitlines()
    titles = [line for line in lines if "seeds" in line]
    assert "paper accuracy" not in titles[0]
    assert "paper accuracy" in titles[1]
    assert "paper UAR" in titles[1]
    (row,) = [line for line in lines if line.startswith("a1 *") and "0.4375" in line]
    assert re.search(r"0\.8500 ± 0\.0707", row)
    assert "+54.5" in row  # 0.3 of 0.55
    assert "+0.3000" in row


def test_held_out_corpora_and_their_mean_are_of_the_folds(store: Store) -> None:
    runs = []
    hits = {0: {"meld": 20, "tess": 5}, 1: {"meld": 10, "tess": 10}}
    for seed, by_corpus in hits.items():
        for fold, (corpus, right) in enumerate(by_corpus.items()):
            rows = 30 if corpus == "meld" else 10
            true = [CLASSES[row % 3] for row in range(rows)]
            said = [name if row < right else CLASSES[(row + 1) % 3] for row, name in enumerate(true)]
            ids = [f"{corpus}/u{row:02}" for row in range(rows)]
            runs.append(
                planted_run(
                    store.files,
                    f"l{seed}{fold}",
                    ids=ids,
                    true=true,
                    predicted=said,
                    seed=seed,
                    fold=fold,
                    folds=2,
                    corpora=["meld", "tess"],
                    protocol="leave-corpus-out",
                    tested=corpus,
                )
            )

    class _Folds(_Trained):
        def by_seed(self) -> dict[int, Any]:
            raise AssertionError("the folds of a seed are told by corpus")

    asked = Experiment("m", "m", "mlp", ("text",), protocol="leave-corpus-out", seeds=(0, 1))
    done = VariantResult("mlp", asked, _Folds(tuple(runs), 0, cast("Any", None), cast("Any", None)))
    report = _report(store, done)
    (told,) = report.held_out
    assert list(told.corpora) == ["meld", "tess"]
    assert told.rows == {"meld": 30, "tess": 10}
    assert told.corpora["meld"]["accuracy"].mean == pytest.approx((20 / 30 + 10 / 30) / 2)
    # Each corpus counts alike: of all rows together it would be 25 and 20 of 40.
    assert told.mean is not None
    assert told.mean["accuracy"].mean == pytest.approx(((20 / 30 + 5 / 10) / 2 + (10 / 30 + 10 / 10) / 2) / 2)
    assert told.mean["accuracy"].deviation == pytest.approx(
        statistics.stdev([(20 / 30 + 5 / 10) / 2, (10 / 30 + 10 / 10) / 2])
    )

    grid = suite_grids(report)[-1]
    assert [row[:3] for row in grid.rows] == [
        ["mlp", "meld", "30"],
        ["mlp", "tess", "10"],
        ["mlp", "mean", ""],
    ]
    assert grid.strong == [2]


def test_folds_are_told_by_their_deviation_too(store: Store) -> None:
    runs = []
    for seed, hits in enumerate(((6, 3), (8, 5))):
        for fold, right in enumerate(hits):
            true = [CLASSES[row % 3] for row in range(10)]
            said = [name if row < right else CLASSES[(row + 1) % 3] for row, name in enumerate(true)]
            ids = [f"meld/f{fold}{row}" for row in range(10)]
            key = f"k{seed}{fold}"
            runs.append(
                planted_run(
                    store.files, key, ids=ids, true=true, predicted=said, seed=seed, fold=fold, folds=2
                )
            )
    asked = Experiment("m", "m", "mlp", ("text",), protocol="speaker-folds", seeds=(0, 1))
    done = VariantResult("mlp", asked, _Trained(tuple(runs), 0, cast("Any", None), cast("Any", None)))
    report = _report(store, done)
    (told,) = report.across_folds
    # Folds of 0.7 and 0.4; over the seeds, all folds together, it is 0.45 and 0.65.
    assert told.reached["accuracy"].mean == pytest.approx(0.55)
    assert told.reached["accuracy"].deviation == pytest.approx(statistics.stdev([0.7, 0.4]))
    assert report.tables[0].rows[0].reached["accuracy"].deviation == pytest.approx(
        statistics.stdev([0.45, 0.65])
    )
    scores, folds = suite_grids(report)
    assert folds.rows[0][:3] == ["mlp", "2", "0.5500 ± 0.2121"]
    assert "p" not in scores.columns  # nothing to compare one variant with


def test_a_csv_has_every_digit(report: SuiteReport, tmp_path: Path) -> None:
    path = write_tables(report, suite_grids(report), suite_notes(report), tmp_path / "t.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 4
    (row,) = [
        one
        for one in rows
        if (one["variant"], one["selection"], one["score"]) == ("a1", "audio-text-testb", "uar")
    ]
    told = report.tables[1].rows[1]
    assert not isinstance(told.against, str)
    assert told.against is not None
    assert float(row["mean"]) == told.reached["uar"].mean
    assert float(row["paper"]) == 0.25
    assert float(row["difference_low"]) == told.against["uar"].low
    assert (row["against"], row["stand_ins"]) == ("a0", "cremad-standin")
    (first,) = [
        one for one in rows if (one["variant"], one["selection"], one["score"]) == ("a0", "", "accuracy")
    ]
    assert (first["against"], first["p"], first["paper"]) == ("", "", "")


def test_markdown_has_a_table_per_selection_with_as_many_cells_as_columns(
    report: SuiteReport, tmp_path: Path
) -> None:
    path = write_tables(report, suite_grids(report), suite_notes(report), tmp_path / "t.md")
    text = path.read_text()
    tables = [part.split("\n\n")[1] for part in text.split("### ")[1:]]
    assert len(tables) == 2
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1
    assert "| a1 \\* |" in text
    assert "\n- lost: why\n" in text
    # The markdown library of the platform reads it as a table, where there is one.
    markdown_it = pytest.importorskip("markdown_it")
    rendered = markdown_it.MarkdownIt().enable("table").render(text)
    assert rendered.count("<table>") == 2
    assert "<td>a1 *</td>" in rendered


def test_latex_is_booktabs_with_everything_escaped(report: SuiteReport, tmp_path: Path) -> None:
    path = write_tables(report, suite_grids(report), suite_notes(report), tmp_path / "t.tex")
    text = path.read_text()
    assert r"\caption{50 \% \& more\_: cremad-standin, meld, test, split:audio-text}" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    assert r"$\pm$" in text
    assert "±" not in text
    for body in re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL):
        columns = {len(re.findall(r"(?<!\\)&", line)) for line in body.strip().splitlines()}
        assert len(columns) == 1
    assert text.count("{") == text.count("}")
    assert tex(r"a\b~c^d {e} [f") == (r"a\textbackslash{}b\textasciitilde{}c\textasciicircum{}d \{e\} {[}f")


def test_a_table_file_of_another_kind_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    check_table_paths([tmp_path / "a.MD"])
    with pytest.raises(BadInputError, match=r"a.txt: allowed: names that end in .md, .tex, .csv"):
        check_table_paths([tmp_path / "a.txt"])
    with pytest.raises(BadInputError, match="there is no folder"):
        check_table_paths([tmp_path / "none" / "a.md"])


def test_figures_are_drawn_of_each_selection(report: SuiteReport, tmp_path: Path) -> None:
    written = write_suite_figures(report, tmp_path / "figures")
    assert sorted(path.name for path in written) == [
        "mine_bars_audio-text-testb.png",
        "mine_confusion_a0_audio-text-testb.png",
        "mine_confusion_a1_audio-text-testb.png",
        "mine_scores.png",
    ]
    assert all(path.stat().st_size > 5_000 for path in written)


def test_variants_that_were_held_out_on_other_corpora_are_drawn_together(report: SuiteReport) -> None:
    scores = {score: Reached(0.5, None) for score in SCORES}
    held_out = (
        HeldOut("sound", {"meld": scores, "tess": scores}, {"meld": 30, "tess": 10}, scores),
        HeldOut("words", {"isear": scores, "meld": scores}, {"isear": 7, "meld": 30}, scores),
    )
    figure = held_out_figure(dataclasses.replace(report, held_out=held_out))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [
        "meld\n30",
        "tess\n10",
        "isear\n7",
    ]
    assert len(figure.axes[0].patches) == 4
