"""A user's own table, in every format, with the mistakes that users make."""

import json
from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform

_COLUMNS = ("id", "sentence", "who", "mood", "clip", "begin", "part")
_VALUES = (
    (1, "Hello, you", "Ann", "happy", "wav/1.wav", 0.5, "training"),
    (2, "", "Bob", "anger", "/data/2.wav", 2.0, "val"),
    (3, "Bye", None, None, None, None, "test"),
)
ROWS = [dict(zip(_COLUMNS, values, strict=True)) for values in _VALUES]
MAP = {
    "utterance_id": "id",
    "text": "sentence",
    "speaker_raw": "who",
    "label_raw": "mood",
    "media_uri": "clip",
    "start_s": "begin",
    "split": "part",
}


def save(folder: Path, ending: str) -> Path:
    path = folder / f"calls{ending}"
    frame = pl.DataFrame(ROWS)
    if ending == ".csv":
        frame.write_csv(path)
    elif ending == ".tsv":
        frame.write_csv(path, separator="\t")
    elif ending == ".parquet":
        frame.write_parquet(path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n", "utf-8")
    return path


def csv(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text, "utf-8")
    return path


def read(path: Path, **options: object) -> pl.DataFrame:
    return reader("table").read(path, name="calls", **options)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, ending: str) -> None:
    rows = conform(read(save(tmp_path, ending), map=MAP, label={"happy": "joy"}), "calls")
    assert rows.select("utterance_id", "speaker_id", "split", "label_raw", "emotion", "start_s").rows() == [
        ("calls/1", "calls/Ann", "train", "happy", "joy", 0.5),
        ("calls/2", "calls/Bob", "dev", "anger", "anger", 2.0),
        ("calls/3", None, "test", None, None, None),
    ]
    assert rows["text"].to_list() == ["Hello, you", "", "Bye"]
    assert rows["media_uri"].to_list() == [str(tmp_path / "wav/1.wav"), "/data/2.wav", None]
    assert rows["label_note"].to_list() == ["happy to joy by --label", None, "unlabelled"]


def test_columns_of_the_manifests_names_need_no_mapping_and_prefixes_are_kept(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        "utterance_id,dialogue_id,turn,speaker_id,emotion,valence,other\n"
        "calls/a,d1,0,p1,Joy,0.5,x\n"
        "b,calls/d1,1,calls/p1,,,y\n",
    )
    rows = conform(read(path, language="de"), "calls")
    assert rows["utterance_id"].to_list() == ["calls/a", "calls/b"]
    assert set(rows["dialogue_id"]) == {"calls/d1"}
    assert set(rows["speaker_id"]) == {"calls/p1"}
    assert rows["turn"].to_list() == [0, 1]
    assert rows["emotion"].to_list() == ["joy", None]
    assert rows["label_raw"].to_list() == ["Joy", None]
    assert rows["valence"].to_list() == [0.5, None]
    assert set(rows["language"]) == {"de"}


def test_media_start_from_the_tables_folder_another_folder_or_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = csv(tmp_path, "utterance_id,media_uri\n1,a/b.wav\n2,s3://bucket/c.wav\n3,\n")
    monkeypatch.chdir(tmp_path)
    assert read(Path("t.csv"))["media_uri"].to_list() == [
        str(tmp_path / "a/b.wav"),
        "s3://bucket/c.wav",
        None,
    ]
    assert read(path, media="/clips")["media_uri"][0] == "/clips/a/b.wav"


def test_labels_are_never_lost_by_a_spelling(tmp_path: Path) -> None:
    path = csv(tmp_path, "utterance_id,label_raw\n1,Happy\n2,bored\n3,ANGER\n")
    with pytest.raises(UnknownNameError, match=r"--label.*'Happy'.*anger, disgust"):
        read(path)
    with pytest.raises(UnknownNameError, match="'bored'"):
        read(path, label={"Happy": "joy"})
    rows = read(path, label={"Happy": "joy", "bored": "drop"})
    assert rows["emotion"].to_list() == ["joy", None, "anger"]
    assert rows["label_note"].to_list() == ["Happy to joy by --label", "bored: dropped by --label", None]
    with pytest.raises(UnknownNameError, match="'happiness'.*joy"):
        read(path, label={"Happy": "happiness"})
    with pytest.raises(BadInputError, match="label_raw=COLUMN"):
        read(csv(tmp_path, "utterance_id\n1\n"), label={"x": "joy"})


