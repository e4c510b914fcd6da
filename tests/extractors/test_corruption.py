"""Corrupted texts, measured by rapidfuzz's edit distance over words."""

import polars as pl
import pytest
from rapidfuzz.distance import Levenshtein

from extractors.corruption import corrupted, corrupted_texts
from extractors.registry import create
from feature_repo.errors import BadInputError
from feature_repo.manifest import conform

WORDS = [f"word{number % 97}" for number in range(4000)]
TEXT = " ".join(WORDS)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_the_word_error_rate_is_the_share(share):
    found = corrupted(TEXT, share, "0/c/1").split()
    assert Levenshtein.distance(WORDS, found) / len(WORDS) == pytest.approx(share, abs=0.03)
    lost = (len(WORDS) - len(found)) / len(WORDS)
    assert lost == pytest.approx(share / 2, abs=0.02), "half of what is wrong is lost"


def test_nothing_and_everything():
    assert corrupted(TEXT, 0.0, "k") == TEXT
    assert not set(corrupted(TEXT, 1.0, "k").split()) & set(WORDS)
    assert corrupted("", 0.5, "k") == ""


def test_what_is_hit_at_one_share_is_hit_at_every_larger_one():
    few, many = (corrupted(TEXT, share, "k").split() for share in (0.1, 0.4))
    kept = Levenshtein.opcodes(WORDS, many)
    unhurt = [
        WORDS[place] for code in kept if code.tag == "equal" for place in range(code.src_start, code.src_end)
    ]
    rest = iter(few)
    assert all(word in rest for word in unhurt), "in this order"


def test_a_word_is_mistaken_for_another():
    text = " ".join(["the"] * 500)
    assert Levenshtein.distance(text.split(), corrupted(text, 1.0, "k").split()) == 500


def test_it_depends_on_the_utterance_and_the_seed_and_on_nothing_else():
    rows = pl.DataFrame({"utterance_id": ["c/1", "c/2", "c/3"], "text": [TEXT, TEXT, None]})
    first, other, none = corrupted_texts(rows, 0.3, 0)
    assert none is None
    assert first != other != corrupted_texts(rows, 0.3, 1)[1]
    assert corrupted_texts(rows[1:], 0.3, 0)[0] == other
    # Written down: another machine, or another version of Python, must lose the same words.
    assert corrupted("one two three four five six", 0.5, "0/c/1") == "two out four"


def test_settings_are_identity_and_checked():
    made = create("hashing", {"corrupt": "0.2", "corrupt_seed": "3"})
    assert made.recipes()["text"].settings == {"corrupt": 0.2, "corrupt_seed": 3}
    with pytest.raises(BadInputError, match=r"corrupt=1\.5: must be a share of the words"):
        create("hashing", {"corrupt": "1.5"})
    with pytest.raises(BadInputError, match="corrupt_seed=3: there is nothing to draw"):
        create("hashing", {"corrupt_seed": "3"})


def test_each_turn_of_a_context_is_corrupted_by_itself():
    talk = {
        "utterance_id": ["c/1", "c/2"],
        "dialogue_id": "c/d",
        "turn": [0, 1],
        "speaker_raw": ["Ann", "Bob"],
        "text": ["one two three four", "five six seven eight"],
    }
    made = create("hashing", {"corrupt": "0.5", "context": "1", "prefix": "yes", "separator": "|"})
    first, second = (corrupted(text, 0.5, f"0/c/{1 + turn}") for turn, text in enumerate(talk["text"]))
    read = made.texts(conform(pl.DataFrame(talk), "c")).to_list()
    assert read == [f"speaker=Ann {first}", f"speaker=Ann {first}|speaker=Bob {second}"]
