"""CREMA-D: the code in the names, the twelve sentences, votes from either table, and the copies in circulation."""

import json
from collections import Counter
from pathlib import Path

import pytest

from extractors.corpora.cremad import _LETTERS
from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform
from tests.extractors.corpora.corpus_tree import text_file, tree

# The corpus's own list of what was said, by code.
SAID = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
SUMMARY = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"'
VOTES = '"","A","D","F","H","N","S","fileName","numResponses","agreement"'


def rows(folder: Path, **options: object) -> dict[str, dict[str, object]]:
    frame = conform(reader("cremad").read(folder, **options), "cremad")
    return {row["utterance_id"].removeprefix("cremad/"): row for row in frame.iter_rows(named=True)}


def test_the_code_is_read_right(tmp_path: Path) -> None:
    (found,) = rows(tree(tmp_path, ["AudioWAV/1001_IEO_HAP_LO.wav"])).values()
    assert found["utterance_id"] == "cremad/1001_IEO_HAP_LO"
    assert (found["speaker_id"], found["speaker_raw"], found["language"]) == ("cremad/1001", "1001", "en")
    assert (found["label_raw"], found["emotion"], found["label_note"]) == ("happy", "joy", "happy to joy")
    assert (found["split"], found["rater_counts"]) == ("all", None)
    assert found["media_uri"] == str(tmp_path / "AudioWAV/1001_IEO_HAP_LO.wav")


def test_what_is_said_goes_by_the_sentences_code(tmp_path: Path) -> None:
    tree(tmp_path, [f"AudioWAV/1091_{code}_NEU_XX.wav" for code in SAID])
    assert {name[5:8]: row["text"] for name, row in rows(tmp_path).items()} == SAID


def test_six_emotions_in_four_levels(tmp_path: Path) -> None:
    emotions = {
        "ANG": "anger",
        "DIS": "disgust",
        "FEA": "fear",
        "HAP": "joy",
        "NEU": "neutral",
        "SAD": "sadness",
    }
    tree(tmp_path, [f"1002_IEO_{code}_{level}.wav" for code in emotions for level in ("LO", "MD", "HI")])
    tree(tmp_path, [f"1002_TSI_{code}_XX.wav" for code in emotions])
    found = rows(tmp_path)
    assert len(found) == 24
    assert {name[9:12]: row["emotion"] for name, row in found.items()} == emotions
    # Raters' choices are counted under the same names.
    assert set(_LETTERS.values()) == {row["label_raw"] for row in found.values()}


def test_the_clip_whose_level_lacks_a_letter_is_read_under_the_name_of_the_tables(tmp_path: Path) -> None:
    tree(tmp_path, ["AudioWAV/1040_ITH_SAD_X.wav"])
    text_file(
        tmp_path / "processedResults/summaryTable.csv", SUMMARY, '"9","1040_ITH_SAD_XX","S",60,"S",60,"S",60'
    )
    found = rows(tmp_path)["1040_ITH_SAD_XX"]
    assert str(found["media_uri"]).endswith("1040_ITH_SAD_X.wav")
    assert json.loads(str(found["rater_counts"])) == {"sadness": 1}


def test_winners_of_the_summary_and_ties(tmp_path: Path) -> None:
    tree(tmp_path, ["AudioWAV/1001_IEO_ANG_LO.wav", "AudioWAV/1001_TSI_FEA_XX.wav"])
    text_file(
        tmp_path / "processedResults/summaryTable.csv",
        SUMMARY,
        '"1","1001_IEO_ANG_LO","A:D","60:40","N",50,"A",70',
    )
    assert json.loads(str(rows(tmp_path)["1001_IEO_ANG_LO"]["rater_counts"])) == {"anger": 1, "disgust": 1}
    face = rows(tmp_path, votes="face")["1001_IEO_ANG_LO"]
    assert json.loads(str(face["rater_counts"])) == {"neutral": 1}
    assert rows(tmp_path)["1001_TSI_FEA_XX"]["rater_counts"] is None
    assert {row["rater_counts"] for row in rows(tmp_path, votes="none").values()} == {None}
    # The label stays the acted emotion, whatever was heard.
    assert face["emotion"] == "anger"


