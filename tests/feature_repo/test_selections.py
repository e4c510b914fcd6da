"""Named selections: a list of utterances that comes back sorted, with how it was made and a digest."""

import hashlib
import json

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.selections import NamedSelection
from feature_repo.store import Store
from tests.feature_repo.planted import new_store


@pytest.fixture
def store(tmp_path) -> Store:
    return new_store(tmp_path)


def test_a_selection_comes_back_sorted_with_how_it_was_made(store):
    store.selections.save(
        NamedSelection("testa", ["c/2", "c/1"], {"part": "test"}, "2026-01-01T00:00:00+00:00")
    )
    found = store.selections.load("testa")
    assert found.ids == ["c/1", "c/2"]
    assert (found.made, found.created) == ({"part": "test"}, "2026-01-01T00:00:00+00:00")
    assert store.selections.names() == ["testa"]
    plain = json.dumps(["c/1", "c/2"], separators=(",", ":"))
    assert found.digest == hashlib.sha256(plain.encode()).hexdigest()
    assert NamedSelection("b", ["c/2", "c/1"]).digest == found.digest


def test_an_empty_one_is_kept_too(store):
    store.selections.save(NamedSelection("none", []))
    assert store.selections.load("none").ids == []


def test_bad_names_doubles_and_unknown_ones_are_told(store):
    with pytest.raises(BadInputError, match="selection name 'a b'"):
        store.selections.save(NamedSelection("a b", ["c/1"]))
    with pytest.raises(BadInputError, match="c/1 is in it twice"):
        store.selections.save(NamedSelection("a", ["c/1", "c/2", "c/1"]))
    store.selections.save(NamedSelection("b", ["c/1"]))
    for action in (store.selections.load, store.selections.remove):
        with pytest.raises(UnknownNameError, match="unknown selection 'a'; allowed: b"):
            action("a")
    store.selections.remove("b")
    assert store.selections.names() == []
