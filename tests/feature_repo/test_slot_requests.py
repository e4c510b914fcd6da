"""What a pull is asked for, and two views of one slot under names of their own."""

import numpy as np
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.slot_requests import SlotRequest, slot_requests
from tests.feature_repo.planted_feast import OTHER_TEXT, SPEAKER, STEPS, TEXT, make_store, planted, write

TEXTS = {"c/0": "a", "c/1": "b", "c/2": "c"}


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path, TEXTS, [TEXT, OTHER_TEXT, SPEAKER, STEPS])


def test_texts_and_mappings_say_the_same():
    wanted = [SlotRequest("text_a_1", "raw"), SlotRequest("text_b_2", "adapted")]
    assert slot_requests(["raw=text_a_1", "adapted = text_b_2"]) == wanted
    assert slot_requests({"raw": "text_a_1", "adapted": "text_b_2"}) == wanted
    assert slot_requests(["text", "raw=text_a_1"]) == [SlotRequest("text"), SlotRequest("text_a_1", "raw")]
    assert slot_requests("text") == [SlotRequest("text")], "one name is no row of letters"


@pytest.mark.parametrize("text", ["=view", "raw=", "a b=view", "9=view", "é=view", "_a=view"])
def test_what_can_name_no_array_is_refused(text):
    with pytest.raises(BadInputError, match="ALIAS=VIEW|a letter first"):
        slot_requests([text])


@pytest.mark.parametrize(
    "alias", ["ids", "labels", "classes", "snapshot", "label", "text_present", "a_offsets", "dialogue_index"]
)
def test_the_names_of_an_archives_own_arrays_are_refused(alias):
    with pytest.raises(BadInputError, match=f"alias '{alias}' is taken"):
        slot_requests({alias: "text"})


def test_an_alias_means_one_view():
    with pytest.raises(BadInputError, match="'raw' is given twice, to a and b"):
        slot_requests(["raw=a", "raw=b"])


def test_two_views_of_one_slot_are_pulled_under_their_aliases(store, tmp_path):
    found = store.pull({"raw": TEXT.view, "adapted": OTHER_TEXT.view})
    for alias, recipe in (("raw", TEXT), ("adapted", OTHER_TEXT)):
        np.testing.assert_array_equal(
            found.features[alias], [planted(recipe, text) for text in TEXTS.values()]
        )
        assert found.views[alias] == recipe.view
        assert found.fingerprints[alias] == recipe.fingerprint
        assert found.coverage[alias].present == 3
        assert found.present[alias].all()
    assert list(found.features) == ["raw", "adapted"]
    assert found.to_polars().columns == ["utterance_id", "label", "raw", "adapted"]
    assert set(found.tensors()) == {"raw", "adapted", "raw_present", "adapted_present", "labels"}
    found.save_npz(tmp_path / "set.npz")
    with np.load(tmp_path / "set.npz") as archive:
        np.testing.assert_array_equal(archive["adapted"][1], planted(OTHER_TEXT, "b"))
        assert {"raw", "raw_present", "raw_content_key", "adapted_present"} <= set(archive.files)
        assert "text" not in archive.files


def test_an_alias_may_stand_beside_a_slot_and_name_a_sequence(store):
    found = store.pull([TEXT.view, f"other={OTHER_TEXT.view}", "tokens=text_steps", "speaker"])
    assert list(found.features) == ["text", "other", "tokens", "speaker"]
    np.testing.assert_array_equal(found.steps["tokens"].row(2), planted(STEPS, "c"))


def test_a_slot_is_resolved_through_the_profile_behind_its_alias(store):
    store.catalog.set("mine", {"text": TEXT.view})
    assert store.pull(["x=text"], profile="mine").views == {"x": TEXT.view}
    with pytest.raises(UnknownNameError, match="slot or view 'face'"):
        store.pull(["x=face"])


def test_one_slot_twice_is_an_error_that_shows_the_alias(store):
    with pytest.raises(BadInputError) as told:
        store.pull([TEXT.view, OTHER_TEXT.view])
    assert f"other_text={OTHER_TEXT.view}" in str(told.value)
    assert store.pull([TEXT.view, f"other_text={OTHER_TEXT.view}"]).views["other_text"] == OTHER_TEXT.view
    with pytest.raises(BadInputError, match="both asked for as 'text'"):
        store.pull([OTHER_TEXT.view, f"text={TEXT.view}"])


def test_which_alias_has_which_view_is_in_the_snapshot(store):
    one = store.pull({"raw": TEXT.view, "adapted": OTHER_TEXT.view}).snapshot()
    assert store.pull({"adapted": OTHER_TEXT.view, "raw": TEXT.view}).snapshot() == one
    assert store.pull({"raw": OTHER_TEXT.view, "adapted": TEXT.view}).snapshot() != one
    assert store.pull({"text": TEXT.view}).snapshot() == store.pull([TEXT.view]).snapshot()
    write(store, {**TEXTS, "c/1": "new"}, [OTHER_TEXT, TEXT])
    assert store.pull({"raw": TEXT.view, "adapted": OTHER_TEXT.view}).snapshot() != one
