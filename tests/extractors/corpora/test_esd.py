"""ESD: two languages, tables in four encodings, rows without a tab, and the older archive's folders."""

from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform
from tests.extractors.corpora.corpus_tree import text_file, tree

# Number of the first sentence of each emotion, its folder, what Mandarin speakers' tables call it, its class.
BLOCKS = [
    (1, "Neutral", "中立", "neutral"),
    (351, "Angry", "生气", "anger"),
    (701, "Happy", "快乐", "joy"),
    (1051, "Sad", "伤心", "sadness"),
    (1401, "Surprise", "惊喜", "surprise"),
]
pytestmark = pytest.mark.filterwarnings("ignore:.*have no text", "ignore:.*not UTF-8")


def rows(folder: Path, **options: object) -> dict[str, dict[str, object]]:
    frame = conform(reader("esd").read(folder, **options), "esd")
    return {row["utterance_id"].removeprefix("esd/"): row for row in frame.iter_rows(named=True)}


def corpus(folder: Path, *, mandarin: str = "utf-8", english: str = "utf-8") -> Path:
    for speaker, text, encoding in (
        ("0004", "打远一看，它们的确很是美丽，", mandarin),
        ("0011", "The nine, the eggs — I keep.", english),
    ):
        lines = []
        for first, emotion, chinese, _ in BLOCKS:
            name = f"{speaker}_{first:06}"
            tree(folder, [f"{speaker}/{emotion}/{name}.wav"])
            lines.append(f"{name}\t{text}\t{chinese if speaker == '0004' else emotion}")
        text_file(folder / speaker / f"{speaker}.txt", *lines, encoding=encoding)
    return folder


def test_ten_speakers_are_mandarin_and_ten_english(tmp_path: Path) -> None:
    found = rows(corpus(tmp_path))
    assert len(found) == 10
    for first, emotion, chinese, wanted in BLOCKS:
        zh, en = found[f"0004_{first:06}"], found[f"0011_{first:06}"]
        assert (zh["language"], zh["label_raw"], zh["emotion"]) == ("zh", chinese, wanted)
        assert (en["language"], en["label_raw"], en["emotion"]) == ("en", emotion, wanted)
        assert zh["text"] == "打远一看，它们的确很是美丽，"
        assert en["text"] == "The nine, the eggs — I keep."
        assert (zh["speaker_id"], en["speaker_id"]) == ("esd/0004", "esd/0011")


def test_every_speaker_of_a_language(tmp_path: Path) -> None:
    tree(tmp_path, [f"{speaker:04}/Sad/{speaker:04}_001051.wav" for speaker in range(1, 21)])
    assert {name[:4]: row["language"] for name, row in rows(tmp_path).items()} == {
        **{f"{speaker:04}": "zh" for speaker in range(1, 11)},
        **{f"{speaker:04}": "en" for speaker in range(11, 21)},
    }
    assert {name[:4] for name in rows(tmp_path, languages="en")} == {f"{n:04}" for n in range(11, 21)}
    with pytest.raises(UnknownNameError, match="'de'; allowed: en, zh"):
        rows(tmp_path, languages="de")


@pytest.mark.parametrize(
    "mandarin", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gbk", "gb2312", "gb18030"]
)
def test_mandarin_tables_in_every_encoding_of_the_copies(tmp_path: Path, mandarin: str) -> None:
    found = rows(corpus(tmp_path, mandarin=mandarin))["0004_000351"]
    assert (found["text"], found["label_raw"]) == ("打远一看，它们的确很是美丽，", "生气")


@pytest.mark.parametrize("english", ["utf-8", "utf-16", "utf-16-be", "cp1252"])
def test_english_tables_in_every_encoding_of_the_copies(tmp_path: Path, english: str) -> None:
    assert rows(corpus(tmp_path, english=english))["0011_000351"]["text"] == "The nine, the eggs — I keep."


