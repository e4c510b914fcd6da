"""`affectstore select` as a user types it."""

import json

import pytest
from typer.testing import CliRunner

from affectstore import command_line
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.split_making import make_split
from feature_repo.store import Store
from tests.feature_repo.planted import new_store
from tests.feature_repo.planted_corpora import acted, talked


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("COLUMNS", "200")
    made = new_store(tmp_path)
    monkeypatch.setenv("AFFECTSTORE_ROOT", made.root)
    made.write_manifest("ravdess", acted("ravdess", 10))
    made.write_manifest("meld", talked("meld", 10))
    made.splits.save(make_split("s", made.manifest()))
    return made


def run(*arguments: str):
    done = CliRunner().invoke(command_line(), ["select", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def lines(output: str, *words: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if all(word in line for word in words)]


def test_a_selection_is_kept_shown_listed_and_removed(store):
    assert "select NAME" in run().stdout
    options = ("--split", "s", "--part", "test", "--unseen-texts", "-c", "meld")
    shown = run("unseen", *options).stdout
    assert lines(shown, "meld", "10")[0][:2] == ["meld", "10"]
    assert "--report unseen" in shown
    found = store.selections.load("unseen")
    assert len(found.ids) == 10
    listed = run().stdout
    assert lines(listed, "unseen")[0][:3] == ["unseen", "10", found.digest[:8]]
    assert "corpora meld, part test, split s, unseen texts yes" in listed
    with pytest.raises(BadInputError, match="selection 'unseen' is there already.*--replace"):
        run("unseen", "-c", "meld")
    run("unseen", "-c", "meld", "--replace")
    assert len(store.selections.load("unseen").ids) == 60
    run("unseen", "--remove")
    assert store.selections.names() == []
    with pytest.raises(UnknownNameError, match="unknown selection 'unseen'"):
        run("unseen", "--remove")


def test_a_random_choice_by_the_command(store):
    run("joyful", "-c", "meld", "--emotion", "joy")
    told = json.loads(run("chance", "-c", "meld", "--random-like", "joyful", "--seed", "5", "--json").stdout)
    assert told["utterances"] == len(store.selections.load("joyful").ids) > 0
    assert told["made"] == {"corpora": ["meld"], "random_like": "joyful", "seed": 5}
    assert {one["selection"] for one in json.loads(run("--json").stdout)} == {"joyful", "chance"}


def test_a_choice_that_is_none_keeps_nothing(store):
    with pytest.raises(BadInputError, match="--verdict"):
        run("x", "--failed")
    assert store.selections.names() == []
