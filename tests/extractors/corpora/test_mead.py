"""MEAD: sound and seven views, levels, contempt by policy, and sentences from a table with a fallback."""

from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform
from tests.extractors.corpora.corpus_tree import text_file, tree

VIEWS = ("down", "front", "left_30", "left_60", "right_30", "right_60", "top")
EMOTIONS = {
    "angry": "anger",
    "contempt": None,
    "disgusted": "disgust",
    "fear": "fear",
    "happy": "joy",
    "neutral": "neutral",
    "sad": "sadness",
    "surprised": "surprise",
}
pytestmark = pytest.mark.filterwarnings("ignore:.*have no text")


def rows(folder: Path, **options: object) -> dict[str, dict[str, object]]:
    frame = conform(reader("mead").read(folder, **options), "mead")
    return {row["utterance_id"].removeprefix("mead/"): row for row in frame.iter_rows(named=True)}


def corpus(folder: Path) -> Path:
    return tree(
        folder,
        [
            f"{who}/audio/{emotion}/level_{level}/001.m4a"
            for who in ("M003", "W019")
            for emotion in EMOTIONS
            for level in ((1,) if emotion == "neutral" else (1, 2, 3))
        ],
    )


def test_the_path_tells_speaker_emotion_level_and_number(tmp_path: Path) -> None:
    found = rows(tree(tmp_path, ["W019/audio/neutral/level_1/020.m4a"]))["W019/neutral/level_1/020"]
    assert (found["speaker_id"], found["speaker_raw"]) == ("mead/W019", "W019")
    assert (found["label_raw"], found["emotion"], found["language"]) == ("neutral", "neutral", "en")
    assert found["media_uri"] == str(tmp_path / "W019/audio/neutral/level_1/020.m4a")


def test_eight_emotions_of_which_neutral_has_one_level(tmp_path: Path) -> None:
    found = rows(corpus(tmp_path))
    assert len(found) == 2 * (7 * 3 + 1)
    assert {row["label_raw"]: row["emotion"] for row in found.values()} == EMOTIONS
    chosen = rows(tmp_path, levels="3")
    assert {name.split("/")[2] for name in chosen if "/neutral/" not in name} == {"level_3"}
    assert sum("/neutral/" in name for name in chosen) == 2
    with pytest.raises(UnknownNameError, match="'4'; allowed: 1, 2, 3"):
        rows(tmp_path, levels="3,4")


@pytest.mark.parametrize(("policy", "emotion"), [("drop", None), ("disgust", "disgust")])
def test_contempt_by_policy(tmp_path: Path, policy: str, emotion: str | None) -> None:
    found = rows(corpus(tmp_path), contempt=policy)["M003/contempt/level_2/001"]
    assert (found["label_raw"], found["emotion"]) == ("contempt", emotion)
    assert found["label_note"] == f"policy contempt={policy}"


def test_an_utterance_filmed_seven_times_is_read_once_and_has_the_id_of_its_sound(tmp_path: Path) -> None:
    place = "angry/level_3/001"
    tree(tmp_path, [f"M003/video/{view}/{place}.mp4" for view in VIEWS])
    tree(tmp_path, [f"M003/audio/{place}.m4a"])
    for options, end in (
        ({}, f"audio/{place}.m4a"),
        ({"media": "video"}, f"video/front/{place}.mp4"),
        ({"media": "video", "view": "left_30"}, f"video/left_30/{place}.mp4"),
    ):
        ((name, found),) = rows(tmp_path, **options).items()
        assert name == "M003/angry/level_3/001"
        assert found["media_uri"] == str(tmp_path / "M003" / end)


def test_a_view_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    tree(tmp_path, ["M003/video/left_30/angry/level_3/001.mp4", "M003/video/top/angry/level_3/001.mp4"])
    with pytest.raises(BadInputError, match="video/front/.*views there: left_30, top"):
        rows(tmp_path, media="video")
    with pytest.raises(BadInputError, match="nothing in SPEAKER/audio/EMOTION/level_N"):
        rows(tmp_path)


def test_a_part_of_the_download(tmp_path: Path) -> None:
    tree(tmp_path, [f"Part{part}/M00{part}/audio/sad/level_1/001.m4a" for part in (0, 1)])
    assert list(rows(tmp_path, part="Part0")) == ["M000/sad/level_1/001"]
    assert len(rows(tmp_path)) == 2
    with pytest.raises(UnknownNameError, match="'Part2'; allowed: Part0, Part1"):
        rows(tmp_path, part="Part2")


def test_sentences_by_emotion_then_for_all_then_none(tmp_path: Path) -> None:
    tree(tmp_path, [f"M003/audio/{where}.m4a" for where in ("angry/level_1/001", "angry/level_3/020")])
    tree(tmp_path, [f"M003/audio/{where}.m4a" for where in ("sad/level_1/001", "sad/level_1/020")])
    # The table's spelling of an emotion may be another than the folder's, and its numbers without zeros.
    text_file(
        tmp_path / "mead_sentences.csv",
        "emotion,number,text",
        "all,1,Said in all.",
        "anger,20,Said in anger.",
        "angry,001,Said by the angry.",
    )
    with pytest.warns(UserWarning, match="1 of 4 have no text"):
        found = rows(tmp_path)
    assert {name: row["text"] for name, row in found.items()} == {
        "M003/angry/level_1/001": "Said by the angry.",
        "M003/angry/level_3/020": "Said in anger.",
        "M003/sad/level_1/001": "Said in all.",
        "M003/sad/level_1/020": None,
    }


def test_a_sentence_of_contempt_is_not_one_of_disgust(tmp_path: Path) -> None:
    tree(tmp_path, ["M003/audio/contempt/level_1/020.m4a", "M003/audio/disgusted/level_1/020.m4a"])
    table = text_file(tmp_path / "said.csv", "emotion,number,text", "contempt,020,A.", "disgusted,020,B.")
    found = rows(tmp_path, texts=str(table), contempt="disgust")
    assert {name.split("/")[1]: row["text"] for name, row in found.items()} == {
        "contempt": "A.",
        "disgusted": "B.",
    }


def test_without_a_table_texts_are_null_and_that_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="mead: 44 of 44 have no text; .*emotion,number,text"):
        assert {row["text"] for row in rows(corpus(tmp_path)).values()} == {None}


@pytest.mark.parametrize(
    ("line", "said"),
    [("bored,001,A.", "line 2: emotion 'bored'"), ("sad,one,A.", "line 2: number 'one'")],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path: Path, line: str, said: str) -> None:
    text_file(tmp_path / "said.csv", "emotion,number,text", line)
    with pytest.raises(BadInputError, match=said):
        rows(corpus(tmp_path), texts=str(tmp_path / "said.csv"))


def test_what_macos_leaves_is_no_clip(tmp_path: Path) -> None:
    tree(tmp_path, ["M003/audio/sad/level_1/001.m4a", "M003/audio/sad/level_1/._001.m4a"])
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "M3/audio/sad/level_1/001.m4a",
        "M003/audio/bored/level_1/001.m4a",
        "M003/audio/sad/level_4/001.m4a",
        "M003/sad/level_1/001.m4a",
        "M003/audio/sad/level_1/x.m4a",
    ],
)
def test_a_path_outside_the_layout_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match=r"\.m4a: not in MEAD's layout"):
        rows(tree(tmp_path, [name]))
