"""Names of selections and of verdicts mean lists of utterances."""

import polars as pl
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.named_ids import named_ids
from feature_repo.named_verdicts import NamedVerdict, StaleVerdictWarning
from feature_repo.selections import NamedSelection
from feature_repo.store import Store
from tests.feature_repo.planted import new_store, rows, texts

IDS = ["toy/0000", "toy/0007"]


@pytest.fixture
def store(tmp_path) -> Store:
    made = new_store(tmp_path)
    made.write_manifest("toy", rows(texts("toy", 10)))
    return made


def _verdict(store: Store, name: str, ids: list[str]) -> None:
    rows = pl.DataFrame(
        {"utterance_id": [*ids, "toy/0009"], "passed": [True] * len(ids) + [False], "reason": None},
        schema_overrides={"reason": pl.String},
    )
    store.verdicts.save(NamedVerdict(name, rows))


def test_a_selection_and_a_verdict_by_name(store: Store) -> None:
    store.selections.save(NamedSelection("some", IDS))
    _verdict(store, "passed", IDS)
    selected, passed = named_ids(store, "some"), named_ids(store, "passed")
    assert selected.ids.to_list() == passed.ids.to_list() == IDS
    assert selected.digest == passed.digest


def test_a_name_of_both_needs_a_word_before_it(store: Store) -> None:
    store.selections.save(NamedSelection("one", IDS))
    _verdict(store, "one", IDS[:1])
    with pytest.raises(BadInputError, match="allowed: selection:one, verdict:one"):
        named_ids(store, "one")
    assert named_ids(store, "selection:one").ids.to_list() == IDS
    assert named_ids(store, "verdict:one").ids.to_list() == IDS[:1]


def test_a_name_of_neither(store: Store) -> None:
    store.selections.save(NamedSelection("some", IDS))
    for name in ("sone", "verdict:some"):
        with pytest.raises(UnknownNameError, match=f"selection or verdict '{name}'; allowed: some"):
            named_ids(store, name)


def test_an_outdated_verdict_is_told(store: Store) -> None:
    _verdict(store, "old", ["toy/gone"])
    with pytest.warns(StaleVerdictWarning, match="1 of its utterances are no longer in the manifest"):
        named_ids(store, "old")