def test_counted_votes_go_before_winners_and_by_what_the_raters_had(tmp_path: Path) -> None:
    tree(tmp_path, ["AudioWAV/1001_IEO_HAP_HI.wav"])
    results = tmp_path / "processedResults"
    text_file(results / "summaryTable.csv", SUMMARY, '"7","1001_IEO_HAP_HI","H",60,"H",60,"H",60')
    text_file(
        results / "tabulatedVotes.csv",
        VOTES,
        '"100007",1,0,0,6,3,0,"1001_IEO_HAP_HI",10,0.6',
        '"200007",0,0,0,9,0,0,"1001_IEO_HAP_HI",9,1',
        '"300007",0,0,1,8,0,1,"1001_IEO_HAP_HI",10,0.8',
    )
    for votes, expected in (
        ("voice", {"anger": 1, "happy": 6, "neutral": 3}),
        ("face", {"happy": 9}),
        ("multimodal", {"fear": 1, "happy": 8, "sadness": 1}),
    ):
        found = rows(tmp_path, votes=votes)["1001_IEO_HAP_HI"]
        assert json.loads(str(found["rater_counts"])) == expected


def test_votes_are_found_beside_the_folder_of_clips(tmp_path: Path) -> None:
    tree(tmp_path, ["AudioWAV/1001_IEO_HAP_HI.wav"])
    text_file(
        tmp_path / "processedResults/summaryTable.csv", SUMMARY, '"7","1001_IEO_HAP_HI","H",60,"H",60,"H",60'
    )
    assert rows(tmp_path / "AudioWAV")["1001_IEO_HAP_HI"]["rater_counts"]


def test_tables_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    tree(tmp_path, ["1001_IEO_HAP_HI.wav"])
    table = tmp_path / "processedResults/summaryTable.csv"
    text_file(table, SUMMARY, '"7","1001_IEO_HAP_HI","Q",60,"H",60,"H",60')
    with pytest.raises(UnknownNameError, match=r"summaryTable\.csv: line 2 'Q'; allowed: A, D, F, H, N, S"):
        rows(tmp_path)
    text_file(table, '"","FileName","FaceVote"', '"7","1001_IEO_HAP_HI","H"')
    with pytest.raises(UnknownNameError, match="VoiceVote"):
        rows(tmp_path)
    text_file(table.with_name("tabulatedVotes.csv"), VOTES, '"100007",many,0,0,6,3,0,"x",10,0.6')
    with pytest.raises(BadInputError, match=r"tabulatedVotes\.csv: line 2: .*many"):
        rows(tmp_path)


def test_one_copy_of_an_utterance_is_taken(tmp_path: Path) -> None:
    name = "1001_IEO_HAP_HI"
    tree(tmp_path, [f"AudioWAV/{name}.wav", f"AudioMP3/{name}.mp3", f"VideoFlash/{name}.flv"])
    for media, ending in (("audio", ".wav"), ("mp3", ".mp3"), ("video", ".flv")):
        (found,) = rows(tmp_path, media=media).values()
        assert str(found["media_uri"]).endswith(ending)
    (tmp_path / f"AudioWAV/{name}.wav").unlink()
    with pytest.raises(BadInputError, match="media=audio; there are clips for: mp3, video"):
        rows(tmp_path)


def test_the_corpus_twice_and_what_macos_leaves(tmp_path: Path) -> None:
    name = "AudioWAV/1001_IEO_HAP_HI.wav"
    tree(
        tmp_path,
        [name, f"CREMA-D/{name}", "AudioWAV/._1001_IEO_HAP_HI.wav", "__MACOSX/AudioWAV/1001_IEO_HAP_LO.wav"],
    )
    assert [row["media_uri"] for row in rows(tmp_path).values()] == [str(tmp_path / name)]


@pytest.mark.parametrize(
    "name", ["1000_IEO_HAP_HI", "1092_IEO_HAP_HI", "1001_XYZ_HAP_HI", "1001_IEO_SUR_HI", "1001_IEO_HAP_ZZ"]
)
def test_a_name_outside_the_code_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match=f"{name}.wav: not a CREMA-D name"):
        rows(tree(tmp_path, [f"AudioWAV/{name}.wav"]))


def test_pointers_of_git_lfs_are_told(tmp_path: Path) -> None:
    text_file(tmp_path / "AudioWAV/1001_IEO_HAP_HI.wav", "version https://git-lfs.github.com/spec/v1", "oid")
    with pytest.warns(UserWarning, match=r"1 of 1 clips are pointers of Git LFS.*git lfs pull"):
        assert len(rows(tmp_path)) == 1


def test_the_whole_corpus_has_91_actors(tmp_path: Path) -> None:
    found = rows(tree(tmp_path, [f"{actor}_TSI_SAD_XX.wav" for actor in range(1001, 1092)]))
    assert Counter(str(row["speaker_id"])[:9] for row in found.values()) == {"cremad/10": 91}
