"""`speakers` as a user types it, on a small corpus and on MELD's real labels."""

import json
from pathlib import Path

import polars as pl
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from extractors.corpora import commands
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.store import Store, init_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return init_store(str(tmp_path / "store"))


def run(*arguments: object) -> Result:
    app = typer.Typer()
    commands.add_commands(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def ingest(store: Store, corpus: str = "c") -> None:
    labels = ["Woman", "Woman", "All", "Ann", "[Ann]"]
    people = [f"{corpus}/d1/woman", f"{corpus}/d2/woman", None, f"{corpus}/ann", f"{corpus}/ann"]
    dialogues = [f"{corpus}/d1", f"{corpus}/d2", f"{corpus}/d2", f"{corpus}/d1", f"{corpus}/d2"]
    ids = [f"{corpus}/{number}" for number in range(5)]
    store.write_manifest(
        corpus,
        pl.DataFrame(
            {"utterance_id": ids, "dialogue_id": dialogues, "speaker_id": people, "speaker_raw": labels}
        ),
    )


def cells(told: str) -> list[list[str]]:
    return [line.split() for line in told.splitlines()]


def test_every_split_composite_and_joined_label_is_told(store: Store) -> None:
    ingest(store)
    told = run("speakers", "--root", store.root).output
    assert ["labels", "4"] in cells(told)
    assert ["people", "3,", "2", "of", "them", "roles", "known", "in", "one", "dialogue", "only"] in cells(
        told
    )
    assert ["All", "1"] in cells(told)
    assert ["Woman", "2", "c/d1/woman", "(1),", "c/d2/woman", "(1)"] in cells(told)
    assert ["c/ann", "2", "Ann", "(1),", "[Ann]", "(1)"] in cells(told)


def test_one_corpus_or_all(store: Store) -> None:
    ingest(store, "c")
    ingest(store, "d")
    found = json.loads(run("speakers", "--json", "--root", store.root).output)
    assert [each["corpus"] for each in found] == ["c", "d"]
    (found,) = json.loads(run("speakers", "d", "--json", "--root", store.root).output)
    assert (found["corpus"], found["people"], found["composites"]) == ("d", 3, {"All": 1})
    with pytest.raises(UnknownNameError, match="allowed: c, d"):
        run("speakers", "e", "--root", store.root)


def test_an_empty_store_says_how_to_begin(store: Store) -> None:
    with pytest.raises(BadInputError, match="affectstore ingest"):
        run("speakers", "--root", store.root)


def test_speakers_of_meld(samples: Path, store: Store) -> None:
    run("ingest", "meld", samples / "data" / "meld", "--root", store.root)
    (found,) = json.loads(run("speakers", "meld", "--json", "--root", store.root).output)
    assert (found["labels"], len(found["composites"]), found["composite_utterances"]) == (304, 18, 80)
    assert (found["names"], found["people"], len(found["split"])) == (286, 357, 28)
    assert len(found["split"]["Woman"]) == 11
    assert found["split"]["Doctor"] == {"meld/dev/dia89/doctor": 1, "meld/train/dia799/doctor": 1}
    assert found["joined"] == {"meld/phoebe_sr": {"Phoebe Sr": 26, "Phoebe Sr.": 5}}
