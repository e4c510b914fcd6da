"""Feast's own historical retrieval, against the planted numbers."""

from datetime import UTC, datetime

import numpy as np
import pytest

from feature_repo.compaction import compact
from feature_repo.errors import UnknownNameError
from feature_repo.historical import historical
from feature_repo.online import lookup, materialize
from feature_repo.store import Store
from tests.feature_repo.planted_feast import NOTHING, SPEAKER, STEPS, TEXT, WIDTH, make_store, planted, write

TEXTS = {f"c/{number}": f"text {number}" for number in range(50)} | {"c/nothing": NOTHING}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return make_store(tmp_path_factory.mktemp("historical"), TEXTS)


def test_history_is_the_tables_content_in_the_order_that_was_asked_for(store):
    ids = [*reversed(TEXTS), "c/unknown", "c/7", "c/7"]
    found = historical(store, ["text", "speaker", "text_steps"], ids)
    assert found["utterance_id"].to_list() == ids
    for place, name in enumerate(ids):
        text = TEXTS.get(name)
        if text is None or text == NOTHING:
            assert found["text"][place] is None
            assert found["text_n"][place] == (0 if text else None)
            continue
        assert found["text"][place].to_list() == planted(TEXT, text).tolist()
        assert found["speaker"][place].to_list() == planted(SPEAKER, text).tolist()
        steps = np.frombuffer(found["text_steps"][place], "<f2").reshape(found["text_n"][place], WIDTH)
        np.testing.assert_array_equal(steps, planted(STEPS, text))


def test_pull_history_and_the_online_store_answer_alike(store):
    ids = [name for name in reversed(TEXTS) if name != "c/nothing"]
    pulled = store.pull(["text", "speaker"], ids=ids, join="outer")
    assert pulled.ids == ids
    materialize(store)
    history = historical(store, ["text", "speaker"], ids)
    assert history.equals(lookup(store, ["text", "speaker"], ids))
    for slot in ("text", "speaker"):
        np.testing.assert_array_equal(pulled.features[slot], np.array(history[slot].to_list(), np.float32))


def test_neither_older_rows_nor_merged_parts_double_anything_and_the_past_is_still_there(store):
    before = datetime.now(UTC)
    write(store, {**TEXTS, "c/1": "changed"})
    ids = ["c/0", "c/1", "c/2"]
    changed = [planted(TEXT, text).tolist() for text in ("text 0", "changed", "text 2")]
    assert historical(store, ["text"], ids)["text"].to_list() == changed
    assert (
        historical(store, ["text"], ids, at=before)["text"].to_list()[1] == planted(TEXT, "text 1").tolist()
    )
    compact(store.table(TEXT.view))
    assert len(store.table(TEXT.view).all_parts()) > len(store.table(TEXT.view).parts())
    assert historical(store, ["text"], ids)["text"].to_list() == changed
    assert (
        historical(store, ["text"], ids, at=before)["text"].to_list()[1] == planted(TEXT, "text 1").tolist()
    )


def test_an_unknown_slot_is_named(store):
    with pytest.raises(UnknownNameError, match=r"'face'; allowed: .*text_steps"):
        historical(store, ["face"], ["c/1"])
