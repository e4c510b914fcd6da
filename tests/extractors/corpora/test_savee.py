"""SAVEE: foldered and flat copies, the letters of the emotions, and sentences from a table."""

from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform
from tests.extractors.corpora.corpus_tree import text_file, tree

LETTERS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "joy",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
pytestmark = pytest.mark.filterwarnings("ignore:.*have no text")


def rows(folder: Path, **options: object) -> dict[str, dict[str, object]]:
    frame = conform(reader("savee").read(folder, **options), "savee")
    return {row["utterance_id"].removeprefix("savee/"): row for row in frame.iter_rows(named=True)}


def test_foldered_and_flat_copies_have_the_same_ids(tmp_path: Path) -> None:
    speakers = ("DC", "JE", "JK", "KL")
    foldered = tree(
        tmp_path / "a", [f"AudioData/{who}/{letters}01.wav" for who in speakers for letters in LETTERS]
    )
    flat = tree(tmp_path / "b", [f"{who}_{letters}01.wav" for who in speakers for letters in LETTERS])
    for folder in (foldered, flat):
        found = rows(folder)
        assert sorted(found) == sorted(f"{who}_{letters}01" for who in speakers for letters in LETTERS)
        assert {name[3:-2]: row["emotion"] for name, row in found.items()} == LETTERS
        assert found["KL_sa01"]["speaker_id"] == "savee/KL"
        assert (found["KL_sa01"]["label_raw"], found["KL_h01"]["label_raw"]) == ("sadness", "happiness")


def test_two_letters_are_no_single_one(tmp_path: Path) -> None:
    # sa12 and su12 are not "s" and not "a": the last two places are the number.
    found = rows(tree(tmp_path, ["DC_sa12.wav", "DC_su12.wav", "DC_a12.wav", "DC_n30.wav"]))
    assert {name: row["emotion"] for name, row in found.items()} == {
        "DC_a12": "anger",
        "DC_n30": "neutral",
        "DC_sa12": "sadness",
        "DC_su12": "surprise",
    }


def test_texts_are_null_without_a_table_and_that_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="savee: 1 of 1 have no text; .*texts=FILE"):
        assert rows(tree(tmp_path, ["DC_a01.wav"]))["DC_a01"]["text"] is None


def test_a_row_for_one_speaker_goes_before_one_for_all(tmp_path: Path) -> None:
    tree(tmp_path / "clips", ["DC_a01.wav", "JE_a01.wav", "JE_a02.wav"])
    table = text_file(tmp_path / "said.csv", "sentence,text", "a01,For all.", "DC_a01,For one.")
    found = rows(tmp_path / "clips", texts=str(table))
    assert {name: row["text"] for name, row in found.items()} == {
        "DC_a01": "For one.",
        "JE_a01": "For all.",
        "JE_a02": None,
    }
    table.rename(tmp_path / "clips" / "savee_sentences.csv")
    assert rows(tmp_path / "clips")["DC_a01"]["text"] == "For one."


def test_tables_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    tree(tmp_path, ["DC_a01.wav"])
    with pytest.raises(BadInputError, match=r"gone\.csv does not exist"):
        rows(tmp_path, texts="gone.csv")
    text_file(tmp_path / "said.csv", "id,text", "a01,Hello.")
    with pytest.raises(UnknownNameError, match="'sentence'; allowed: id, text"):
        rows(tmp_path, texts=str(tmp_path / "said.csv"))
    text_file(tmp_path / "said.csv", "sentence,text", "a1,Hello.")
    with pytest.raises(BadInputError, match=r"said\.csv: line 2: sentence 'a1'"):
        rows(tmp_path, texts=str(tmp_path / "said.csv"))
    text_file(tmp_path / "said.csv", "sentence,text", "a01,Hello.", "a01,Bye.")
    with pytest.raises(BadInputError, match="line 3: a second sentence for a01: 'Bye.'"):
        rows(tmp_path, texts=str(tmp_path / "said.csv"))


def test_video_and_sound_of_an_utterance_have_one_id(tmp_path: Path) -> None:
    tree(tmp_path, ["AudioData/DC/a01.wav", "AudioVisualClip/DC/a01.avi"])
    (found,) = rows(tmp_path, media="video").items()
    assert (found[0], str(found[1]["media_uri"])[-4:]) == ("DC_a01", ".avi")


@pytest.mark.parametrize("name", ["AudioData/XX/a01.wav", "a01.wav", "DC_b01.wav", "DC_a1.wav", "DC_s01.wav"])
def test_a_name_outside_the_code_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="not a SAVEE name"):
        rows(tree(tmp_path, [name]))
