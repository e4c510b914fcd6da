"""What every reader must do, asked of each one in the registry, and the answers to wrong options."""

from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.reader import Reader
from extractors.corpora.registry import reader, reader_names, register_reader
from feature_repo.errors import BadInputError, UnknownNameError


def test_the_readers_of_this_package_are_found_without_a_list() -> None:
    assert set(reader_names()) >= {
        *("carer", "ckplus", "crowdflower", "fer2013", "goemotions", "iemocap", "isear"),
        *("jaffe", "meld", "rafdb", "ravdess", "semeval", "table"),
        *("cremad", "emovdb", "esd", "mead", "savee", "tess"),
    }


def test_unknown_corpus_lists_those_there_are() -> None:
    with pytest.raises(
        UnknownNameError, match="'meldd'.*crowdflower, .*goemotions, .*meld, .*ravdess, .*table"
    ):
        reader("meldd")


@pytest.mark.parametrize("name", reader_names())
def test_every_reader_says_what_it_reads_and_explains_its_options(name: str) -> None:
    found = reader(name)
    assert found.layout
    assert found.licence
    assert all(item.help and item.allowed for item in found.describe_options())


@pytest.mark.parametrize("name", reader_names())
def test_every_reader_refuses_unknown_options_missing_and_empty_folders(name: str, tmp_path: Path) -> None:
    found = reader(name)
    with pytest.raises(UnknownNameError, match="'nonsense'"):
        found.read(tmp_path, name="mine", nonsense="1")
    with pytest.raises(BadInputError, match="does not exist"):
        found.read(tmp_path / "absent", name="mine")
    with pytest.raises(BadInputError):
        found.read(tmp_path, name="mine")


def test_a_name_must_be_able_to_start_an_id(tmp_path: Path) -> None:
    for wrong in ("a/b", "", "..", "Meld", "a b"):
        with pytest.raises(BadInputError, match="name"):
            reader("table").read(tmp_path, name=wrong)


def test_two_readers_cannot_share_a_name() -> None:
    def other(folder: Path, corpus: str, options: object) -> pl.DataFrame:
        raise NotImplementedError

    reader_names()
    with pytest.raises(ValueError, match="two readers are named 'meld'"):
        register_reader("meld", layout="", licence="", options=object)(other)


def test_options_are_parsed_by_their_type(tmp_path: Path) -> None:
    ravdess: Reader = reader("ravdess")
    with pytest.raises(UnknownNameError, match="no, yes"):
        ravdess.read(tmp_path, song="perhaps")
    with pytest.raises(UnknownNameError, match="audio, av, video"):
        ravdess.read(tmp_path, modality="smell")
    with pytest.raises(BadInputError, match="--map KEY=VALUE"):
        reader("table").read(tmp_path, name="mine", map="text=words")
