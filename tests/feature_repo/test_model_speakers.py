"""Speakers' rows and what is derived from them, against plain dictionaries: any order of changes, reviews, forgetting.

A row is computed when, and only when, what it is computed from was never there before.
"""

import os
import shutil

import polars as pl
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from feature_repo.compaction import compact, gc
from feature_repo.erasure import forget
from feature_repo.fill import fill
from feature_repo.records import current_rows
from feature_repo.store import open_store
from tests.feature_repo.planted import fast_folder, new_store
from tests.feature_repo.planted_records import FACES, MATCH, REFERENCE, Derivation, people

# In the order of the fixed sample, as `printf c/0 | b2sum -l 64` sorts them; REFERENCE takes a speaker's first three.
NAMES = ["c/0", "c/2", "c/4", "c/3", "c/1"]
SPEAKERS = ["ann", "bob", None]
TEXTS = ["", "a", "b", "cd"]
DERIVED = [FACES, REFERENCE, MATCH]
# What a speaker's row is computed from: (utterance, text) of the chosen clips.
Clips = tuple[tuple[str, str], ...]


class SpeakersMachine(RuleBasedStateMachine):
    """The model: each utterance's text, speaker and review, and what each view's rows were ever computed from."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = fast_folder()
        self.store = new_store(self.folder)
        self.said: dict[str, tuple[str, str | None]] = {}
        self.objected: dict[str, str] = {}
        self.forgotten: set[str] = set()
        self.live: dict[str, Clips] = {}
        self.computed: dict[str, set[tuple[str, object]]] = {recipe.view: set() for recipe in DERIVED}

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize(
        said=st.lists(st.tuples(st.sampled_from(TEXTS), st.sampled_from(SPEAKERS)), min_size=5, max_size=5)
    )
    def begin(self, said: list[tuple[str, str | None]]) -> None:
        self.said = dict(zip(NAMES, said, strict=True))
        self.derive()

    @rule(name=st.sampled_from(NAMES), text=st.sampled_from(TEXTS), speaker=st.sampled_from(SPEAKERS))
    def say_otherwise(self, name: str, text: str, speaker: str | None) -> None:
        if name not in self.forgotten:
            self.said[name] = text, speaker
        self.derive()

    @rule(name=st.sampled_from(NAMES))
    def leave(self, name: str) -> None:
        self.said.pop(name, None)
        self.derive()

    @precondition(lambda self: self.said)
    @rule(data=st.data(), decision=st.sampled_from(["offscreen", "misaligned", "keep"]))
    def review(self, data: st.DataObject, decision: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.said)))
        self.objected[name] = decision
        self.store.reviews.add(pl.DataFrame({"utterance_id": [name], "decision": [decision]}))
        self.derive()

    @precondition(lambda self: len(self.said) > 2)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        """Older rows of speakers go with it, and of what was derived from them; nothing else is computed again."""
        name = data.draw(st.sampled_from(sorted(self.said)))
        del self.said[name]
        self.forgotten.add(name)
        forget(self.store, [name])
        self._keep(FACES, {(other, text) for other, text in self.computed[FACES.view] if other != name})
        references = self._references()
        self._keep(REFERENCE, set(references.items()))
        # A speaker's row that went is not made anew before the next derivation: none is there to derive from.
        there = {speaker: clips for speaker, clips in references.items() if self.live.get(speaker) == clips}
        self._keep(MATCH, set(self._matches(there).items()))
        for recipe in DERIVED:
            history = self.store.table(recipe.view).history().filter(pl.col("content_key") != "")
            whose = {subject for subject, _ in self.computed[recipe.view]}
            assert set(history["utterance_id"]) == whose
        self.derive()

    @rule(recipe=st.sampled_from(DERIVED))
    def tidy(self, recipe) -> None:
        compact(self.store.table(recipe.view))
        gc(self.store.table(recipe.view), 0)
        self.derive()

    @rule()
    def open_again(self) -> None:
        self.store = open_store(self.store.root, cache=str(self.folder / "cache"))

    def derive(self) -> None:
        """Each view in turn: what is asked for is what the model misses, and what is there is what it says."""
        texts = {name: text for name, (text, _) in self.said.items()}
        self.store.write_manifest(
            "c", people(texts, {name: speaker for name, (_, speaker) in self.said.items()})
        )
        references = self._references()
        for recipe, wanted in ((FACES, texts), (REFERENCE, references), (MATCH, self._matches(references))):
            missing = set(wanted.items()) - self.computed[recipe.view]
            derivation = Derivation(self.store)
            fill(self.store, [recipe], derivation)
            assert sorted(derivation.asked) == sorted((recipe.view, name) for name, _ in missing)
            self.computed[recipe.view] |= set(wanted.items())
        self.live = references
        self._look(references)

    def _look(self, references: dict[str, Clips]) -> None:
        manifest = self.store.manifest()
        for row in current_rows(self.store, REFERENCE.view, manifest).iter_rows(named=True):
            clips = references.get(row["utterance_id"])
            if clips is None:
                assert row["state"] == "inapplicable"
            else:
                seen = sorted(name for name, text in clips if text)
                assert row["state"] == ("present" if seen else "nothing")
                assert row["clips"] == len(seen)
                assert row["used_utterance"] == (seen or None)
        found = {
            row["utterance_id"]: row for row in current_rows(self.store, MATCH.view, manifest).to_dicts()
        }
        for name, (text, speaker) in self.said.items():
            letters = [ord(said[0]) for _, said in references.get(speaker or "", ()) if said]
            expected = abs(ord(text[0]) - sum(letters) / len(letters)) if letters and text else None
            similarity = found[name]["similarity"]
            assert found[name]["state"] == "present"
            assert (similarity is None) == (expected is None)
            assert expected is None or abs(similarity - expected) < 1e-4
        assert found.keys() == self.said.keys()

    def _references(self) -> dict[str, Clips]:
        """The chosen clips of each speaker who has any."""
        chosen: dict[str, list[tuple[str, str]]] = {}
        for name in NAMES:
            text, speaker = self.said.get(name, ("", None))
            if speaker and self.objected.get(name) not in ("offscreen", "misaligned"):
                chosen.setdefault(speaker, []).append((name, text))
        return {speaker: tuple(clips[:3]) for speaker, clips in chosen.items()}

    def _matches(self, references: dict[str, Clips]) -> dict[str, tuple[object, ...]]:
        """What each utterance's match is computed from: its text, and its speaker with the speaker's clips."""
        return {
            name: (text, speaker, references[speaker]) if speaker in references else (text,)
            for name, (text, speaker) in self.said.items()
        }

    def _keep(self, recipe, kept: set[tuple[str, object]]) -> None:
        self.computed[recipe.view] &= kept


TestSpeakers = SpeakersMachine.TestCase
TestSpeakers.settings = settings(
    max_examples=int(os.environ.get("AFFECTSTORE_MODEL_EXAMPLES", "100")) // 5,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
