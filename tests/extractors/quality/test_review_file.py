"""``review.csv`` as people give it back."""

from pathlib import Path

import pytest

from extractors.quality.review_file import read_review
from feature_repo.errors import BadInputError, UnknownNameError
from tests.extractors.quality.planted_faces import planted_store

HEADER = "speaker_id,number,utterance_id,view,face,time_s,similarity,used,decision,comment"


@pytest.fixture
def store(tmp_path: Path):
    return planted_store(tmp_path, {"c/a0": ("ann", "A@0.5 B@0.5"), "c/a1": ("ann", "-@0.5")})


@pytest.fixture
def view(store) -> str:
    return store.catalog.slots("default")["faces_steps"]


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "review.csv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def test_decisions_are_read_and_open_rows_are_not(tmp_path: Path, store, view: str) -> None:
    path = write(
        tmp_path,
        f"ann,1,c/a0,{view},0,0.5,0.9,yes,,",
        f'ann,2,c/a0,{view},1,0.5,0.1,no, Reject ,"her sister, I think"',
        "ann,,c/a1,,,,,,offscreen,",
    )
    assert read_review(store, path).rows() == [
        ("c/a0", view, 1, "reject", "her sister, I think"),
        ("c/a1", None, None, "offscreen", None),
    ]
    assert store.reviews.add(read_review(store, path)) == 2


def test_a_spreadsheets_dialect_and_few_columns(tmp_path: Path, store, view: str) -> None:
    path = tmp_path / "excel.csv"
    rows = f"utterance_id;view;face;decision\r\nc/a0;{view};1;keep\r\nc/a0;{view};0.0;REJECT\r\n"
    path.write_text(rows, "utf-8-sig", newline="")
    assert read_review(store, path).rows() == [
        ("c/a0", view, 1, "keep", None),
        ("c/a0", view, 0, "reject", None),
    ]


@pytest.mark.parametrize(
    ("row", "error", "told"),
    [
        ("ann,1,c/a9,{view},0,,,,keep,", UnknownNameError, r"line 2.*c/a9"),
        ("ann,1,c/a0,{view},0,,,,offscreen,", UnknownNameError, r"a face.*line 2.*'offscreen'.*keep, reject"),
        (
            "ann,,c/a0,,,,,,reject,",
            UnknownNameError,
            r"an utterance.*line 2.*'reject'.*keep, misaligned, offscreen",
        ),
        ("ann,1,c/a0,{view},2,,,,keep,", BadInputError, r"line 2: face 2 of 'c/a0'.*2 faces"),
        ("ann,1,c/a0,{view},-1,,,,keep,", BadInputError, r"line 2: face -1"),
        ("ann,1,c/a1,{view},0,,,,keep,", BadInputError, r"line 2: face 0 of 'c/a1'.*0 faces"),
        ("ann,1,c/a0,{view},first,,,,keep,", BadInputError, r"line 2: face 'first' is not a whole number"),
        ("ann,1,c/a0,{view},0.5,,,,keep,", BadInputError, r"line 2: face '0.5' is not a whole number"),
        ("ann,1,c/a0,faces_none_00000000,0,,,,keep,", UnknownNameError, r"view of faces at .*line 2"),
        ("ann,1,c/a0", BadInputError, r"line 2: 3 fields"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(tmp_path: Path, store, view: str, row, error, told) -> None:
    with pytest.raises(error, match=told):
        read_review(store, write(tmp_path, row.format(view=view)))


def test_a_file_that_is_none(tmp_path: Path, store) -> None:
    with pytest.raises(BadInputError, match=r"gone\.csv: no such file"):
        read_review(store, tmp_path / "gone.csv")
    with pytest.raises(UnknownNameError, match="'decision'"):
        read_review(store, write(tmp_path, header="utterance_id,view,face"))
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"\nann,1,c/a0,,,,,,offscreen,caf\xe9\n")
    with pytest.raises(BadInputError, match="not UTF-8"):
        read_review(store, tmp_path / "latin.csv")
