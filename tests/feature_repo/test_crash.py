"""An error or a crash before and after every operation of the file layer: everything committed stays, nothing doubles.

Each scenario is run once undisturbed, counting its operations; then once for every operation, moment and way to fail.
"""

import errno
import os
import shutil
import typing
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from feature_repo import store as store_module
from feature_repo.compaction import compact, gc
from feature_repo.errors import AffectStoreError
from feature_repo.feature_table import QuarantineWarning
from feature_repo.files import FileLayer, Operation
from feature_repo.fill import fill
from feature_repo.store import Store, init_store, open_store
from tests.feature_repo.planted import (
    RECORD,
    TEXT,
    Extraction,
    Kill,
    fast_folder,
    live,
    memory_root,
    rows,
    stored_live,
)

OPERATIONS = set(typing.get_args(Operation))
RECIPES = [TEXT, RECORD]
FIRST = {"c/1": "one", "c/2": "two", "c/3": "three", "c/4": "broken a", "c/5": "five"}
# Changed, removed, added, and a broken one mended; then c/1 changed back.
SECOND = {"c/1": "ONE", "c/2": "two", "c/4": "four", "c/5": "five", "c/6": "six", "c/7": "broken b"}
THIRD = {**SECOND, "c/1": "one"}
injected: Counter[str] = Counter()


def extract(store: Store, retry: bool = False) -> Extraction:
    extraction = Extraction(store, RECIPES)
    fill(store, RECIPES, extraction, flush_bytes=40, retry_faults=retry)
    return extraction


def compact_all(store: Store) -> None:
    for view in store.views():
        compact(store.table(view))


def damage_a_part(store: Store) -> None:
    table = store.table(TEXT.view)
    path = table.part_path(table.parts()[0])
    store.files.write(path, store.files.read(path)[:100])


def read_all(store: Store) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QuarantineWarning)
        for recipe in RECIPES:
            live(store, recipe)


@dataclass(frozen=True)
class Scenario:
    """Something that is done to a store, and what was done before."""

    name: str
    before: tuple[Callable[[Store], object], ...]
    act: Callable[[Store], object]

    def __str__(self) -> str:
        return self.name


def ingest(texts: dict[str, str]) -> Callable[[Store], object]:
    return lambda store: store.write_manifest("c", rows(texts))


GROWN = (ingest(FIRST), extract, ingest(SECOND), extract, ingest(THIRD))
SCENARIOS = [
    Scenario("first ingest", (), ingest(FIRST)),
    Scenario("ingest again", (ingest(FIRST), extract), ingest(SECOND)),
    Scenario("first fill", (ingest(FIRST),), extract),
    Scenario("fill with copies, tombstones and faults", GROWN, extract),
    Scenario("retry", (ingest(FIRST), extract), lambda store: extract(store, retry=True)),
    Scenario("compact", (*GROWN, extract), compact_all),
    Scenario(
        "gc", (*GROWN, extract, compact_all), lambda store: [gc(store.table(v), 0) for v in store.views()]
    ),
    Scenario("merge faults", (*GROWN, extract), lambda store: store.faults.merge(TEXT.view)),
    Scenario(
        "catalogue",
        (ingest(FIRST), extract, lambda store: store.catalog.set("paper", {"text": TEXT.view})),
        lambda store: store.catalog.set("paper", {"transcript": RECORD.view}),
    ),
    Scenario("quarantine", (ingest(FIRST), extract, damage_a_part), read_all),
    Scenario("forget", (*GROWN, extract), lambda store: store.manifests.forget(["c/2"])),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = fast_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)


class Saboteur:
    """A hook that fails at the operation of one number; a crash fails at every operation after it too."""

    def __init__(self, at: int | None = None, failure: Callable[[], BaseException] | None = None) -> None:
        self.at, self.failure = at, failure
        self.seen: list[tuple[str, str]] = []
        self.dead = False

    def __call__(self, moment: str, operation: str, path: str) -> None:
        if self.dead:
            raise Kill
        self.seen.append((moment, operation))
        if self.at == len(self.seen) - 1:
            assert self.failure is not None
            injected[operation] += 1
            error = self.failure()
            self.dead = isinstance(error, Kill)
            raise error


