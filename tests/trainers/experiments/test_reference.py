"""The papers' values: against the papers' own text where it is at hand, and what a damaged file is answered."""

import re
from pathlib import Path

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.experiments.reference import Cell, check_comparable, reference_cell, reference_cells


def _paper(samples: Path, number: str) -> str:
    found = sorted((samples / "papers").glob(f"{number}_*.txt"))
    if not found:
        pytest.skip(f"the text of papers/{number} is not among the samples")
    return found[0].read_text(encoding="utf-8")


def test_a_cell_has_its_citation_and_shares() -> None:
    cell = reference_cell("000/table-2/meld/t-v-a")
    assert cell == Cell(
        "000/table-2/meld/t-v-a",
        "papers/000 Table II",
        "the paper's verified subset",
        "percent",
        {"accuracy": pytest.approx(0.648), "weighted_f1": pytest.approx(0.643)},
    )
    assert reference_cell("000/table-1/meld/train").values == {"original": 9989, "verified": 7443}
    with pytest.raises(UnknownNameError, match="reference cell '000/table-2/meld/a'"):
        reference_cell("000/table-2/meld/a")


def test_table_2_is_the_papers(samples: Path) -> None:
    text = _paper(samples, "000").split("TABLE II\n")[1].split("# B. Class-wise")[0]
    printed = re.findall(r"\t([TVA+]+)\t([\d.]+)%\t([\d.]+)%", text)
    assert len(printed) == 12
    for place, (what, accuracy, weighted_f1) in enumerate(printed):
        corpus = "meld" if place < 6 else "iemocap4"
        values = reference_cell(f"000/table-2/{corpus}/{what.lower().replace('+', '-')}").values
        assert values == {
            "accuracy": pytest.approx(float(accuracy) / 100),
            "weighted_f1": pytest.approx(float(weighted_f1) / 100),
        }


def test_table_1_is_the_papers(samples: Path) -> None:
    text = _paper(samples, "000").split("TABLE I\n")[1].split("# IV. RESULTS")[0]
    printed = re.findall(r"\t(Train|Dev|Test|Total)\t([\d,]+)\t([\d,]+)", text)
    assert [what for what, *_ in printed] == ["Train", "Dev", "Test", "Total", "Total"]
    cells = ["meld/train", "meld/dev", "meld/test", "meld/all", "iemocap/all"]
    for cell, (_, *counts) in zip(cells, printed, strict=True):
        original, verified = (int(count.replace(",", "")) for count in counts)
        assert reference_cell(f"000/table-1/{cell}").values == {"original": original, "verified": verified}


def test_class_wise_and_stage_values_are_the_papers(samples: Path) -> None:
    text = " ".join(_paper(samples, "000").split())
    meld, iemocap = reference_cell("000/classes/meld").values, reference_cell("000/classes/iemocap4").values
    for name, printed in {
        "recall.neutral": r"neutral achieves ([\d.]+)% accuracy",
        "recall.fear": r"while fear \(([\d.]+)%\)",
        "recall.disgust": r"and disgust \(([\d.]+)%\) remain",
        "confusion.fear.disgust": r"confusion with disgust \(([\d.]+)%\)",
        "confusion.fear.anger": r"18.8%\) and anger \(([\d.]+)%\)",
    }.items():
        (value,) = re.findall(printed, text)
        assert meld[name] == pytest.approx(float(value) / 100)
    (four,) = re.findall(
        r"neutral \(([\d.]+)%\), sadness \(([\d.]+)%\), anger \(([\d.]+)%\), and happy\+excited \(([\d.]+)%\)",
        text,
    )
    assert list(iemocap.values()) == [pytest.approx(float(value) / 100) for value in four]
    assert list(iemocap) == ["recall.neutral", "recall.sadness", "recall.anger", "recall.joy"]
    (stage_1,) = re.findall(r"training accuracy of ([\d.]+)% and a test accuracy of ([\d.]+)%", text)
    assert list(reference_cell("000/stage-1/text").values.values()) == [
        pytest.approx(float(value) / 100) for value in stage_1
    ]
    for adapter, printed in {
        "face": r"about ([\d.]+)% validation accuracy",
        "speaker": r"reaches ([\d.]+)% validation",
    }.items():
        (value,) = re.findall(printed, text)
        assert reference_cell(f"000/stage-2/{adapter}").values == {
            "accuracy": pytest.approx(float(value) / 100)
        }


