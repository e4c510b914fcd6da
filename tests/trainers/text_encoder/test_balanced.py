"""The balanced sample against counts made by hand."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.store import Store
from tests.trainers.text_encoder.conftest import EMOTIONS, corpus_rows
from trainers.text_encoder.balanced import Sample, balanced_sample, chosen_texts, even_spread, sources_of
from trainers.text_encoder.config import TextEncoderConfig


@pytest.mark.parametrize(
    ("available", "total", "taken"),
    [
        ([100, 100], 50, [25, 25]),
        ([100, 100, 100], 50, [17, 17, 16]),  # what doesn't divide goes to the first
        ([5, 100], 50, [5, 45]),
        ([5, 100, 20], 60, [5, 35, 20]),  # 20 each, then the 15 that the first lacks
        ([0, 7, 0], 5, [0, 5, 0]),
        ([3, 4], 50, [3, 4]),
        ([3, 4], 7, [3, 4]),
        ([], 5, []),
        ([2134, 4750], 6200, [2134, 4066]),  # CrowdFlower's and GoEmotions' surprise
    ],
)
def test_even_spread_by_hand(available: list[int], total: int, taken: list[int]) -> None:
    assert even_spread(available, total) == taken


@given(st.lists(st.integers(0, 60), max_size=6), st.integers(0, 200))
def test_even_spread_takes_all_that_is_asked_and_never_more_of_one_that_could_give_less(
    available: list[int], total: int
) -> None:
    taken = even_spread(available, total)
    assert sum(taken) == min(total, sum(available))
    assert all(0 <= count <= there for count, there in zip(taken, available, strict=True))
    # Nobody gives two more than one who still has some: the definition of even.
    spare = [count for count, there in zip(taken, available, strict=True) if count < there]
    assert not spare or max(taken) <= min(spare) + 1


def sample(store: Store, **settings: object) -> Sample:
    config = TextEncoderConfig(**settings)  # type: ignore[arg-type]
    return balanced_sample(store.manifest(), config, classes=EMOTIONS)


def per_label(rows: pl.DataFrame) -> dict[str, int]:
    return dict(rows.group_by("label").len().iter_rows())


def test_each_emotion_comes_evenly_from_the_sources_that_have_it(texts: Store) -> None:
    chosen = sample(texts, per_emotion=36)
    counts = {(row["corpus"], row["label"]): row["taken"] for row in chosen.counts.iter_rows(named=True)}
    for emotion in ("neutral", "surprise", "sadness", "joy", "anger"):
        assert (counts["crowdflower", emotion], counts["goemotions", emotion]) == (18, 18)
    for emotion in ("fear", "disgust"):
        assert (counts["crowdflower", emotion], counts["goemotions", emotion]) == (0, 30)
    assert chosen.missing() == {"fear": 6, "disgust": 6}
    assert per_label(chosen.rows) == dict.fromkeys(EMOTIONS, 36) | {"fear": 30, "disgust": 30}
    assert chosen.rows["utterance_id"].is_unique().all()


def test_capped_texts_count_once(texts: Store) -> None:
    chosen = sample(texts, per_emotion=36)
    assert set(chosen.rows["times"]) == {1}
    assert sum(chosen.part(part).height for part in ("train", "validation", "test")) == chosen.rows.height


def test_oversampling_repeats_training_texts_only_and_each_about_as_often(texts: Store) -> None:
    capped, chosen = sample(texts, per_emotion=100), sample(texts, per_emotion=100, shortfall="oversample")
    assert chosen.rows.drop("times").equals(capped.rows.drop("times"))  # split first, then repeated
    # 80 of 100 are for training; GoEmotions has 24 training texts of fear: 3 times each, 8 of them once more.
    fear = chosen.rows.filter(pl.col("label") == "fear")
    times = fear.filter(pl.col("part") == "train")["times"].sort().to_list()
    assert times == [3] * 16 + [4] * 8
    assert set(fear.filter(pl.col("part") != "train")["times"]) == {1}
    assert per_label(chosen.part("train")) == dict.fromkeys(EMOTIONS, 80)
    assert per_label(chosen.part("test")) == per_label(capped.part("test"))
    ids = {part: set(chosen.part(part)["utterance_id"]) for part in ("train", "validation", "test")}
    assert not ids["train"] & ids["test"]
    assert not ids["train"] & ids["validation"]


def test_an_emotion_that_has_enough_is_not_repeated(texts: Store) -> None:
    chosen = sample(texts, per_emotion=36, shortfall="oversample")
    enough = chosen.rows.filter(~pl.col("label").is_in(["fear", "disgust"]))
    assert set(enough["times"]) == {1}


def test_the_same_texts_are_chosen_whatever_the_order_of_rows(texts: Store) -> None:
    config = TextEncoderConfig(per_emotion=20)
    shuffled = texts.manifest().sample(fraction=1, shuffle=True, seed=1)
    assert balanced_sample(shuffled, config, classes=EMOTIONS).rows.equals(sample(texts, per_emotion=20).rows)


def test_a_class_or_part_without_texts_is_told(texts: Store) -> None:
    with pytest.raises(BadInputError, match="no text of class 'fear' in crowdflower"):
        chosen_texts(texts, TextEncoderConfig(), ["crowdflower"])
    texts.write_manifest("goemotions", corpus_rows("goemotions", EMOTIONS, 5, ("train", "dev")))
    with pytest.raises(BadInputError, match=r"none of 35 texts is in the test part"):
        chosen_texts(texts, TextEncoderConfig(), ["goemotions"])


def test_sources_are_the_papers_that_the_store_has(texts: Store) -> None:
    assert sources_of(texts) == ["crowdflower", "goemotions"]
    texts.write_manifest("meld", corpus_rows("meld", EMOTIONS, 2, ("train",)))
    assert sources_of(texts) == ["crowdflower", "goemotions"]
    assert sources_of(texts, ["meld"]) == ["meld"]
    with pytest.raises(UnknownNameError, match="'isear'; allowed: crowdflower, goemotions, meld"):
        sources_of(texts, ["isear"])
