import pytest

from feature_repo.errors import BadInputError
from feature_repo.recipe import digest
from feature_repo.services import combination_name, immutable_name, kept_services, services_of


def test_a_combination_is_named_in_the_papers_order_whatever_order_it_is_given_in():
    assert combination_name(["face", "speaker", "text"]) == "text_speaker_face"
    assert combination_name(["zygomatic", "audio", "breath"]) == "audio_breath_zygomatic"


def test_three_modalities_make_seven_combinations_each_under_two_names():
    services = services_of({"paper": {"text": "t_1", "speaker": "s_1", "face": "f_1"}})
    by_hand = {
        "paper_text": ("t_1",),
        "paper_speaker": ("s_1",),
        "paper_face": ("f_1",),
        "paper_text_speaker": ("t_1", "s_1"),
        "paper_text_face": ("t_1", "f_1"),
        "paper_speaker_face": ("s_1", "f_1"),
        "paper_text_speaker_face": ("t_1", "s_1", "f_1"),
    }
    aliases = {name: views for name, views in services.items() if name.startswith("paper_")}
    assert aliases == by_hand
    immutable = {name: views for name, views in services.items() if name not in aliases}
    assert sorted(immutable.values()) == sorted(by_hand.values())
    assert immutable[f"text_speaker_{digest(['s_1', 't_1'])[:8]}"] == ("t_1", "s_1")


def test_profiles_share_the_immutable_service_of_the_same_views_and_differ_in_it_otherwise():
    services = services_of({"a": {"text": "t_1"}, "b": {"text": "t_1"}, "c": {"text": "t_2"}})
    assert sorted(services) == sorted(
        ["a_text", "b_text", "c_text", immutable_name({"text": "t_1"}), immutable_name({"text": "t_2"})]
    )
    assert immutable_name({"text": "t_1"}) != immutable_name({"text": "t_2"})


def test_two_profiles_that_would_claim_one_name_are_told():
    with pytest.raises(BadInputError, match=r"'a_text_face'.*rename"):
        services_of({"a": {"text": "t_1", "face": "f_1"}, "a_text": {"face": "f_2"}})


def test_no_profile_no_service():
    assert services_of({}) == {}
    assert services_of({"empty": {}}) == {}


def test_an_immutable_service_is_kept_while_its_views_are_there_and_nothing_else_is():
    slots = {"t_1": "text", "s_1": "speaker"}
    both = immutable_name({"text": "t_1", "speaker": "s_1"})
    gone = immutable_name({"text": "t_1", "face": "f_1"})
    registered = {both: ("t_1", "s_1"), gone: ("t_1", "f_1"), "paper_text": ("t_1",)}
    assert kept_services(registered, slots) == {both: ("t_1", "s_1")}
