"""Transcripts that were made elsewhere: three formats, what is missing, what is unknown, and the recipe."""

import json
from pathlib import Path

import polars as pl
import pytest

from extractors.extraction import extract
from extractors.protocol import Item
from extractors.registry import create
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.gate import gated
from feature_repo.outcome import Fault, Features
from feature_repo.records import current_rows
from feature_repo.store import Store, init_store

ROWS = {"c/1": "Yeah, it really has been great, too.", "c/2": "", "c/3": ' He said "no",\nthen left. '}


def write(file: Path, rows: dict[str, str | None], **more: list[object]) -> Path:
    frame = pl.DataFrame({"utterance_id": list(rows), "transcript": list(rows.values()), **more})
    if file.suffix == ".csv":
        frame.write_csv(file)
    elif file.suffix == ".jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dicts()))
    else:
        frame.write_parquet(file)
    return file


def outcomes(file: Path, *ids: str) -> list[Features | Fault]:
    made = create("giventranscript", {"file": str(file)})
    made.load("cpu")
    recipe = made.recipes()["transcript"]
    found = made.extract([Item(each) for each in ids])
    return [each if isinstance(each, Fault) else gated(recipe, each["transcript"]) for each in found]


@pytest.fixture
def store(tmp_path) -> Store:
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    media = [str(tmp_path / "absent.wav")] * 3 + [None]  # nothing is decoded, so nothing needs to be there
    rows = {
        "utterance_id": ["c/1", "c/2", "c/3", "c/4"],
        "text": ["Yeah!", "b", "c", "d"],
        "media_uri": media,
    }
    store.write_manifest("c", pl.DataFrame(rows))
    return store


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_transcripts_come_as_they_stand_in_the_file(tmp_path, ending):
    spoken, empty, quoted = outcomes(write(tmp_path / f"asr.{ending}", ROWS), "c/1", "c/2", "c/3")
    assert spoken.columns["text"] == ROWS["c/1"]
    assert quoted.columns["text"] == ROWS["c/3"]
    assert spoken.columns["language"] is None
    assert [len(spoken.columns[name]) for name in spoken.columns if name.startswith("segment")] == [0] * 5
    assert (empty.note, dict(empty.columns)) == ("empty transcript", {})


def test_a_language_is_told_where_the_file_has_one(tmp_path):
    file = write(tmp_path / "asr.csv", ROWS, language=["en", "en", ""])
    first, third = outcomes(file, "c/1", "c/3")
    assert (first.columns["language"], third.columns["language"]) == ("en", None)


def test_one_that_lacks_is_a_fault_that_shows_how_ids_look_there(tmp_path):
    (fault,) = outcomes(write(tmp_path / "asr.csv", ROWS), "1")
    assert (fault.stage, fault.error) == ("extract", "NoTranscript")
    assert fault.message.startswith("1: ")
    assert "the 3 transcripts of" in fault.message
    assert fault.message.endswith("such as 'c/1'")


def test_a_null_is_no_transcript_and_not_an_empty_one(tmp_path):
    (fault,) = outcomes(write(tmp_path / "asr.parquet", {**ROWS, "c/4": None}), "c/4")
    assert fault.error == "NoTranscript"


def test_the_recipe_says_what_is_in_the_file_and_not_where_it_lies(tmp_path):
    def fingerprint(file: Path) -> str:
        return create("giventranscript", {"file": str(file)}).recipes()["transcript"].fingerprint

    plain = fingerprint(write(tmp_path / "one.csv", ROWS))
    assert fingerprint(write(tmp_path / "two.csv", ROWS)) == plain
    assert fingerprint(write(tmp_path / "three.csv", {**ROWS, "c/1": "Yeah."})) != plain


def test_a_store_gets_a_view_and_is_told_of_unknown_utterances(store, tmp_path):
    file = write(tmp_path / "asr.csv", {"c/1": "Yeah.", "c/2": "", "d/7": "Who?", "d/8": "What?"})
    made = create("giventranscript", {"file": str(file)})
    with pytest.warns(UserWarning, match="2 of 4 utterances are in no manifest: d/7, d/8$"):
        report, _ = extract(store, [made], profile="p", device="cpu")
    view = made.recipes()["transcript"].view
    assert store.catalog.slots("p") == {"transcript": view}
    rows = current_rows(store, view, store.manifest())
    assert rows.select("utterance_id", "state", "note", "text").rows() == [
        ("c/1", "present", None, "Yeah."),
        ("c/2", "nothing", "empty transcript", None),
        ("c/3", "faulted", None, None),
        ("c/4", "inapplicable", None, None),
    ]
    assert dict(report.faults_by_reason) == {"extract: NoTranscript": 1}


def test_nothing_is_said_where_all_are_known(store, tmp_path, recwarn):
    extract(store, [create("giventranscript", {"file": str(write(tmp_path / "a.csv", ROWS))})], profile="p")
    assert not [each for each in recwarn if "in no manifest" in str(each.message)]


def test_a_file_must_be_named_and_there(tmp_path):
    with pytest.raises(BadInputError, match="no file was named: --set file=FILE"):
        create("giventranscript").recipes()
    with pytest.raises(BadInputError, match="absent.csv': no such file"):
        create("giventranscript", {"file": str(tmp_path / "absent.csv")}).recipes()


def test_a_file_without_the_columns_is_refused_with_those_it_has(tmp_path):
    file = tmp_path / "asr.csv"
    file.write_text("utterance_id,text\nc/1,Yeah\n")
    with pytest.raises(UnknownNameError, match="'transcript'; allowed: text, utterance_id"):
        outcomes(file, "c/1")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"utterance_id": "c/1", "transcript": "again"}, "line 2: utterance_id 'c/1' stands twice"),
        ({"utterance_id": "c/2", "transcript": 7}, "line 2: transcript must be text, found 7"),
        ({"utterance_id": "", "transcript": "x"}, "line 2: utterance_id is empty"),
        ({"utterance_id": "c/2", "transcript": "x", "language": ["en"]}, "line 2: language must be text"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path, line, told):
    file = tmp_path / "asr.jsonl"
    file.write_text(json.dumps({"utterance_id": "c/1", "transcript": "x"}) + "\n" + json.dumps(line) + "\n")
    with pytest.raises(BadInputError, match=told):
        outcomes(file, "c/1")
