"""Transcripts as a user makes them: recognised by a tiny Whisper or given, then compared with the corpus's words."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from extractors.commands import add_commands
from feature_repo.errors import BadInputError
from feature_repo.records import current_rows
from feature_repo.store import init_store, open_store
from tests.extractors.conftest import MINILM


def affectstore(root: Path, *arguments: str, code: int = 0) -> str:
    app = typer.Typer()
    add_commands(app)
    result = CliRunner().invoke(app, [*arguments, "--root", str(root)], env={"COLUMNS": "300"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def root(samples, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("asr")
    clips = folder / "ravdess" / "Actor_17"
    clips.mkdir(parents=True)
    for clip in sorted((samples / "data" / "ravdess" / "Actor_17").glob("*.wav"))[:4]:
        shutil.copy(clip, clips)
    init_store(str(folder / "store"))
    affectstore(folder / "store", "ingest", "ravdess", str(folder / "ravdess"))
    return folder / "store"


def states(root: Path, slot: str) -> pl.DataFrame:
    store = open_store(str(root))
    return current_rows(store, store.catalog.resolve(slot, "default"), store.manifest())


def test_clips_are_transcribed_once(root, tiny_whisper):
    command = ("extract", "-e", "fasterwhisper", "-s", f"model={tiny_whisper}")
    affectstore(root, *command)
    found = states(root, "transcript")
    assert set(found["state"]) == {"present"}
    assert all(found["text"])
    assert "nothing to do: 0 utterances computed, no model was loaded" in affectstore(root, *command)


def test_a_folder_that_lacks_a_file_is_refused_by_name(root, tiny_whisper, tmp_path):
    folder = Path(shutil.copytree(tiny_whisper, tmp_path / "copy"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BadInputError, match="tokenizer.json is missing"):
        affectstore(root, "extract", "-e", "fasterwhisper", "-s", f"model={folder}")


def test_given_transcripts_take_the_slot_and_are_aligned(root, tmp_path):
    ids = open_store(str(root)).manifest()["utterance_id"].to_list()
    file = tmp_path / "asr.csv"
    given = ["Kids are talking by the door.", "", "Dogs are sitting by the door", "Elephants!"]
    pl.DataFrame({"utterance_id": [*ids, "ravdess/none"], "transcript": [*given, "x"]}).write_csv(file)
    with pytest.warns(UserWarning, match="1 of 5 utterances are in no manifest: ravdess/none"):
        affectstore(root, "extract", "-e", "giventranscript", "-s", f"file={file}")
    affectstore(root, "extract", "-e", "sentence", "-s", f"model={MINILM}")
    affectstore(root, "derive")
    found = states(root, "alignment")
    assert found["state"].to_list() == ["present", "nothing", "present", "present"]
    assert found["note"].to_list()[1] == "empty transcript"
    said = open_store(str(root)).manifest()["text"].to_list()
    same = [index for index in (0, 2, 3) if given[index].rstrip(".") == said[index].rstrip(".")]
    assert same, said
    for index in (0, 2, 3):
        assert (found["cosine"][index] > 0.9) == (index in same)
