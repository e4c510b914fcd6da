"""The online store against a dictionary: any order of ingest, extraction, register, materialize, merges and erasure."""

import shutil

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from feature_repo.compaction import compact, gc
from feature_repo.erasure import forget
from feature_repo.feast_import import import_feast
from feature_repo.online import lookup, materialize
from feature_repo.registry import register
from feature_repo.store import open_store
from tests.feature_repo.planted import fast_folder
from tests.feature_repo.planted_feast import NOTHING, SPEAKER, TEXT, make_store, planted, write

NAMES = ["c/1", "c/2", "c/3"]
TEXTS = ["hello", "good bye", NOTHING]
RECIPES = (TEXT, SPEAKER)


class OnlineMachine(RuleBasedStateMachine):
    """The model: what each view holds, and what of it was loaded when that view was last materialized."""

    def __init__(self) -> None:
        super().__init__()
        import_feast()
        self.folder = fast_folder()
        self.texts: dict[str, str] = {}
        self.loaded: dict[str, dict[str, str]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize(texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3))
    def begin(self, texts: list[str]) -> None:
        self.texts = dict(zip(NAMES, texts, strict=False))
        self.store = make_store(self.folder, self.texts, RECIPES)
        self.forgotten: set[str] = set()

    @rule(name=st.sampled_from(NAMES), text=st.sampled_from([*TEXTS, None]))
    def change_and_extract(self, name: str, text: str | None) -> None:
        if text is None:
            self.texts.pop(name, None)
        else:
            self.texts[name] = text
        for gone in self.forgotten:
            self.texts.pop(gone, None)
        if self.texts:
            write(self.store, self.texts, RECIPES)
        else:
            self.texts[name] = text or TEXTS[0]

    @rule(recipe=st.sampled_from(RECIPES), collect=st.booleans())
    def merge(self, recipe, collect: bool) -> None:
        compact(self.store.table(recipe.view))
        if collect:
            gc(self.store.table(recipe.view), 0)

    @rule()
    def register(self) -> None:
        found = register(self.store)
        assert set(found.views) == {recipe.view for recipe in RECIPES}

    @rule(
        recipes=st.sampled_from([RECIPES, RECIPES[:1], RECIPES[1:]]), full=st.booleans(), again=st.booleans()
    )
    def materialize(self, recipes, full: bool, again: bool) -> None:
        if again:
            self.store = open_store(self.store.root, cache=str(self.store.cache))
        materialize(self.store, [recipe.view for recipe in recipes], full=full)
        for recipe in recipes:
            self.loaded[recipe.view] = self._stored()
        self.look()
        assert not any(materialize(self.store, [recipe.view for recipe in recipes]).rows.values())

    @precondition(lambda self: self.loaded)
    @rule()
    def look(self) -> None:
        views = sorted(self.loaded)
        found = lookup(self.store, views, NAMES)
        for recipe in RECIPES:
            if recipe.view in views:
                texts = [self.loaded[recipe.view].get(name, NOTHING) for name in NAMES]
                expected = [None if text == NOTHING else planted(recipe, text).tolist() for text in texts]
                assert found[recipe.view].to_list() == expected

    @precondition(lambda self: len(self.texts) > 1)
    @rule()
    def forget_one(self) -> None:
        name = min(self.store.manifest()["utterance_id"].to_list(), default=None)
        if name is None:
            return
        forget(self.store, [name])
        self.forgotten.add(name)
        self.texts.pop(name, None)
        for texts in self.loaded.values():
            texts.pop(name, None)
        if self.loaded:
            self.look()

    def _stored(self) -> dict[str, str]:
        """What the manifest says, which is what was extracted: both happen in one rule."""
        return dict(self.store.manifest().select("utterance_id", "text").iter_rows())


def sequences(examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OnlineMachine, settings=chosen)


def test_a_few_short_sequences():
    """Feast takes a tenth of a second for each step."""
    sequences(15, 10)


@pytest.mark.long
def test_many():
    sequences(200, 15)