def test_missing_and_unknown_columns_list_what_there_is(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,words\n1,a\n")
    with pytest.raises(BadInputError, match=r"--map utterance_id=COLUMN \(columns: id, words\)"):
        read(path)
    with pytest.raises(UnknownNameError, match=r"t\.csv 'sentence'; allowed: id, words"):
        read(path, map={"utterance_id": "id", "text": "sentence"})
    with pytest.raises(UnknownNameError, match=r"'txt'; allowed: .*speaker_id.*text"):
        read(path, map={"utterance_id": "id", "txt": "words"})
    with pytest.raises(UnknownNameError, match="'media_digest'"):
        read(path, map={"utterance_id": "id", "media_digest": "words"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("utterance_id\na\nb\na\n", r"line 4: utterance id 'calls/a' stands already at .*line 2"),
        ("utterance_id\na\ncalls/a\n", "line 3: utterance id 'calls/a'"),
        ("utterance_id,text\n,a\n", "line 2: no utterance id"),
        ("utterance_id,turn\na,1\nb,two\n", "line 3: turn 'two' is not a number"),
        ("utterance_id,turn\na,1.5\n", "line 2: turn '1.5'"),
        ("utterance_id,split\na,weekly\n", "line 2 'weekly'; allowed: all, dev"),
        ("utterance_id,text\na,b,c\n", "line 2: 3 fields"),
    ],
)
def test_wrong_rows_name_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises((BadInputError, UnknownNameError), match=message):
        read(csv(tmp_path, text))


def test_broken_encodings_name_line_and_byte_and_another_encoding_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("utterance_id,text\n1,ok\n2,it’s\n".encode("cp1252"))
    with pytest.raises(BadInputError, match=r"t\.csv: line 3: byte 0x92 at offset \d+.*encoding=cp1252"):
        read(path)
    assert read(path, encoding="cp1252")["text"][1] == "it’s"
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"utterance_id": "1"}\n{"utterance_id": "\xff"}\n')
    with pytest.raises(BadInputError, match=r"t\.jsonl: line 2: byte 0xff"):
        read(path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"utterance_id": 1}\n[1]\n', "utf-8")
    with pytest.raises(BadInputError, match="line 2: expected an object, found list"):
        read(tmp_path / "t.jsonl")
    (tmp_path / "t.jsonl").write_text('{"utterance_id": 1}\n{"utteran\n', "utf-8")
    with pytest.raises(BadInputError, match="line 2: not JSON"):
        read(tmp_path / "t.jsonl")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 half a file")
    with pytest.raises(BadInputError, match="not a readable Parquet"):
        read(tmp_path / "t.parquet")
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(UnknownNameError, match=r"'\.xlsx'.*\.csv, \.jsonl"):
        read(tmp_path / "t.xlsx")
    with pytest.raises(BadInputError, match="is a folder"):
        read(tmp_path)


def test_nested_cells_are_refused_where_they_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(
        '{"utterance_id": 1, "text": ["a"]}\n{"utterance_id": 2, "text": "b"}\n', "utf-8"
    )
    with pytest.raises(BadInputError, match="line 1: text holds several"):
        read(tmp_path / "t.jsonl")
    pl.DataFrame({"utterance_id": ["a", "b"], "text": [["x"], ["y"]]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(BadInputError, match="row 1: text holds several"):
        read(tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text('{"utterance_id": 1, "words": ["a"]}\n{"utterance_id": "b"}\n', "utf-8")
    assert read(tmp_path / "t.jsonl")["utterance_id"].to_list() == ["calls/1", "calls/b"]


def test_line_separators_inside_json_strings_do_not_end_the_line(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"utterance_id": "1", "text": "a\u2028b\u0085c"}\n', "utf-8")
    assert read(tmp_path / "t.jsonl")["text"].to_list() == ["a\u2028b\u0085c"]


def test_a_table_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="--name"):
        reader("table").read(csv(tmp_path, "utterance_id\n1\n"))
