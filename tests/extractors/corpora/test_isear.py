"""ISEAR on generated files with the published one's damage: made-up answers, its separators, breaks and quotes."""

from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform

BEFORE = ("ID", "CITY", "COUN", "SUBJ", "SEX", "AGE", "RELI", "PRAC", "FOCC", "MOCC", "FIEL", "EMOT")
# The published header: 40 fields, SIT the 41st, STATE, and a separator at the end.
HEADER = "|".join((*BEFORE, *(f"F{number}" for number in range(27)), "MYKEY", "SIT", "STATE", ""))
NAMES = ("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt")


def row(code: object, text: str, key: str = "0110011", person: str = "11001", state: str = "1") -> str:
    return "|".join((person, *["1"] * 10, str(code), *["0"] * 27, key, text, state, ""))


def write(folder: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    (folder / "isear.csv").write_bytes("\n".join((header, *rows)).encode(encoding))
    return folder


def test_codes_give_names_and_shame_and_guilt_have_no_place(tmp_path: Path) -> None:
    assert len(HEADER.split("|")) == 43
    assert HEADER.split("|").index("EMOT") == 11
    assert HEADER.split("|").index("SIT") == 40
    rows = [row(code, f"Answer {code}.", f"011001{code}") for code in range(1, 8)]
    found = conform(reader("isear").read(write(tmp_path, *rows)), "isear")
    assert found["label_raw"].to_list() == list(NAMES)
    assert found["emotion"].to_list() == [*NAMES[:5], None, None]
    assert all("dropped" in note for note in found["label_note"][5:])
    assert found["text"].to_list() == [f"Answer {code}." for code in range(1, 8)]
    assert set(found["speaker_id"]) == {"isear/11001"}
    assert found["utterance_id"][0] == "isear/0110011"
    assert set(found["split"]) == {"all"}
    assert reader("isear").read(tmp_path / "isear.csv").height == 7


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        ("When I fell  and á could not get up.", "When I fell and could not get up."),
        ("It was late. á  Nobody came.á ", "It was late. Nobody came."),
        ("Wikstr÷m phoned á me.", "Wikström phoned me."),
        ("Ten á|o'clock | or á so.", "Ten o'clock | or so."),
        (r'The \big letter\" (from á|home) came á|today."', 'The "big letter" (from home) came today.'),
        ('"He said ""no"" á to me."', 'He said "no" to me.'),
        ('"Yes" á and "no"', '"Yes" and "no"'),
    ],
)
def test_breaks_separators_and_quotes_within_the_words(tmp_path: Path, stored: str, meant: str) -> None:
    found = reader("isear").read(write(tmp_path, row(2, stored), row(1, "Next á one.", "2")))
    assert found["text"].to_list() == [meant, "Next one."]


def test_a_file_without_the_dos_damage_keeps_its_letters(tmp_path: Path) -> None:
    found = reader("isear").read(write(tmp_path, row(1, "In Malmö, at a café: 6 ÷ 2, olá\u00a0!")))
    assert found["text"][0] == "In Malmö, at a café: 6 ÷ 2, olá !"
    latin = reader("isear").read(write(tmp_path, row(1, "In\u00a0Malmö."), encoding="latin-1"))
    assert latin["text"][0] == "In Malmö."


def test_line_breaks_in_the_file_belong_to_the_words(tmp_path: Path) -> None:
    found = reader("isear").read(write(tmp_path, row(3, "One á\r\ntwo\nthree", "1"), "", row(1, "Four", "2")))
    assert found["text"].to_list() == ["One á two three", "Four"]


@pytest.mark.parametrize("answer", ["[ No response.]", "NO RESPONSE.", "[No response]", " ", ""])
def test_who_did_not_answer_has_neither_text_nor_emotion(tmp_path: Path, answer: str) -> None:
    found = reader("isear").read(write(tmp_path, row(1, answer), row(1, "No response came from á him.", "2")))
    assert found["text"].to_list() == [None, "No response came from him."]
    assert found["emotion"].to_list() == [None, "joy"]
    assert found["label_raw"].to_list() == ["joy", "joy"]
    assert found["label_note"].to_list() == ["no response, dropped", None]


def test_a_key_that_was_given_twice_is_counted_on(tmp_path: Path) -> None:
    found = reader("isear").read(write(tmp_path, *(row(1, f"Answer {n}", "7") for n in range(3))))
    assert found["utterance_id"].to_list() == ["isear/7", "isear/7_2", "isear/7_3"]


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"isear\.csv"):
        reader("isear").read(tmp_path)
    with pytest.raises(UnknownNameError, match="'SIT'"):
        reader("isear").read(write(tmp_path, header=HEADER.replace("|SIT|", "|WORDS|")))
    with pytest.raises(BadInputError, match=r"line 3: EMOT '8'; expected 1 joy, .*7 guilt"):
        reader("isear").read(write(tmp_path, row(1, "a"), row(8, "b", "2")))
    for short in ("11001|1|1", row(1, "half").rpartition("half")[0]):
        with pytest.raises(BadInputError, match=r"line 2: \d+ fields, expected at least 43"):
            reader("isear").read(write(tmp_path, short, row(1, "whole", "2")))
        with pytest.raises(BadInputError, match="line 3: "):
            reader("isear").read(write(tmp_path, row(1, "whole", "2"), short))
