"""Repair against Python's own codecs: damage is made with encode/decode, the meant text is known."""

from pathlib import Path

import pytest

from extractors.corpora.text_repair import decode_lenient, decode_strict, repair_mojibake
from feature_repo.errors import BadInputError

MEANT = ["it’s “good” — really…", "café", "naïve – Ó", "日本語", "£20", "plain", "", "🙂 ok"]


@pytest.mark.parametrize("meant", MEANT)
def test_utf8_read_as_latin1_comes_back(meant: str) -> None:
    assert repair_mojibake(meant.encode("utf-8").decode("latin-1")) == meant


@pytest.mark.parametrize("meant", ["it’s “good — really…", "café", "£20"])
def test_utf8_read_as_windows_1252_comes_back(meant: str) -> None:
    assert repair_mojibake(meant.encode("utf-8").decode("cp1252")) == meant


def test_windows_bytes_kept_as_control_characters_become_punctuation() -> None:
    assert repair_mojibake("it\x92s \x93good\x94\x85") == "it’s “good”…"


@pytest.mark.parametrize("text", MEANT)
def test_sound_text_stays(text: str) -> None:
    assert repair_mojibake(text) == text


def test_a_mixture_of_sound_and_suspicious_characters_stays() -> None:
    assert repair_mojibake("Ã© and ’") == "Ã© and ’"


def test_lost_characters_stay_and_what_is_between_them_is_repaired() -> None:
    damaged = "a\ufffdb caf" + "é".encode().decode("latin-1")
    assert repair_mojibake(damaged) == "a\ufffdb café"
    assert repair_mojibake("won\ufffdt".encode().decode("latin-1")) == "won\ufffdt"


def test_lenient_reads_either_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("it’s".encode("cp1252"))
    assert decode_lenient(path) == "it’s"
    path.write_bytes("\ufeffit’s".encode())
    assert decode_lenient(path) == "it’s"
    path.write_bytes(bytes(range(256)))
    assert len(decode_lenient(path)) == 256


def test_strict_names_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id,text\n1,fine\n2,it’s".encode("cp1252"))
    with pytest.raises(BadInputError, match=r"a\.csv: line 3: byte 0x92 at offset 19"):
        decode_strict(path)
    assert decode_strict(path, "cp1252").endswith("it’s")
    with pytest.raises(BadInputError, match="unknown encoding 'klingon'"):
        decode_strict(path, "klingon")
