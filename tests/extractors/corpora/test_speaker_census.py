"""Who speaks, by hand: splits, joined spellings, several people at once, and nobody."""

import polars as pl

from extractors.corpora.speaker_census import speaker_census

ROWS = [
    # corpus, dialogue, label, person
    ("b", "b/d1", "Woman", "b/d1/woman"),
    ("b", "b/d1", "Woman", "b/d1/woman"),
    ("b", "b/d2", "Woman", "b/d2/woman"),
    ("b", "b/d2", "Waiter", "b/d2/waiter"),
    ("b", "b/d10", "Guy", "b/d10/guy"),
    ("b", "b/d11", "Guy", "b/d11/guy"),
    ("b", "b/d12", "Guy", "b/d12/guy"),
    ("b", "b/d1", "Ann", "b/ann"),
    ("b", "b/d2", "Ann", "b/ann"),
    ("b", "b/d2", "Ann.", "b/ann"),
    ("b", "b/d2", "All", None),
    ("b", "b/d2", "Ann and Bob", None),
    ("b", "b/d3", "Ann and Bob", None),
    ("b", "b/d3", None, None),
    ("a", "a/d1", None, "a/s1"),
    ("a", "a/d1", None, "a/s2"),
]


def manifest() -> pl.DataFrame:
    return pl.DataFrame(ROWS, schema=["corpus", "dialogue_id", "speaker_raw", "speaker_id"], orient="row")


def test_labels_and_people_are_counted() -> None:
    (a, b) = speaker_census(manifest())
    assert (a.corpus, a.labels, a.people, a.unlabelled, a.split, a.composites) == ("a", 0, 2, 2, {}, {})
    assert (b.corpus, b.labels, b.names, b.people, b.in_dialogue, b.unlabelled) == ("b", 7, 5, 7, 6, 1)
    assert list(b.composites.items()) == [("Ann and Bob", 2), ("All", 1)]
    assert b.composite_utterances == 3
    assert list(b.split) == ["Guy", "Woman"]
    assert dict(b.split["Woman"]) == {"b/d1/woman": 2, "b/d2/woman": 1}
    assert b.joined == {"b/ann": {"Ann": 2, "Ann.": 1}}


def test_the_same_facts_for_a_program() -> None:
    told = speaker_census(manifest())[1].to_json()
    assert (told["labels"], told["names"], told["people"]) == (7, 5, 7)
    assert (told["people_of_one_dialogue"], told["composite_utterances"]) == (6, 3)
    assert told["split"] == {
        "Guy": {"b/d10/guy": 1, "b/d11/guy": 1, "b/d12/guy": 1},
        "Woman": {"b/d1/woman": 2, "b/d2/woman": 1},
    }


def test_no_rows_no_census() -> None:
    assert speaker_census(manifest().clear()) == []
