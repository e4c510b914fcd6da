"""Choosing utterances, counted by hand on a planted store; random draws are equal in size and of the seed alone."""

import polars as pl
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.named_verdicts import NamedVerdict, StaleVerdictWarning
from feature_repo.selecting import Choice, random_ids, select
from feature_repo.selections import NamedSelection
from feature_repo.split_making import make_split
from feature_repo.store import Store
from tests.feature_repo.planted import new_store
from tests.feature_repo.planted_corpora import acted, talked


@pytest.fixture
def store(tmp_path) -> Store:
    made = new_store(tmp_path)
    made.write_manifest("ravdess", acted("ravdess", 10))
    made.write_manifest("meld", talked("meld", 10))
    made.splits.save(make_split("s", made.manifest()))
    meld = made.manifest(["meld"])["utterance_id"]
    # Every third passed, the next did not, the third was not judged.
    judged = pl.DataFrame(
        {
            "utterance_id": meld,
            "passed": [place % 3 == 0 for place in range(len(meld))],
            "reason": [None] * len(meld),
        }
    )
    made.verdicts.save(NamedVerdict("v", judged.filter(pl.int_range(pl.len()) % 3 < 2)))
    return made


def ids(store: Store, **choice) -> list[str]:
    return select(store, "x", Choice(**choice)).ids


def test_by_corpus_emotion_and_part(store):
    manifest = store.manifest()
    joyful = manifest.filter((pl.col("corpus") == "ravdess") & (pl.col("emotion") == "joy"))
    assert ids(store, corpora=("ravdess",), emotions=("joy",)) == joyful["utterance_id"].sort().to_list()
    assert ids(store, split="s", part="test", corpora=("meld",)) == sorted(
        f"meld/test/dia{dialogue}_utt{turn}" for dialogue in (4, 9) for turn in range(6)
    )
    assert ids(store, split="s") == manifest["utterance_id"].sort().to_list()


def test_by_verdict_passed_failed_and_neither(store):
    meld = store.manifest(["meld"])["utterance_id"].to_list()
    assert ids(store, verdict="v") == sorted(meld[::3])
    assert ids(store, verdict="v", failed=True) == sorted(meld[1::3])


def test_a_verdict_of_rows_that_are_gone_is_used_and_told(store):
    store.write_manifest("meld", talked("meld", 9))
    with pytest.warns(StaleVerdictWarning, match="verdict 'v'.*4 of its utterances are no longer"):
        assert len(ids(store, verdict="v")) == 18
    with pytest.warns(StaleVerdictWarning, match="verdict 'v'"):
        assert len(ids(store, corpora=("meld",), random_like="v")) == 18


def test_unseen_texts_are_those_of_no_training_utterance(store):
    # In every dialogue the second turn is "Yeah!"; all others are said once.
    assert ids(store, split="s", part="test", unseen_texts=True, corpora=("meld",)) == sorted(
        f"meld/test/dia{dialogue}_utt{turn}" for dialogue in (4, 9) for turn in (0, 2, 3, 4, 5)
    )


def test_an_utterance_without_a_text_is_unseen(store):
    rows = talked("meld", 10).with_columns(
        text=pl.when(pl.col("turn") == 1)
        .then(pl.lit(""))
        .when(pl.col("turn") == 2)
        .then(None)
        .otherwise("text")
    )
    store.write_manifest("meld", rows)
    assert len(ids(store, split="s", part="test", unseen_texts=True, corpora=("meld",))) == 12


def test_a_random_choice_is_as_large_as_what_it_is_like_and_from_what_is_left(store):
    passed = ids(store, split="s", part="train", verdict="v")
    pool = ids(store, split="s", part="train", corpora=("meld",))
    draws = [
        ids(store, split="s", part="train", corpora=("meld",), random_like="v", seed=seed)
        for seed in range(4)
    ]
    for drawn in draws:
        assert len(drawn) == len(passed)
        assert drawn == sorted(set(drawn))
        assert set(drawn) <= set(pool)
    assert len({tuple(drawn) for drawn in draws}) == 4
    store.selections.save(NamedSelection("few", pool[:5]))
    assert len(ids(store, corpora=("meld",), random_like="few")) == 5


def test_every_utterance_is_drawn_about_as_often():
    names = [f"c/{number}" for number in range(20)]
    drawn = pl.Series([name for seed in range(400) for name in random_ids(names, 5, seed)])
    counts = drawn.value_counts()["count"]
    # 100 each in expectation, deviation 8.7.
    assert counts.len() == 20
    assert counts.min() > 65
    assert counts.max() < 135


def test_the_order_of_ids_changes_nothing_and_draws_of_a_seed_are_nested():
    names = [f"c/{number}" for number in range(50)]
    assert random_ids(names[::-1], 10, 3) == random_ids(names, 10, 3)
    assert set(random_ids(names, 10, 3)) < set(random_ids(names, 20, 3))


def test_a_selection_tells_how_it_was_made(store):
    found = select(store, "x", Choice(split="s", part="train", random_like="v", seed=0))
    assert found.made == {
        "split": "s",
        "part": "train",
        "random_like": "v",
        "seed": 0,
        "split_digest": store.splits.load("s").digest,
    }
    assert select(store, "x", Choice(corpora=("meld",), seed=3)).made == {"corpora": ["meld"]}
    told = select(store, "x", Choice(verdict="v", failed=True)).made
    assert told == {"verdict": "v", "failed": True, "verdict_digest": store.verdicts.load("v").ids_digest}


@pytest.mark.parametrize(
    ("choice", "error", "told"),
    [
        ({"part": "test"}, BadInputError, "name it with --split"),
        ({"unseen_texts": True}, BadInputError, "name it with --split"),
        ({"failed": True}, BadInputError, "name it with --verdict"),
        ({"split": "t"}, UnknownNameError, "unknown split 't'; allowed: s"),
        ({"split": "s", "part": "dev"}, UnknownNameError, "unknown part 'dev'"),
        ({"verdict": "w"}, UnknownNameError, "unknown verdict 'w'; allowed: v"),
        ({"random_like": "w"}, UnknownNameError, "unknown selection or verdict 'w'; allowed: v"),
        ({"random_like": "v", "corpora": ("ravdess",)}, BadInputError, "no utterance of 'v' is among the 70"),
        ({"corpora": ("tess",)}, UnknownNameError, "unknown corpus 'tess'"),
        ({"verdict": "v", "corpora": ("ravdess",)}, BadInputError, "selection 'x': no utterance is all that"),
    ],
)
def test_what_can_t_be_chosen_is_told(store, choice, error, told):
    with pytest.raises(error, match=told):
        select(store, "x", Choice(**choice))


def test_a_name_of_a_selection_and_of_a_verdict_is_refused(store):
    store.selections.save(NamedSelection("v", ["meld/test/dia4_utt0"]))
    with pytest.raises(BadInputError, match="'v' is a selection and a verdict"):
        select(store, "x", Choice(random_like="v"))
