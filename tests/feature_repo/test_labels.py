"""Label schemes against IEMOCAP's protocol (CORPORA: the label bridge) and MELD's own annotation."""

import polars as pl
import pytest

from feature_repo.errors import UnknownNameError
from feature_repo.labels import EMOTIONS, SCHEMES, scheme


def rows(*cells: tuple[str, str | None, str | None, str | None]) -> pl.DataFrame:
    names = ("corpus", "label_raw", "emotion", "sentiment")
    return pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String), orient="row")


IEMOCAP = rows(
    ("iemocap", "ang", "anger", None),
    ("iemocap", "fru", "anger", None),
    ("iemocap", "hap", "joy", None),
    ("iemocap", "exc", "joy", None),
    ("iemocap", "sad", "sadness", None),
    ("iemocap", "neu", "neutral", None),
    ("iemocap", "fea", "fear", None),
    ("iemocap", "sur", "surprise", None),
    ("iemocap", "dis", "disgust", None),
    ("iemocap", "oth", None, None),
    ("iemocap", "xxx", None, None),
)


def test_seven_keeps_melds_names_and_order() -> None:
    assert scheme("seven").classes == EMOTIONS
    assert EMOTIONS == ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
    mapped = scheme("seven").map(IEMOCAP)
    assert mapped.to_list() == IEMOCAP["emotion"].to_list()
    assert mapped.dtype == pl.String


def test_iemocap4_leaves_frustration_out_although_its_emotion_is_anger() -> None:
    expected = ["anger", None, "joy", "joy", "sadness", "neutral", None, None, None, None, None]
    assert scheme("iemocap4").map(IEMOCAP).to_list() == expected
    assert len(scheme("iemocap4").classes) == 4


def test_iemocap6_keeps_excitement_and_frustration_apart() -> None:
    expected = ["anger", "frustrated", "joy", "excited", "sadness", "neutral", None, None, None, None, None]
    assert scheme("iemocap6").map(IEMOCAP).to_list() == expected
    assert len(scheme("iemocap6").classes) == 6


@pytest.mark.parametrize("name", ["iemocap4", "iemocap6"])
def test_iemocap_schemes_never_read_emotion(name: str) -> None:
    wrong = IEMOCAP.with_columns(emotion=pl.lit("joy"), sentiment=pl.lit("positive"))
    assert scheme(name).map(wrong).to_list() == scheme(name).map(IEMOCAP).to_list()
    assert scheme(name).map(rows(("mine", None, "anger", None))).to_list() == [None]


def test_iemocap4_takes_other_corpora_from_their_own_labels() -> None:
    others = rows(
        ("meld", "joy", "joy", None),
        ("meld", "fear", "fear", None),
        ("ravdess", "calm", "neutral", None),
        ("ravdess", "happy", "joy", None),
        ("goemotions", "gratitude,love", "joy", None),
        ("goemotions", "gratitude,fear", None, None),
        ("crowdflower", "worry", "fear", None),  # by a policy, which the scheme doesn't follow
        ("mine", "frustration", "anger", None),
        ("mine", "Happy", "joy", None),
    )
    assert scheme("iemocap4").map(others).to_list() == [
        *("joy", None, "neutral", "joy", "joy", None, None, None, "joy")
    ]


def test_iemocap4_takes_a_stand_ins_labels_for_the_real_corpus_s() -> None:
    standing = rows(("emovdb-standin", "amused", "joy", None), ("iemocap-standin", "exc", "joy", None))
    assert scheme("iemocap4").map(standing).to_list() == ["joy", "joy"]
    assert scheme("iemocap6").map(standing).to_list() == ["joy", "excited"]


def test_sentiment_prefers_the_annotation_and_gives_surprise_none() -> None:
    manifest = rows(
        ("meld", "surprise", "surprise", "positive"),
        ("meld", "surprise", "surprise", "negative"),
        ("meld", "neutral", "neutral", "neutral"),
        ("ravdess", "surprised", "surprise", None),
        ("ravdess", "happy", "joy", None),
        ("ravdess", "fearful", "fear", None),
        ("ravdess", "calm", "neutral", None),
        ("mine", None, None, None),
    )
    assert scheme("sentiment3").map(manifest).to_list() == [
        *("positive", "negative", "neutral", None, "positive", "negative", "neutral", None)
    ]


def test_unknown_scheme_and_unknown_class_list_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"iemocap4, iemocap6, sentiment3, seven"):
        scheme("eight")
    with pytest.raises(UnknownNameError, match="happy"):
        scheme("seven").map(rows(("mine", "happy", "happy", None)))


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_every_scheme_maps_an_empty_manifest_and_one_without_optional_columns(name: str) -> None:
    assert scheme(name).map(rows()).to_list() == []
    assert scheme(name).map(pl.DataFrame({"corpus": ["a", "a"]})).to_list() == [None, None]