def test_the_poster_is_the_posters(samples: Path) -> None:
    text = _paper(samples, "002")
    rows = ("t-s", "t-f", "t-s-f")
    for score, printed in {"accuracy": "Accuracy", "weighted_f1": "Weighted Avg F1 Score"}.items():
        (values,) = re.findall(rf"^{printed}\t([\d.]+)%\t([\d.]+)%\t([\d.]+)%$", text, re.MULTILINE)
        for row, value in zip(rows, values, strict=True):
            assert reference_cell(f"002/results/meld/{row}").values[score] == pytest.approx(
                float(value) / 100
            )


_AUDIO_TEXT = ("testa.accuracy", "testa.uar", "testb.accuracy", "testb.uar")


@pytest.mark.parametrize(("family", "heading"), [("a", "### 5.1 Family A"), ("b", "### 5.2 Family B")])
def test_both_families_of_the_audio_text_report_are_its(samples: Path, family: str, heading: str) -> None:
    section = _paper(samples, "003").split(heading)[1].split("###")[0]
    printed = re.findall(
        r"^\| ([AB]\d) \|.*\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", section, re.MULTILINE
    )
    assert [row for row, *_ in printed] == [f"{family.upper()}{number}" for number in range(10)]
    for row, *values in printed:
        cell = reference_cell(f"003/family-{family}/{row.lower()}")
        assert cell.values == dict(zip(_AUDIO_TEXT, map(float, values), strict=True))
    (testa,) = re.findall(r"TestA = ([\d,]+)", section)
    (testb,) = re.findall(r"TestB = ([\d,]+)", section)
    assert cell.subset == f"TestA of {testa} and TestB of {testb} utterances"
    counted = {"testa": int(testa.replace(",", "")), "testb": int(testb.replace(",", ""))}
    assert reference_cell(f"003/test-sets/family-{family}").values == counted


def test_sizes_and_the_best_trade_off_are_the_audio_text_reports(samples: Path) -> None:
    text = _paper(samples, "003")
    section = text.split("### 1.4 Dataset size")[1].split("### 1.5")[0]
    printed = re.findall(r"^\| \**([\w-]+)\** \| \**([\d,]+)\** \|$", section, re.MULTILINE)
    printed += re.findall(r"^- \**(Acted|Conversational) .*\**([\d,]{6})\**$", section, re.MULTILINE)
    assert len(printed) == 10
    for what, count in printed:
        cell = reference_cell(f"003/sizes/{what.lower().replace('-', '')}")
        assert cell.values == {"all": int(count.replace(",", ""))}
    best = text.split("### 5.3")[1].split("Practically")[0]
    (values,) = re.findall(
        r"TestA UAR \**([\d.]+)\**, TestB UAR \**([\d.]+)\** \(TestB acc \**([\d.]+)\**\)", best
    )
    assert list(reference_cell("003/best/trade-off").values.values()) == [float(value) for value in values]
    nine = reference_cell("003/family-b/b9").values
    assert all(nine[score] == value for score, value in reference_cell("003/best/trade-off").values.items())


def test_cells_of_other_rows_are_in_no_comparison() -> None:
    check_comparable(["003/family-b/b3", "003/family-b/b9", "003/best/trade-off"], "here")
    check_comparable([], "here")
    with pytest.raises(
        BadInputError, match="here: 003/family-a/a1 is on TestA of 10,247 .*; 003/family-b/b1 is on"
    ):
        check_comparable(["003/family-a/a1", "003/family-a/a2", "003/family-b/b1"], "here")
    with pytest.raises(UnknownNameError, match="003/family-a/b1"):
        check_comparable(["003/family-a/b1"], "here")


def test_shares_lie_between_0_and_1_and_every_cell_is_cited() -> None:
    for name, cell in reference_cells().items():
        assert cell.cite.startswith(f"papers/{name[:3]} ")
        if cell.unit != "utterances":
            assert all(0 < value < 1 for value in cell.values.values())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "a: {cite: x, subset: y, unit: percent}",
            "table 'a' needs exactly the keys cite, subset, unit, rows",
        ),
        (
            "a: {cite: x, subset: y, unit: permille, rows: {r: {uar: 1}}}",
            "unit 'permille'; allowed: percent, share, utterances",
        ),
        ("a: {cite: x, subset: y, unit: percent, rows: {r: {uar: high}}}", "row 'r' of table 'a'"),
        ("a: {cite: x, subset: y, unit: percent, rows: {r: 3}}", "row 'r' of table 'a'"),
    ],
)
def test_a_table_that_is_not_one_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=f"values.yaml: .*{told}"):
        reference_cells(path)