FAILURES: dict[str, Callable[[], BaseException]] = {
    "crash": Kill,
    "full": lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "broken": lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
}


def everything(store: Store) -> dict[str, object]:
    """All that the store holds for its readers, as a new process reads it."""
    again = open_store(store.root, cache=str(store.cache))
    found: dict[str, object] = {
        "manifest": again.manifest().to_dicts(),
        "generation": again.manifests.generation("c"),
    }
    for recipe in RECIPES:
        if recipe.view in again.views():
            rows_live = live(again, recipe)
            assert stored_live(again, recipe) == dict(sorted(rows_live.items())), "two readers disagree"
            history = again.table(recipe.view).history()
            found[recipe.view] = rows_live
            found[f"contents of {recipe.view}"] = set(
                history.select("utterance_id", "content_key").iter_rows()
            )
            faults = again.faults.entries(recipe.view).select("utterance_id", "content_key", "message")
            found[f"faults of {recipe.view}"] = set(faults.iter_rows())
    found["profiles"] = {name: again.catalog.slots(name) for name in again.catalog.profiles()}
    found["forgotten"] = again.manifests.forgotten()
    return found


def prepared(scenario: Scenario, folder: Path) -> Store:
    store = init_store(str(folder / "store"), cache=str(folder / "cache"))
    for step in scenario.before:
        step(store)
    return store


