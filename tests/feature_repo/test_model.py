"""The store against a plain dictionary: any order of ingest, extraction, kills, compaction and gc."""

import os
import shutil
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from feature_repo.compaction import compact, gc
from feature_repo.fill import fill
from feature_repo.records import current_rows
from feature_repo.steps import Steps
from feature_repo.store import open_store
from tests.feature_repo.planted import (
    MEDIA,
    RECORD,
    STEPS,
    Extraction,
    Kill,
    expected_value,
    fast_folder,
    live,
    new_store,
    numbers,
    record,
    rows,
    stored_live,
    values,
)

# Few, so that a hundred sequences meet what matters: contents that change and change back, in every order.
NAMES = ["c/0", "c/1", "c/2"]
CONTENTS = ["", "one", "two", "broken a"]
RECIPES = [RECORD, STEPS, MEDIA]
READS = {RECORD.view: "text", STEPS.view: "text", MEDIA.view: "file"}


class StoreMachine(RuleBasedStateMachine):
    """The model: for each utterance its text and file, and for each view what was stored and what failed.

    ``stored`` and ``failed`` hold the contents that a view ever saw of an utterance. What an extraction must compute is
    the difference; what must be live after it is the values of the contents.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = fast_folder()
        self.store = new_store(self.folder)
        # None: the utterance has no text or file at all.
        self.manifest: dict[str, dict[str, str | None]] = {}
        self.ingested: dict[str, dict[str, str | None]] = {}
        self.stored: dict[str, set[tuple[str, str]]] = {recipe.view: set() for recipe in RECIPES}
        self.failed: dict[str, set[tuple[str, str]]] = {recipe.view: set() for recipe in RECIPES}
        self.live: dict[str, dict[str, str]] = {recipe.view: {} for recipe in RECIPES}
        self.past: list[tuple[str, str, str | None]] = []
        self.touched = False  # whether anything but the manifest changed
        self.unread = False  # whether anything changed
        self.clock = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    # What the corpus does.

    @initialize(texts=st.lists(st.sampled_from(CONTENTS), min_size=1, max_size=3))
    def begin(self, texts: list[str]) -> None:
        for name, text in zip(NAMES, texts, strict=False):
            self.manifest[name] = {"text": text, "file": text + " sound" if text else "sound"}
            self._write_file(name)
        self.ingest()

    # A change is often extracted at once, so that short sequences hold several.

    @rule(name=st.sampled_from(NAMES), text=st.sampled_from([*CONTENTS, None]), at_once=st.booleans())
    def say_otherwise(self, name: str, text: str | None, at_once: bool) -> None:
        self.manifest.setdefault(name, {"text": None, "file": None})["text"] = text
        self._extract_if(at_once)

    @rule(
        name=st.sampled_from(NAMES),
        sound=st.sampled_from(["one", "two", "broken a", None, "gone"]),
        at_once=st.booleans(),
    )
    def replace_file(self, name: str, sound: str | None, at_once: bool) -> None:
        self.manifest.setdefault(name, {"text": None, "file": None})["file"] = sound
        self._write_file(name)
        self._extract_if(at_once)

    @precondition(lambda self: self.manifest)
    @rule(
        data=st.data(),
        other=st.sampled_from([*CONTENTS, None]),
        what=st.sampled_from([None, "both", "compact"]),
    )
    def there_and_back(self, data, other: str | None, what: str | None) -> None:
        """Another text and the old one again, each extracted, with the table tidied in between."""
        name = data.draw(st.sampled_from(sorted(self.manifest)))
        old = self.manifest[name]["text"]
        for text in (old, other, old):
            self.say_otherwise(name, text, at_once=True)
            for recipe in RECIPES if what else ():
                self.tidy(recipe, what)

    @precondition(lambda self: self.past)
    @rule(data=st.data(), at_once=st.booleans())
    def change_back(self, data, at_once: bool) -> None:
        """To a text or file that was ingested before, of an utterance that may have left meanwhile."""
        name, what, content = data.draw(st.sampled_from(self.past))
        self.manifest.setdefault(name, {"text": None, "file": None})[what] = content
        self._write_file(name)
        self._extract_if(at_once)

    @rule(name=st.sampled_from(NAMES), at_once=st.booleans())
    def remove(self, name: str, at_once: bool) -> None:
        self.manifest.pop(name, None)
        self._extract_if(at_once)

    @rule()
    def ingest(self) -> None:
        files = [str(self._file(name)) if row["file"] else None for name, row in self.manifest.items()]
        frame = rows({name: row["text"] for name, row in self.manifest.items()}, media_uri=files)
        self.unread = True
        before = self.ingested
        self.ingested = {name: dict(row) for name, row in self.manifest.items()}
        seen = [
            (name, what, row[what]) for name, row in sorted(self.ingested.items()) for what in sorted(row)
        ]
        self.past += [entry for entry in seen if entry not in self.past]
        report = self.store.write_manifest("c", frame)
        assert report.total == len(self.ingested)
        assert report.added == len(self.ingested.keys() - before.keys())
        assert report.removed == len(before.keys() - self.ingested.keys())
        assert report.missing_media == sum(row["file"] == "gone" for row in self.ingested.values())

    # What the user does.

    def _extract_if(self, at_once: bool) -> None:
        if at_once:
            self.extract(retry=False, flush=10**6, again=False)

    @rule(retry=st.booleans(), flush=st.sampled_from([1, 40, 10**6]), again=st.booleans())
    def extract(self, retry: bool, flush: int, again: bool) -> None:
        self.touched = self.unread = True
        self.ingest()  # the fake extraction reads the files as they are now
        if again:
            self._open_again()
        expected = self._missing(retry)
        extraction = Extraction(self.store, RECIPES)
        report = fill(self.store, RECIPES, extraction, retry_faults=retry, flush_bytes=flush)
        assert sorted(extraction.asked) == sorted(expected)
        for recipe in RECIPES:
            asked = [name for view, name in expected if view == recipe.view]
            broken = [name for name in asked if self._is_broken(self._wanted(recipe)[name])]
            counts = report.views[recipe.view]
            assert (counts.computed, counts.faulted) == (len(asked) - len(broken), len(broken))
            self._settle(recipe.view, asked)
        self._agree()

    @rule(after=st.integers(0, 5), flush=st.sampled_from([1, 40]), hard=st.booleans(), retry=st.booleans())
    def extract_and_be_killed(self, after: int, flush: int, hard: bool, retry: bool) -> None:
        """Killed before the item of that number: softly, so that a last flush is made, or hard, so that nothing is."""
        self.touched = self.unread = True
        self.ingest()
        expected = self._missing(retry)

        def kill(done: int) -> None:
            if done == after:
                if hard:
                    self.store.files.hook = dead
                raise Kill

        def dead(*_: str) -> None:
            raise Kill

        extraction = Extraction(self.store, RECIPES, kill)
        try:
            fill(self.store, RECIPES, extraction, retry_faults=retry, flush_bytes=flush)
        except Kill:
            assert len(extraction.asked) == after < len(expected)
        else:
            assert len(expected) <= after
        self._open_again()
        assert set(extraction.asked) <= set(expected)
        for recipe in RECIPES:
            asked = [name for view, name in extraction.asked if view == recipe.view]
            if hard and len(expected) > after:
                asked = self._found(recipe.view, asked, flush)
            self._settle(recipe.view, asked)
        self._agree()

    @rule(recipe=st.sampled_from(RECIPES), what=st.sampled_from(["compact", "gc", "both", "faults"]))
    def tidy(self, recipe, what: str) -> None:
        self.touched = self.unread = True
        if recipe.view in self.store.views():
            if what in ("compact", "both"):
                compact(self.store.table(recipe.view))
            if what in ("gc", "both"):
                gc(self.store.table(recipe.view), 0)
            if what == "faults":
                self.store.faults.merge(recipe.view)

    # What must hold whatever happened.

    @precondition(lambda self: self.touched)
    @invariant()
    def what_is_live_is_the_model_s(self) -> None:
        self.touched = False
        for recipe in RECIPES:
            if recipe.view in self.store.views():
                found = live(self.store, recipe)
                assert values(found) == {
                    name: expected_value(recipe, content) for name, content in self.live[recipe.view].items()
                }
                assert stored_live(self.store, recipe) == dict(sorted(found.items()))

    @precondition(lambda self: self.unread)
    @invariant()
    def what_is_pulled_is_what_the_manifest_says_now(self) -> None:
        """A row of an older content is stale and never handed out; a nothing is present in no tensor."""
        self.unread = False
        recipes = [recipe for recipe in RECIPES if recipe.view in self.store.views()]
        if RECORD in recipes:
            self._look_at_records()
            recipes.remove(RECORD)
        if not recipes:
            return
        for join in ("outer", "inner"):
            found = self.store.pull([recipe.view for recipe in recipes], join=join)
            fresh = {recipe.slot: self._fresh(recipe) for recipe in recipes}
            ids = sorted(self.ingested)
            if join == "inner":
                ids = [name for name in ids if all(name in values for values in fresh.values())]
            assert found.ids == ids
            for recipe in recipes:
                expected = fresh[recipe.slot]
                assert found.present[recipe.slot].tolist() == [name in expected for name in ids]
                for place, name in enumerate(ids):
                    value = found.features[recipe.slot]
                    value = value.row(place) if isinstance(value, Steps) else value[place]
                    if name in expected:
                        assert value.tolist() == numbers(recipe, expected[name]).tolist()
                    else:
                        assert not value.any()
                coverage = found.coverage[recipe.slot]
                assert (coverage.asked, coverage.present) == (len(self.ingested), len(expected))
                assert coverage.stale + coverage.missing + coverage.faulted == len(
                    [
                        name
                        for name, content in self._wanted(recipe).items()
                        if self.live[recipe.view].get(name) != content
                    ]
                )

    def _look_at_records(self) -> None:
        """Records are not pulled; read with their states they are as fresh as what is."""
        found = current_rows(self.store, RECORD.view, self.store.manifest())
        fresh, live_contents = self._fresh(RECORD), self.live[RECORD.view]
        assert found["utterance_id"].to_list() == sorted(self.ingested)
        for row in found.iter_rows(named=True):
            name, state = row["utterance_id"], row["state"]
            expected = record(fresh[name]) if name in fresh else dict.fromkeys(RECORD.columns)
            assert {column: row[column] for column in RECORD.columns} == expected
            assert (state == "present") == (name in fresh)
            wanted = self._wanted(RECORD).get(name)
            assert (state == "nothing") == (wanted == "" == live_contents.get(name))
            assert (state == "inapplicable") == (wanted is None)

    # The model.

    def _fresh(self, recipe) -> dict[str, str]:
        """Content by utterance, where a value of just this content is live."""
        live_contents = self.live[recipe.view]
        wanted = self._wanted(recipe)
        return {
            name: content
            for name, content in wanted.items()
            if content and live_contents.get(name) == content
        }

    def _wanted(self, recipe) -> dict[str, str]:
        """Content by utterance, for those that the recipe applies to."""
        what = READS[recipe.view]
        return {name: row[what] for name, row in self.ingested.items() if row[what] is not None}  # type: ignore[misc]

    @staticmethod
    def _is_broken(content: str) -> bool:
        return content.startswith("broken") or content == "gone"

    def _missing(self, retry: bool) -> list[tuple[str, str]]:
        return [
            (recipe.view, name)
            for recipe in RECIPES
            for name, content in self._wanted(recipe).items()
            if (name, content) not in self.stored[recipe.view]
            and (retry or (name, content) not in self.failed[recipe.view])
        ]

    def _settle(self, view: str, asked: list[str]) -> None:
        """What a fill leaves: the computed rows, those copied forward, and no row of who has left."""
        (recipe,) = (recipe for recipe in RECIPES if recipe.view == view)
        wanted = self._wanted(recipe)
        for name in asked:
            known = self.failed if self._is_broken(wanted[name]) else self.stored
            known[view].add((name, wanted[name]))
        self.live[view] = {name: content for name, content in self.live[view].items() if name in wanted}
        self.live[view] |= {
            name: content for name, content in wanted.items() if (name, content) in self.stored[view]
        }

    def _found(self, view: str, asked: list[str], flush: int) -> list[str]:
        """After a hard kill: those of the asked that were flushed, which is all but what made no whole flush."""
        if view not in self.store.views():
            return []
        table = self.store.table(view)
        rows_kept = set(table.live_keys().iter_rows())
        faults_kept = set(self.store.faults.entries(view).select("utterance_id", "content_key").iter_rows())
        wanted = dict(self.store.wanted(table.recipe).iter_rows())
        kept = [name for name in asked if (name, wanted[name]) in rows_kept | faults_kept]
        if flush == 1:  # every row with a value is flushed at once, and whatever waited before it
            (recipe,) = (recipe for recipe in RECIPES if recipe.view == view)
            contents = self._wanted(recipe)
            valued = [
                place
                for place, name in enumerate(asked)
                if contents[name] and not self._is_broken(contents[name])
            ]
            assert kept[: max(valued, default=-1) + 1] == asked[: max(valued, default=-1) + 1]
        return kept

    def _agree(self) -> None:
        """Nothing that the model calls stored or failed would be computed again."""
        for recipe in RECIPES:
            entries = self.store.faults.entries(recipe.view).select("utterance_id", "content_key")
            assert entries.height == entries.unique().height

    def _open_again(self) -> None:
        self.store = open_store(self.store.root, cache=str(self.folder / "cache"))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name[2:]}.wav"

    def _write_file(self, name: str) -> None:
        path, sound = self._file(name), self.manifest[name]["file"]
        path.unlink(missing_ok=True)
        if sound is not None and sound != "gone":
            path.write_text(sound)
            self.clock += 1  # so that a second replacement within a tick of the file system is one
            os.utime(path, ns=(self.clock, self.clock))


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=int(os.environ.get("AFFECTSTORE_MODEL_EXAMPLES", "100")),
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
