"""Clips and tables that are asked about: which rows they are, and what is refused."""

from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.clips import read_clips
from feature_repo.errors import BadInputError, UnknownNameError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.wav", "b.mp4", "sub/a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_clip_with_its_words_and_speaker(folder: Path) -> None:
    (row,) = read_clips(["a.wav"], "new", text="Hi!", speaker="Ann").iter_rows(named=True)
    assert row == {
        "utterance_id": "new/a.wav",
        "media_uri": str(folder / "a.wav"),
        "text": "Hi!",
        "speaker_id": "new/Ann",
        "speaker_raw": "Ann",
    }


def test_words_alone(folder: Path) -> None:
    (row,) = read_clips([], "new", text="Hi!").iter_rows(named=True)
    assert (row["utterance_id"], row["media_uri"], row["text"], row["speaker_id"]) == (
        "new/text",
        None,
        "Hi!",
        None,
    )


def test_clips_of_one_name_are_told_apart(folder: Path) -> None:
    rows = read_clips(["a.wav", "sub/a.wav", "b.mp4"], "new")
    assert rows["utterance_id"].to_list() == ["new/a.wav", "new/sub/a.wav", "new/b.mp4"]


def test_clips_and_tables_together_labels_unread(folder: Path) -> None:
    (folder / "t.csv").write_text(
        "id,text,emotion,media_uri,who\nu1,hello,Frobnicated,sub/a.wav,Ann\nu2,bye,,,\n"
    )
    rows = read_clips(["t.csv", "b.mp4"], "new", columns={"utterance_id": "id", "speaker_raw": "who"})
    assert rows["utterance_id"].to_list() == ["new/u1", "new/u2", "new/b.mp4"]
    assert rows["text"].to_list() == ["hello", "bye", None]
    assert rows["media_uri"].to_list() == [str(folder / "sub/a.wav"), None, str(folder / "b.mp4")]
    assert rows["speaker_id"].to_list() == ["new/Ann", None, None]
    assert "emotion" not in rows.columns


def test_a_url_is_kept(folder: Path) -> None:
    assert read_clips(["s3://bucket/c.wav"], "new")["media_uri"].to_list() == ["s3://bucket/c.wav"]


@pytest.mark.parametrize(
    ("given", "options", "told"),
    [
        ([], {}, "nothing to read"),
        (["c.wav"], {}, "c.wav does not exist"),
        (["sub"], {}, "sub is a folder"),
        (["a.wav", "b.mp4"], {"text": "Hi"}, "go into a table"),
        (["t.csv"], {"speaker": "Ann"}, "go into a table"),
        (["a.wav"], {"columns": {"text": "words"}}, "no table is given"),
        (["a.wav", "a.wav"], {}, "utterance id 'a.wav' is given twice"),
        (["t.csv", "t.csv"], {}, "utterance id 'u1' is given twice"),
    ],
)
def test_slips(folder: Path, given: list[str], options: dict, told: str) -> None:
    (folder / "t.csv").write_text("utterance_id,text\nu1,hello\n")
    with pytest.raises(BadInputError, match=told):
        read_clips(given, "new", **options)


def test_a_column_that_is_not_there(folder: Path) -> None:
    pl.DataFrame({"utterance_id": ["u1"]}).write_csv(folder / "t.csv")
    with pytest.raises(UnknownNameError, match="words"):
        read_clips(["t.csv"], "new", columns={"text": "words"})
