"""Forgetting a clip takes what was computed from it for its speaker, whatever runs beside it or kills it."""

import contextlib
import shutil
from pathlib import Path

import pytest

from feature_repo.compaction import compact
from feature_repo.erasure import drop_view, forget, utterances_of
from feature_repo.errors import BadInputError
from feature_repo.fill import fill
from feature_repo.records import current_rows, live_rows
from feature_repo.store import Store, open_store
from tests.feature_repo.planted import Kill, fast_folder, new_store
from tests.feature_repo.planted_records import FACES, MATCH, RECORD, REFERENCE, Derivation, derive, people

TEXTS = {"c/1": "one", "c/2": "two", "c/3": "three", "c/4": "four", "c/5": "five"}
SPEAKERS = {"c/1": "ann", "c/2": "ann", "c/3": "bob", "c/4": None, "c/5": "bob"}


@pytest.fixture
def folder():
    made = fast_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)


def make(folder: Path) -> Store:
    """Everything derived twice, so that there are older rows, and merged, so that some stand in two parts."""
    store = new_store(folder)
    store.write_manifest("c", people({**TEXTS, "c/1": "an older text"}, SPEAKERS))
    derive(store)
    store.write_manifest("c", people(TEXTS, SPEAKERS))
    derive(store)
    compact(store.table(REFERENCE.view))
    return store


def history(store: Store, recipe) -> set[str]:
    """Whose rows any part holds, live or not."""
    table = store.table(recipe.view)
    names = [table.read_part(name) for name in table.all_parts()]
    return {row[f"{recipe.entity}_id"] for part in names for row in part.to_pylist() if row["content_key"]}


def test_the_speaker_s_rows_and_what_was_derived_from_them_go_too(folder):
    store = make(folder)
    assert history(store, REFERENCE) == {"ann", "bob"}
    forget(store, ["c/1"])
    assert history(store, RECORD) == {"c/2", "c/3", "c/4", "c/5"}
    assert history(store, REFERENCE) == {"bob"}
    assert history(store, MATCH) == {"c/3", "c/4", "c/5"}
    # Ann's other clip is compared with a reference of its own then, and nobody else's row is computed again.
    assert derive(store) == [(REFERENCE.view, "ann"), (MATCH.view, "c/2")]
    assert live_rows(store, REFERENCE.view)["used_utterance"].to_list() == [["c/2"], ["c/3", "c/5"]]


def test_a_whole_person_goes(folder):
    store = make(folder)
    forget(store, utterances_of(store, "ann"))
    assert derive(store) == []
    assert history(store, REFERENCE) == {"bob"}
    assert history(store, FACES) == history(store, MATCH) == {"c/3", "c/4", "c/5"}
    assert current_rows(store, REFERENCE.view, store.manifest())["utterance_id"].to_list() == ["bob"]


def test_an_utterance_of_nobody_takes_nobody_s_rows(folder):
    store = make(folder)
    forget(store, ["c/4"])
    assert history(store, REFERENCE) == {"ann", "bob"}
    assert history(store, MATCH) == {"c/1", "c/2", "c/3", "c/5"}
    assert derive(store) == []


@pytest.mark.parametrize("recipe", [REFERENCE, MATCH], ids=["speakers", "derived"])
def test_a_derivation_that_runs_meanwhile_does_not_bring_the_rows_back(folder, recipe):
    """The rows are computed, then the clip is forgotten, then they would be committed."""
    store = new_store(folder)
    store.write_manifest("c", people(TEXTS, SPEAKERS))
    derivation = Derivation(store)
    for earlier in (RECORD, FACES, REFERENCE):
        if earlier is not recipe:
            fill(store, [earlier], derivation)

    def beside(missing):
        yield from derivation(missing)
        forget(open_store(store.root, cache=str(store.cache)), ["c/1"])

    fill(store, [recipe], beside)
    expected = {"bob"} if recipe is REFERENCE else {"c/3", "c/4", "c/5"}
    assert history(store, recipe) == expected
    assert set(live_rows(store, recipe.view)["utterance_id"]) == expected
    derive(store)
    assert history(store, REFERENCE) == {"ann", "bob"}
    assert history(store, MATCH) == {"c/2", "c/3", "c/4", "c/5"}


