"""Domains by corpus name: papers/003's grouping, other names, and the user's own word."""

import pytest

from feature_repo.corpus_domains import domain_of, domains_of, known_corpus
from feature_repo.errors import UnknownNameError
from feature_repo.label_rules import RULES


@pytest.mark.parametrize("corpus", ["mead", "ravdess", "cremad", "esd", "emovdb", "iemocap", "savee", "tess"])
def test_acted_corpora_and_what_stands_in_for_them(corpus):
    assert domain_of(corpus) == "acted"
    assert domain_of(f"{corpus}-standin") == "acted"
    assert known_corpus(f"{corpus}-standin") == corpus


def test_every_corpus_with_a_label_rule_has_a_domain():
    assert [name for name in RULES if domain_of(name) == "other"] == []
    assert domain_of("meld") == "conversational"
    assert domain_of("goemotions") == "text"
    assert domain_of("rafdb") == "face"


def test_a_name_that_only_begins_alike_is_another_corpus():
    assert domain_of("melding") == domain_of("my-meld") == domain_of("calls") == "other"
    assert known_corpus("my-meld") == "my-meld"


def test_the_user_s_word_counts():
    assert domains_of(["calls", "meld"], {"calls": "conversational"}) == {
        "calls": "conversational",
        "meld": "conversational",
    }
    with pytest.raises(UnknownNameError, match="unknown corpus 'call'; allowed: calls, meld"):
        domains_of(["calls", "meld"], {"call": "acted"})
    with pytest.raises(
        UnknownNameError, match="unknown domain of calls 'spoken'; allowed: acted, conversational"
    ):
        domains_of(["calls"], {"calls": "spoken"})
