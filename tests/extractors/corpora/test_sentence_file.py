"""Tables of sentences: formats, keys, and where one is looked for."""

from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.sentence_file import beside, read_sentences
from feature_repo.errors import BadInputError
from tests.extractors.corpora.corpus_tree import text_file


def lower(*cells: str) -> tuple[str, ...]:
    return tuple(cell.lower() for cell in cells)


def test_a_key_may_be_several_columns_in_any_order_of_the_file(tmp_path: Path) -> None:
    path = text_file(
        tmp_path / "said.csv", "text,number,mood", '"Yes, please.",1,SAD', " No. , 2 ,sad", ",3,sad"
    )
    assert read_sentences(path, ("mood", "number"), lower) == {
        ("sad", "1"): "Yes, please.",
        ("sad", "2"): "No.",
    }


def test_tabs_json_lines_and_parquet_with_numbers(tmp_path: Path) -> None:
    expected = {("7",): "Hello."}
    assert read_sentences(text_file(tmp_path / "a.tsv", "id\ttext", "7\tHello."), ("id",), lower) == expected
    line = '{"id": 7, "text": "Hello."}'
    assert read_sentences(text_file(tmp_path / "a.jsonl", line), ("id",), lower) == expected
    pl.DataFrame({"id": [7, 8], "text": ["Hello.", None]}).write_parquet(tmp_path / "a.parquet")
    assert read_sentences(tmp_path / "a.parquet", ("id",), lower) == expected


def test_the_same_sentence_twice_is_no_contradiction(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", "id,text", "a,One.", "A,One.")
    assert read_sentences(path, ("id",), lower) == {("a",): "One."}
    with pytest.raises(BadInputError, match="line 4: a second sentence for A: 'Two.'"):
        read_sentences(text_file(path, "id,text", "a,One.", "", "A,Two."), ("id",), lower)


def test_where_a_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "corpus" / "clips"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert beside(folder, "", ("said.csv",)) is None
    above = text_file(tmp_path / "corpus" / "said.csv")
    assert beside(folder, "", ("other.csv", "said.csv")) == above
    inside = text_file(folder / "said.csv")
    assert beside(folder, "", ("said.csv",)) == inside
    # What is named goes before what lies there: from the working directory, else from the corpus's folder.
    assert beside(folder, "mine.csv", ("said.csv",)) == folder / "mine.csv"
    mine = text_file(tmp_path / "mine.csv")
    assert beside(folder, "mine.csv", ("said.csv",)) == mine
    assert beside(folder, "/none/mine.csv", ("said.csv",)) == Path("/none/mine.csv")