def run_in_copy(
    origin: Path, copy: Path, saboteur: Saboteur, act: Callable[[Store], object]
) -> BaseException | None:
    """What came of the act on a copy of the store."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(origin, copy)
    store = open_store(str(copy / "store"), cache=str(copy / "cache"))
    store.files.hook = saboteur
    try:
        act(store)
    except (AffectStoreError, Kill) as error:
        return error
    return None


def check_between(
    name: str, before: dict[str, object], found: dict[str, object], after: dict[str, object]
) -> None:
    """After a failure each thing is as it was, as it should become, or, for rows, a mixture of the two."""
    for key in before.keys() | after.keys():
        old, now, new = (state.get(key) for state in (before, found, after))
        if key.startswith(("contents", "faults")):
            if name not in ("compact", "gc", "retry", "quarantine"):
                assert (old or set()) & (new or set()) <= (now or set()), key  # type: ignore[operator]
            assert (now or set()) <= (old or set()) | (new or set()), key  # type: ignore[operator]
        elif isinstance(old or new, dict) and key != "profiles":
            for utterance_id in {*(old or {}), *(now or {}), *(new or {})}:  # type: ignore[misc]
                allowed = [(state or {}).get(utterance_id) for state in (old, new)]  # type: ignore[attr-defined]
                assert (now or {}).get(utterance_id) in allowed, (key, utterance_id)  # type: ignore[attr-defined]
        else:
            assert now in (old, new), key


def test_a_copied_store_is_the_same_store(tmp_path):
    store = prepared(SCENARIOS[3], tmp_path / "origin")
    shutil.copytree(tmp_path / "origin", tmp_path / "copy")
    assert everything(open_store(str(tmp_path / "copy" / "store"))) == everything(store)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
@pytest.mark.filterwarnings("ignore::feature_repo.feature_table.QuarantineWarning")
def test_a_failure_at_any_operation(scenario, folder):
    """At every operation and moment one way to fail, in turn."""
    fail_everywhere(scenario, folder, lambda at: [list(FAILURES)[at % len(FAILURES)]])


@pytest.mark.long
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
@pytest.mark.filterwarnings("ignore::feature_repo.feature_table.QuarantineWarning")
def test_every_failure_at_any_operation(scenario, folder):
    """At every operation and moment all ways to fail."""
    fail_everywhere(scenario, folder, lambda at: list(FAILURES))


def fail_everywhere(scenario: Scenario, folder: Path, kinds: Callable[[int], list[str]]) -> None:
    origin, copy = folder / "origin", folder / "copy"
    store = prepared(scenario, origin)
    # To look at a damaged part is to quarantine it.
    before = everything(store) if scenario.name != "quarantine" else {}
    counting = Saboteur()
    assert run_in_copy(origin, copy, counting, scenario.act) is None
    after = everything(open_store(str(copy / "store")))
    assert counting.seen
    for at in range(len(counting.seen)):
        for kind in kinds(at):
            told = f"{kind} {' '.join(counting.seen[at])}, number {at}"
            error = run_in_copy(origin, copy, Saboteur(at, FAILURES[kind]), scenario.act)
            if error is not None and kind != "crash":
                assert os.strerror(errno.ENOSPC if kind == "full" else errno.EIO) in str(error), told
            found = everything(open_store(str(copy / "store")))
            check_between(scenario.name, before, found, after)
            again = open_store(str(copy / "store"))
            scenario.act(again)
            # An ingest that failed after its commit is no new generation the second time.
            assert {**everything(again), "generation": 0} == {**after, "generation": 0}, told


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failure_at_any_operation_of_init(tmp_path, monkeypatch, failure):
    counting = Saboteur()
    monkeypatch.setattr(store_module, "FileLayer", lambda root: FileLayer(root, counting))
    init_store(str(tmp_path / "count"))
    for at in range(len(counting.seen)):
        saboteur = Saboteur(at, failure)
        monkeypatch.setattr(store_module, "FileLayer", lambda root, hook=saboteur: FileLayer(root, hook))
        root = str(tmp_path / f"store{at}")
        with pytest.raises((AffectStoreError, Kill)):
            init_store(root)
        monkeypatch.undo()
        assert init_store(root).corpora() == []


@pytest.mark.parametrize("scenario", [SCENARIOS[i] for i in (1, 3, 5, 6, 8)], ids=str)
def test_a_failure_at_any_operation_in_memory(scenario):
    """The same where a write is one upload."""

    def make() -> Store:
        store = init_store(memory_root())
        for step in scenario.before:
            step(store)
        return store

    whole = make()
    before = everything(whole)
    whole.files.hook = counting = Saboteur()
    scenario.act(whole)
    after = everything(whole)
    # Reads fail in the local test already; here it is every upload and removal that matters.
    for at, (_, operation) in enumerate(counting.seen):
        if at % 5 and operation not in ("upload", "remove"):
            continue
        failing = make()
        failing.files.hook = Saboteur(at, FAILURES[list(FAILURES)[at % 3]])
        with pytest.raises((AffectStoreError, Kill)):
            scenario.act(failing)
        check_between(scenario.name, before, everything(failing), after)
        store = open_store(failing.root, cache=str(failing.cache))
        scenario.act(store)
        assert {**everything(store), "generation": 0} == {**after, "generation": 0}


@pytest.mark.parametrize("part_of_it", [0.0, 0.5, 0.99])
def test_a_short_write_before_a_crash_is_never_seen(tmp_path, part_of_it):
    scenario = SCENARIOS[3]
    before = everything(prepared(scenario, tmp_path / "origin"))
    store = open_store(str(tmp_path / "origin" / "store"))

    def cut(moment, operation, path):
        if moment == "after" and operation == "stage" and "features" in path:
            (staged,) = [name for name in store.files.list_files("tmp") if not name.endswith(".lock")]
            file = store.files.local_path(f"tmp/{staged}")
            os.truncate(file, int(part_of_it * file.stat().st_size))
            store.files.hook = dead
            raise Kill

    def dead(*_):
        raise Kill

    store.files.hook = cut
    with pytest.raises(Kill):
        scenario.act(store)
    assert everything(store) == before


def test_every_operation_was_made_to_fail(record_property):
    """An operation that no scenario reaches would be an untested one."""
    if not injected:
        pytest.skip("the tests above ran in another process")
    record_property("injected failures by operation", dict(injected))
    assert set(injected) == OPERATIONS
    # About 800 in all; far fewer would mean that a scenario no longer does what it says.
    assert sum(injected.values()) > 500, injected
