"""TESS: names, the carrier phrase, the archive that holds the corpus twice, and the clip with the wrong name."""

from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError
from feature_repo.manifest import conform
from tests.extractors.corpora.corpus_tree import tree


def rows(folder: Path) -> dict[str, dict[str, object]]:
    frame = conform(reader("tess").read(folder), "tess")
    return {row["utterance_id"].removeprefix("tess/"): row for row in frame.iter_rows(named=True)}


def test_the_name_tells_actress_word_and_emotion(tmp_path: Path) -> None:
    found = rows(tree(tmp_path, ["OAF_Pleasant_surprise/OAF_chair_ps.wav"]))["OAF_chair_ps"]
    assert (found["speaker_id"], found["text"], found["language"]) == ("tess/OAF", "Say the word chair", "en")
    assert (found["label_raw"], found["emotion"]) == ("pleasant surprise", "surprise")
    assert found["split"] == "all"


def test_seven_emotions_of_two_actresses(tmp_path: Path) -> None:
    expected = {
        "angry": "anger",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "joy",
        "neutral": "neutral",
        "ps": "surprise",
        "sad": "sadness",
    }
    found = rows(
        tree(tmp_path, [f"{who}_back_{emotion}.wav" for who in ("OAF", "YAF") for emotion in expected])
    )
    assert {name.split("_")[2]: row["emotion"] for name, row in found.items()} == expected
    assert {row["speaker_id"] for row in found.values()} == {"tess/OAF", "tess/YAF"}


def test_the_archive_that_holds_the_corpus_twice_is_read_once(tmp_path: Path) -> None:
    name = "TESS Toronto emotional speech set data/OAF_angry/OAF_back_angry.wav"
    tree(tmp_path, [name, f"tess toronto emotional speech set data/{name}", "OAF_angry/._OAF_back_angry.wav"])
    assert [row["media_uri"] for row in rows(tmp_path).values()] == [str(tmp_path / name)]
    (tmp_path / "tess toronto emotional speech set data" / name).write_bytes(b"another recording")
    with pytest.raises(BadInputError, match="different files of one name"):
        rows(tmp_path)


def test_the_clip_that_lacks_a_letter_has_the_name_and_the_actress_of_the_others(tmp_path: Path) -> None:
    found = rows(tree(tmp_path, ["OAF_neutral/OA_bite_neutral.wav", "OAF_neutral/OAF_bar_neutral.wav"]))
    assert sorted(found) == ["OAF_bar_neutral", "OAF_bite_neutral"]
    assert {row["speaker_id"] for row in found.values()} == {"tess/OAF"}


@pytest.mark.parametrize("name", ["MAF_back_angry", "OAF_back_bored", "OAF_angry", "OAF_back_angry (1)"])
def test_a_name_outside_the_code_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="not a TESS name"):
        rows(tree(tmp_path, [f"{name}.wav"]))
