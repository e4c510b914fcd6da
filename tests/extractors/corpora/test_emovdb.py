"""EmoV-DB: both layouts, words that differ between folder and file, sentences of ARCTIC's list A, the sleepy ones."""

from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform
from tests.extractors.corpora.corpus_tree import text_file, tree

# As the list of the four speakers' folders has it: josh has two manners fewer.
FOLDERS = [
    *(f"{who}_{manner}" for who in ("bea", "jenie", "sam") for manner in ("Angry", "Disgusted")),
    *(
        f"{who}_{manner}"
        for who in ("bea", "jenie", "josh", "sam")
        for manner in ("Amused", "Neutral", "Sleepy")
    ),
]
WORDS = {
    "Amused": "amused",
    "Angry": "anger",
    "Disgusted": "disgust",
    "Neutral": "neutral",
    "Sleepy": "sleepiness",
}
PROMPTS = (
    '( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )',
    '( arctic_a0057 "Was it the rendezvous?" )',
    '( arctic_b0057 "Not this one." )',
    '( arctic_b0540 "Nor this one." )',
)
pytestmark = pytest.mark.filterwarnings("ignore:.*have no text")


def rows(folder: Path, **options: object) -> dict[str, dict[str, object]]:
    frame = conform(reader("emovdb").read(folder, **options), "emovdb")
    return {row["utterance_id"].removeprefix("emovdb/"): row for row in frame.iter_rows(named=True)}


def corpus(folder: Path) -> Path:
    return tree(folder, [f"{name}/{WORDS[name.split('_')[1]]}_57-84_0057.wav" for name in FOLDERS])


def test_four_speakers_whose_files_have_the_same_names(tmp_path: Path) -> None:
    found = rows(corpus(tmp_path))
    assert len(found) == 18
    assert found["bea/amused/amused_57-84_0057"]["speaker_id"] == "emovdb/bea"
    assert {row["speaker_raw"] for row in found.values()} == {"bea", "jenie", "josh", "sam"}
    assert {row["label_raw"] for row in found.values() if row["speaker_raw"] == "josh"} == {
        *("amused", "neutral", "sleepy")
    }
    assert {row["label_raw"]: row["emotion"] for row in found.values()} == {
        "amused": "joy",
        "angry": "anger",
        "disgusted": "disgust",
        "neutral": "neutral",
        "sleepy": None,
    }


@pytest.mark.parametrize(("policy", "emotion"), [("drop", None), ("neutral", "neutral")])
def test_the_sleepy_ones_by_policy(tmp_path: Path, policy: str, emotion: str | None) -> None:
    found = rows(corpus(tmp_path), sleepy=policy)["sam/sleepy/sleepiness_57-84_0057"]
    assert (found["emotion"], found["label_note"]) == (emotion, f"policy sleepy={policy}")
    assert found["label_raw"] == "sleepy"
    with pytest.raises(UnknownNameError, match="drop, neutral"):
        rows(tmp_path, sleepy="joy")


def test_the_sorted_copy_has_the_same_ids(tmp_path: Path) -> None:
    one = rows(tree(tmp_path / "a", ["bea_Angry/anger_1-28_0011.wav"]))
    two = rows(tree(tmp_path / "b", ["EmoV-DB_sorted/bea/Angry/anger_1-28_0011.wav"]))
    assert list(one) == list(two) == ["bea/angry/anger_1-28_0011"]


def test_sentences_are_those_of_list_a(tmp_path: Path) -> None:
    tree(tmp_path, [f"bea_Amused/amused_1-28_{number}.wav" for number in ("0001", "0057", "0540", "0593")])
    text_file(tmp_path / "cmuarctic.data", *PROMPTS)
    with pytest.warns(
        UserWarning, match=r"2 of 4 have no text; their numbers are not in list A of .*cmuarctic"
    ):
        found = rows(tmp_path)
    assert {name[-4:]: row["text"] for name, row in found.items()} == {
        "0001": "Author of the danger trail, Philip Steels, etc.",
        "0057": "Was it the rendezvous?",
        "0540": None,
        "0593": None,
    }


@pytest.mark.parametrize(
    "line", ["a0057 Was it the rendezvous?", "arctic_a0057|Was it the rendezvous?", PROMPTS[1]]
)
def test_a_list_in_a_plain_text_file(tmp_path: Path, line: str) -> None:
    tree(tmp_path / "clips", ["bea_Amused/amused_57-84_0057.wav"])
    listed = text_file(tmp_path / "list.txt", line)
    (found,) = rows(tmp_path / "clips", prompts=str(listed)).values()
    assert found["text"] == "Was it the rendezvous?"


def test_without_a_list_texts_are_null_and_that_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="emovdb: 18 of 18 have no text; .*prompts=FILE"):
        found = rows(corpus(tmp_path))
    assert {row["text"] for row in found.values()} == {None}


def test_a_list_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    corpus(tmp_path)
    with pytest.raises(BadInputError, match=r"gone\.data does not exist"):
        rows(tmp_path, prompts="gone.data")
    text_file(tmp_path / "other.txt", "nothing of the kind")
    with pytest.raises(BadInputError, match=r"other\.txt: no line such as \( arctic_a0001"):
        rows(tmp_path, prompts=str(tmp_path / "other.txt"))
    text_file(tmp_path / "other.txt", PROMPTS[0], '( arctic_a0001 "Another." )')
    with pytest.raises(BadInputError, match=r"line 2: a second sentence a0001"):
        rows(tmp_path, prompts=str(tmp_path / "other.txt"))


def test_a_name_of_another_manner_than_its_folder_is_told(tmp_path: Path) -> None:
    tree(tmp_path, ["sam_Neutral/amused_1-28_0001.wav", "sam_Neutral/neutral_1-28_0002.wav"])
    with pytest.warns(UserWarning, match=r"1 clips lie in the folder of another manner.*amused_1-28_0001"):
        found = rows(tmp_path)
    assert {row["emotion"] for row in found.values()} == {"neutral"}


def test_what_macos_leaves_is_no_clip(tmp_path: Path) -> None:
    tree(tmp_path, ["bea_Amused/amused_1-28_0001.wav", "bea_Amused/._amused_1-28_0001.wav"])
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bea_Amused/amused.wav", "not an EmoV-DB name"),
        ("bob_Amused/amused_1-28_0001.wav", "speakers bea, jenie, josh, sam"),
        ("bea_Bored/amused_1-28_0001.wav", "manners amused, angry"),
        ("amused_1-28_0001.wav", "expected a folder such as bea_Amused"),
    ],
)
def test_names_outside_the_code_are_named(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        rows(tree(tmp_path, [name]))