def test_an_older_row_is_not_copied_forward_from_what_is_forgotten_meanwhile(folder):
    store = make(folder)
    store.write_manifest("c", people({**TEXTS, "c/1": "an older text"}, SPEAKERS))
    fill(store, [FACES], Derivation(store))
    other = open_store(store.root, cache=str(store.cache))
    told = []

    def when_planned(plans):
        told.append(plans[REFERENCE.view].copy["utterance_id"].to_list())
        forget(other, ["c/1"])

    fill(store, [REFERENCE], Derivation(store), on_plan=when_planned)
    assert told == [["ann"]]
    assert history(store, REFERENCE) == {"bob"}


@pytest.mark.long
def test_a_kill_anywhere_in_it_is_mended_by_forgetting_again(folder):
    origin = folder / "origin"
    make(origin)
    operations: list[str] = []

    def at(number: int) -> Store:
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(origin, copy)
        store = open_store(str(copy / "store"), cache=str(copy / "cache"))
        seen: list[str] = []

        def hook(moment: str, operation: str, path: str) -> None:
            seen.append(operation)
            if len(seen) > number >= 0:
                raise Kill

        store.files.hook = hook
        try:
            forget(store, ["c/1"])
        except Kill:
            pass
        else:
            operations.extend(seen)
        return open_store(store.root, cache=str(store.cache))

    at(-1)
    assert len(operations) > 100
    for number in range(0, len(operations), 7):
        store = at(number)
        if "c/1" in {*store.manifest()["utterance_id"], *store.manifests.forgotten()}:
            forget(store, ["c/1"])
        told = f"killed at {operations[number]}, number {number}"
        assert history(store, REFERENCE) == {"bob"}, told
        assert history(store, MATCH) == {"c/3", "c/4", "c/5"}, told
        assert history(store, FACES) == history(store, RECORD) == {"c/2", "c/3", "c/4", "c/5"}, told
    assert derive(store) == [(REFERENCE.view, "ann"), (MATCH.view, "c/2")]


def test_a_derivation_that_is_killed_anywhere_is_taken_up_where_it_was(folder):
    origin = folder / "origin"
    store = new_store(origin)
    store.write_manifest("c", people(TEXTS, SPEAKERS))
    recipes = (RECORD, FACES, REFERENCE, MATCH)

    def rows(store: Store) -> list[list[dict[str, object]]]:
        return [current_rows(store, recipe.view, store.manifest()).to_dicts() for recipe in recipes]

    def killed_at(number: int) -> tuple[Store, int]:
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(origin, copy)
        store = open_store(str(copy / "store"), cache=str(copy / "cache"))
        seen = []

        def hook(moment: str, operation: str, path: str) -> None:
            seen.append(operation)
            if len(seen) > number >= 0:
                raise Kill

        store.files.hook = hook
        with contextlib.suppress(Kill):
            derive(store)
        return open_store(store.root, cache=str(store.cache)), len(seen)

    whole, operations = killed_at(-1)
    expected = rows(whole)
    assert operations > 100
    for number in range(0, operations, 11):
        store, _ = killed_at(number)
        there = {(view, name) for view in store.views() for name in live_rows(store, view)["utterance_id"]}
        assert there.isdisjoint(derive(store)), f"killed at number {number}, a stored row was computed again"
        assert rows(store) == expected, f"killed at number {number}"


def test_a_view_that_speakers_rows_were_computed_from_is_not_dropped(folder):
    store = make(folder)
    for recipe, reader in ((FACES, REFERENCE), (REFERENCE, MATCH)):
        with pytest.raises(
            BadInputError, match=f"{recipe.view} can't be dropped: .*({reader.view}|{MATCH.view})"
        ):
            drop_view(store, recipe.view)
    for recipe in (MATCH, REFERENCE, FACES):
        drop_view(store, recipe.view)
    assert store.views() == [RECORD.view]
