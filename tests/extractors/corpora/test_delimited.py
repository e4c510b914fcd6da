"""Delimited files: line numbers counted by hand."""

from pathlib import Path

import pytest

from extractors.corpora.delimited import parse_delimited, require_columns
from feature_repo.errors import BadInputError, UnknownNameError

PATH = Path("a.csv")


def test_rows_keep_delimiters_quotes_and_line_ends_and_know_their_line() -> None:
    table = parse_delimited(PATH, 'id, text\r\n1,"a, ""b""\r\nc"\r\n\r\n2,d\r\n')
    assert table.frame.rows() == [("1", 'a, "b"\r\nc'), ("2", "d")]
    assert table.frame.columns == ["id", "text"]
    assert table.lines == [2, 5]
    assert table.where(1) == "a.csv: line 5"


def test_quotes_mean_nothing_where_the_format_has_none() -> None:
    table = parse_delimited(
        PATH, '"half\t2\nq"\t3\n', delimiter="\t", columns=("text", "label"), quoted=False
    )
    assert table.frame.rows() == [('"half', "2"), ('q"', "3")]
    assert table.lines == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3: 1 fields where the columns are 2: a, b"),
        ("a,b\n1,2,3\n", "line 2: 3 fields"),
        ('a,b\n1,2\n3,"open\n5,6\n', "line 3: .*quote"),
        ("", "empty"),
        ("a,b,a\n", "'a' stands twice"),
    ],
)
def test_broken_files_name_the_line(text: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        parse_delimited(PATH, text)


def test_a_missing_column_lists_the_files_columns() -> None:
    with pytest.raises(UnknownNameError, match=r"column of a\.csv 'c'; allowed: a, b"):
        require_columns(PATH, ["a", "b"], ["a", "c"])


def test_a_field_longer_than_pythons_limit_is_read() -> None:
    assert len(parse_delimited(PATH, f"a\n{'x' * 200_000}\n").frame["a"][0]) == 200_000