def test_other_encodings_than_utf_8_are_told(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    with pytest.warns(UserWarning, match="decoded as gb18030: 0004; cp1252: 0011"):
        rows(corpus(tmp_path / "a", mandarin="gbk", english="cp1252"))
    recwarn.clear()
    rows(corpus(tmp_path / "b", mandarin="utf-8-sig"))
    assert not list(recwarn)


def test_a_table_that_no_encoding_fits_is_named(tmp_path: Path) -> None:
    corpus(tmp_path)
    (tmp_path / "0004/0004.txt").write_bytes(b"0004_000001\t\xff\xff\xff\t\xff\n")
    with pytest.raises(BadInputError, match=r"0004\.txt: neither utf-8 nor gb18030"):
        rows(tmp_path)


def test_rows_without_a_tab_or_without_an_emotion(tmp_path: Path) -> None:
    tree(tmp_path, [f"0015/Neutral/0015_00000{n}.wav" for n in range(1, 6)])
    text_file(
        tmp_path / "0015/0015.txt",
        "0015_000001\tLet the glass globe be. Neutral",
        "0015_000002 An hour out of Guildford town.\tNeutral",
        "0015_000003\tThe moon makes me sad",
        "",
        "0015_000004\tAll this have we won.\tneutral",
    )
    with pytest.warns(
        UserWarning, match=r"1 of 5 have no text; the speakers' tables \(0001/0001.txt\) lack them"
    ):
        found = rows(tmp_path)
    assert [row["text"] for row in found.values()] == [
        "Let the glass globe be.",
        "An hour out of Guildford town.",
        "The moon makes me sad",
        "All this have we won.",
        None,
    ]
    assert {row["emotion"] for row in found.values()} == {"neutral"}


def test_texts_in_files_of_the_clips_names(tmp_path: Path) -> None:
    names = [f"0001_{number:06}" for number in range(1051, 1076)]
    tree(tmp_path, [f"0001/Sad/{name}.wav" for name in names])
    for name in names:
        text_file(tmp_path / f"0001/Sad/{name}.txt", "打远一看", encoding="gbk")
    text_file(tmp_path / "0001/0001.txt", "0001_001051\t表里的话\t伤心")
    with pytest.warns(UserWarning, match=r"gb18030: 0001_001052, .*0001_001071, \.\.\.$"):
        found = rows(tmp_path)
    assert [row["text"] for row in found.values()] == ["表里的话", *["打远一看"] * 24]
    assert found["0001_001052"]["label_raw"] == "Sad"


def test_the_older_archives_folders(tmp_path: Path) -> None:
    for n, split in enumerate(("train", "evaluation", "test"), 351):
        tree(tmp_path, [f"Emotion Speech Dataset/0011/Angry/{split}/0011_000{n}.wav"])
    text_file(tmp_path / "Emotion Speech Dataset/0011/0011.txt", "0011_000351\tHello.\tAngry")
    found = rows(tmp_path)
    assert {row["emotion"] for row in found.values()} == {"anger"}
    assert {row["split"] for row in found.values()} == {"all"}
    assert found["0011_000351"]["text"] == "Hello."
    assert [row["split"] for row in rows(tmp_path, splits="folders").values()] == ["train", "dev", "test"]


@pytest.mark.parametrize("place", ["0011/Sad", "0011/Sad/train", "0011/sad"])
def test_the_folder_decides_over_the_number(tmp_path: Path, place: str) -> None:
    (found,) = rows(tree(tmp_path, [f"{place}/0011_000351.wav"])).values()
    assert found["emotion"] == "sadness"


def test_a_copy_without_folders_goes_by_number(tmp_path: Path) -> None:
    edges = {1: "neutral", 350: "neutral", 351: "anger", 700: "anger", 701: "joy", 1050: "joy"}
    edges |= {1051: "sadness", 1400: "sadness", 1401: "surprise", 1750: "surprise"}
    found = rows(tree(tmp_path, [f"wav/0012_{number:06}.wav" for number in edges]))
    assert {int(name[5:]): row["emotion"] for name, row in found.items()} == edges


def test_a_table_that_disagrees_with_the_folder_is_told(tmp_path: Path) -> None:
    tree(tmp_path, ["0011/Angry/0011_000351.wav", "0011/Angry/0011_000352.wav"])
    text_file(tmp_path / "0011/0011.txt", "0011_000351\tHello.\tSad", "0011_000352\tBye.\tAngry")
    with pytest.warns(UserWarning, match="1 clips have another emotion .* such as 0011_000351"):
        found = rows(tmp_path)
    assert [(row["label_raw"], row["emotion"]) for row in found.values()] == [("Angry", "anger")] * 2


def test_copies_and_what_macos_leaves(tmp_path: Path) -> None:
    name = "0011/Angry/0011_000351.wav"
    tree(tmp_path, [name, f"copy/{name}", "0011/Angry/._0011_000351.wav"])
    text_file(tmp_path / "0011/._0011.txt", "0011_000351\tWrong.\tAngry")
    text_file(tmp_path / "0011/0011.txt", "0011_000351\tRight.\tAngry")
    assert [(row["text"], row["media_uri"]) for row in rows(tmp_path).values()] == [
        ("Right.", str(tmp_path / name))
    ]


@pytest.mark.parametrize("name", ["0021_000351", "0000_000351", "0011_000000", "0011_001751", "0011_351"])
def test_a_name_outside_the_code_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="not an ESD name"):
        rows(tree(tmp_path, [f"0011/Angry/{name}.wav"]))
