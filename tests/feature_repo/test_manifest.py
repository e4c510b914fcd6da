"""The manifest's schema: what is brought into shape and what is refused, by name."""

import polars as pl
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import MANIFEST_SCHEMA, conform, read_rows


def test_absent_columns_are_null_and_rows_are_sorted():
    frame = conform(pl.DataFrame({"utterance_id": ["c/2", "c/1"], "turn": [2, 1]}), "c")
    assert dict(frame.schema) == MANIFEST_SCHEMA
    assert frame["utterance_id"].to_list() == ["c/1", "c/2"]
    assert frame["turn"].to_list() == [1, 2]
    assert frame["corpus"].to_list() == ["c", "c"]
    assert frame["split"].to_list() == ["all", "all"]
    assert frame["dialogue_id"].to_list() == ["c/1", "c/2"]
    assert frame["text"].null_count() == 2


def test_a_corpus_may_be_empty():
    assert conform(pl.DataFrame({"utterance_id": []}, schema={"utterance_id": pl.String}), "c").is_empty()


GOOD = {"utterance_id": ["c/1", "c/2"]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"utterance_id": ["c/1", "c/1"]}, r"corpus 'c': duplicate utterance ids: 'c/1'"),
        ({"utterance_id": ["c/1", None]}, r"without an utterance id: None"),
        ({"utterance_id": ["c/1", ""]}, r"without an utterance id: ''"),
        ({"utterance_id": ["c/1", "d/1"]}, r"must start with 'c/': 'd/1'"),
        ({"utterance_id": ["c/1", "cc/1"]}, r"must start with 'c/': 'cc/1'"),
        ({"text": ["no id", "none"]}, r"no column 'utterance_id'"),
        ({**GOOD, "corpus": ["c", "d"]}, r"another corpus: 'c/2'"),
        ({**GOOD, "split": ["train", "valid"]}, r"unknown split; allowed: train, dev, test, all: 'c/2'"),
        ({**GOOD, "picture": ["left", "top"]}, r"unknown picture; allowed: left, right: 'c/2'"),
        ({**GOOD, "start_s": [0.0, 2.0], "end_s": [1.0, 2.0]}, r"end before they start: 'c/2'"),
        ({**GOOD, "start_s": [0.0, -1.0]}, r"before zero: 'c/2'"),
        ({**GOOD, "turn": ["1", "two"]}, r"corpus 'c': a column has values of the wrong type"),
        ({**GOOD, "valence": [[1.0], [2.0]]}, r"wrong type"),
        ({**GOOD, "text": [["a"], ["b"]]}, r"wrong type"),
    ],
)
def test_what_no_manifest_can_hold_is_refused(columns, message):
    with pytest.raises(BadInputError, match=message):
        conform(pl.DataFrame(columns), "c")


def test_which_part_of_the_picture_shows_the_speaker_may_be_unknown():
    frame = conform(pl.DataFrame({**GOOD, "picture": ["right", None]}), "c")
    assert frame["picture"].to_list() == ["right", None]


def test_rows_written_before_there_were_pictures_have_none():
    frame = conform(pl.DataFrame({**GOOD, "picture": ["right", None]}), "c")
    assert read_rows(frame).equals(frame)
    assert read_rows(frame.drop("picture"))["picture"].to_list() == [None, None]
    assert dict(read_rows(frame.drop("picture")).schema) == MANIFEST_SCHEMA
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        read_rows(frame.drop("text_key"))


def test_many_bad_rows_are_counted_not_listed():
    with pytest.raises(BadInputError, match=r"'d/0', 'd/1', 'd/2' and 7 more"):
        conform(pl.DataFrame({"utterance_id": [f"d/{n}" for n in range(10)]}), "c")


def test_an_unknown_column_is_named_with_those_allowed():
    with pytest.raises(UnknownNameError, match=r"manifest column 'txt'; allowed: arousal, .*text"):
        conform(pl.DataFrame({**GOOD, "txt": ["a", "b"]}), "c")


@pytest.mark.parametrize("corpus", ["", "a/b", "../c", ".hidden", "a b", "c\n"])
def test_a_corpus_name_that_no_file_can_have_is_refused(corpus):
    with pytest.raises(BadInputError, match="corpus name"):
        conform(pl.DataFrame({"utterance_id": [f"{corpus}/1"]}), corpus)
