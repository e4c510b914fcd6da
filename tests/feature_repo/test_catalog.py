"""The catalogue: what a slot means, and when the answer is a question."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from feature_repo.catalog import Catalog
from feature_repo.errors import AmbiguousViewError, BadInputError, UnknownNameError
from feature_repo.files import FileLayer
from tests.feature_repo.planted import memory_root


@pytest.fixture(params=["folder", "memory"])
def catalog(request, tmp_path) -> Catalog:
    return Catalog(FileLayer(str(tmp_path / "store") if request.param == "folder" else memory_root()))


def test_slots_are_set_one_by_one(catalog):
    catalog.set("paper", {"text": "text_a_1"})
    catalog.set("paper", {"face": "face_b_2"})
    catalog.set("paper", {"text": "text_c_3"})
    assert catalog.slots("paper") == {"text": "text_c_3", "face": "face_b_2"}
    assert catalog.profiles() == ["paper"]


def test_a_slot_is_what_the_named_profile_means(catalog):
    catalog.set("paper", {"text": "text_a_1"})
    catalog.set("ssl", {"text": "text_b_2"})
    assert catalog.resolve("text", "ssl") == "text_b_2"
    with pytest.raises(UnknownNameError, match=r"unknown profile 'poster'; allowed: paper, ssl"):
        catalog.resolve("text", "poster")
    with pytest.raises(UnknownNameError, match=r"slot of profile 'ssl' 'face'; allowed: text"):
        catalog.resolve("face", "ssl")


def test_two_candidates_are_an_error_that_lists_both_until_default_settles_it(catalog):
    catalog.set("paper", {"text": "text_a_1"})
    assert catalog.resolve("text") == "text_a_1"
    catalog.set("ssl", {"text": "text_b_2"})
    with pytest.raises(AmbiguousViewError, match=r"text_a_1 \(profile paper\), text_b_2 \(profile ssl\)"):
        catalog.resolve("text")
    catalog.set("default", {"text": "text_b_2"})
    assert catalog.resolve("text") == "text_b_2"


def test_two_profiles_that_agree_are_no_question(catalog):
    catalog.set("paper", {"text": "text_a_1"})
    catalog.set("ssl", {"text": "text_a_1"})
    assert catalog.resolve("text") == "text_a_1"


def test_an_unknown_slot_is_named_with_those_that_exist(catalog):
    with pytest.raises(UnknownNameError, match="none exist yet"):
        catalog.resolve("text")
    catalog.set("paper", {"text": "text_a_1", "face": "face_b_2"})
    with pytest.raises(UnknownNameError, match=r"slot 'voice'; allowed: face, text"):
        catalog.resolve("voice")


def test_a_dropped_view_leaves_every_profile(catalog):
    catalog.set("paper", {"text": "text_a_1"})
    catalog.set("ssl", {"text": "text_a_1", "face": "face_b_2"})
    catalog.drop_view("text_a_1")
    assert catalog.profiles() == ["ssl"]
    assert catalog.slots("ssl") == {"face": "face_b_2"}


@pytest.mark.parametrize("profile", ["", "../paper", "a/b", ".hidden"])
def test_a_name_that_no_file_can_have_is_refused(catalog, profile):
    with pytest.raises(BadInputError, match="profile name"):
        catalog.set(profile, {"text": "text_a_1"})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"slots": 3}', b"\xff"])
def test_a_damaged_profile_is_named(catalog, data):
    catalog.files.write("catalog/paper.json", data)
    with pytest.raises(BadInputError, match=r"paper\.json is unreadable"):
        catalog.resolve("text", "paper")


def test_what_several_set_at_once_is_all_there(catalog):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: catalog.set("paper", {f"slot{n}": f"view{n}"}), range(24)))
    assert len(catalog.slots("paper")) == 24


def test_settled_is_what_slots_mean_without_a_profile(catalog):
    catalog.set("paper", {"text": "text_a_1", "face": "face_b_2"})
    catalog.set("ssl", {"text": "text_c_3", "speech": "speech_d_4"})
    assert catalog.settled() == {"face": "face_b_2", "speech": "speech_d_4"}
    catalog.set("default", {"text": "text_c_3"})
    assert catalog.settled() == {"face": "face_b_2", "speech": "speech_d_4", "text": "text_c_3"}
