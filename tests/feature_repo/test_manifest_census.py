"""The census counted by hand on planted corpora, and against the papers' and corpora's own figures."""

import polars as pl
import pytest

from feature_repo.errors import UnknownNameError
from feature_repo.manifest_census import LEFT_OUT, PAPER_SIZES, census, emotion_columns
from tests.feature_repo.planted_corpora import acted, manifest, talked, unsigned


def rows() -> pl.DataFrame:
    nobody = manifest(
        "calls",
        [
            {"speaker_id": None, "language": None},
            {"speaker_id": "calls/x", "emotion": "joy", "language": "de"},
        ],
    )
    return pl.concat([acted("ravdess", 2, each=4), talked("meld", 5, turns=2), unsigned("isear", 8), nobody])


def of(table: pl.DataFrame, **keys) -> dict:
    (row,) = table.filter(pl.col(name) == value for name, value in keys.items()).iter_rows(named=True)
    return row


def test_counts_by_corpus():
    found = census(rows())
    assert found.corpora["corpus"].to_list() == ["calls", "isear", "meld", "ravdess"]
    assert of(found.corpora, corpus="ravdess") == {
        "corpus": "ravdess",
        "domain": "acted",
        "utterances": 8,
        "labelled": 8,
        "train": 0,
        "dev": 0,
        "test": 0,
        "all": 8,
        "speakers": 2,
        "no_speaker": 0,
        "dialogues": 0,
        "languages": ["en"],
        "paper": 1440,
    }
    meld = of(found.corpora, corpus="meld")
    assert [meld[name] for name in ("train", "dev", "test", "all", "dialogues", "speakers")] == [
        6,
        2,
        2,
        0,
        5,
        4,
    ]
    isear = of(found.corpora, corpus="isear")
    # Every fourth has a label that the classes have no place for.
    assert (isear["utterances"], isear["labelled"], isear["speakers"], isear["no_speaker"]) == (8, 6, 0, 8)
    calls = of(found.corpora, corpus="calls")
    assert (calls["domain"], calls["languages"], calls["paper"], calls["no_speaker"]) == (
        "other",
        ["de"],
        None,
        1,
    )


def test_totals_by_domain_and_of_all():
    totals = {row["domain"]: row for row in census(rows()).totals().iter_rows(named=True)}
    assert list(totals) == ["acted", "conversational", "other", "text", None]
    assert totals[None]["utterances"] == 8 + 10 + 8 + 2
    assert totals[None]["labelled"] == 8 + 10 + 6 + 1
    assert totals[None]["paper"] == 1440 + 13708
    assert totals["text"]["paper"] is None
    changed = census(rows(), {"calls": "conversational"}).totals()
    assert of(changed, domain="conversational")["utterances"] == 12
    with pytest.raises(UnknownNameError, match="unknown corpus 'call'"):
        census(rows(), {"call": "acted"})


def test_counts_by_emotion_language_and_speaker():
    found = census(rows())
    isear = found.emotions.filter(pl.col("corpus") == "isear")
    assert dict(isear.select("emotion", "utterances").iter_rows()) == {
        "anger": 2,
        "joy": 2,
        "neutral": 2,
        LEFT_OUT: 2,
    }
    calls = found.languages.filter(pl.col("corpus") == "calls").drop("corpus").rows()
    assert calls == [(None, 1, 0), ("de", 1, 1)]
    assert found.speakers.filter(pl.col("corpus") == "calls").drop("corpus").rows() == [
        ("calls/x", 1, 1),
        (None, 1, 0),
    ]
    most = found.speakers.filter(pl.col("corpus") == "meld")["utterances"].to_list()
    assert most == sorted(most, reverse=True)


def test_emotions_stand_in_the_scheme_s_order_and_what_is_left_out_is_last():
    assert emotion_columns(pl.Series([LEFT_OUT, "anger", "bored", "neutral"])) == [
        "neutral",
        "anger",
        "bored",
        LEFT_OUT,
    ]


def test_an_empty_manifest_counts_nothing():
    found = census(rows().clear())
    assert found.corpora.height == 0
    assert of(found.totals(), utterances=0)["domain"] is None


def test_the_paper_s_sizes_sum_to_its_totals():
    # papers/003 section 1.4: 106,256, of which 92,548 acted.
    assert sum(PAPER_SIZES.values()) == 106_256
    assert sum(size for corpus, size in PAPER_SIZES.items() if corpus != "meld") == 92_548


def test_the_real_meld(samples):
    from extractors.corpora.registry import reader
    from feature_repo.manifest import conform

    found = census(conform(reader("meld").read(samples / "data" / "meld"), "meld"))
    meld = of(found.corpora, corpus="meld")
    # CORPORA: MELD; 1,038, 114 and 280 dialogues, of which some have one turn.
    assert [meld[name] for name in ("utterances", "labelled", "train", "dev", "test")] == [
        13708,
        13708,
        9989,
        1109,
        2610,
    ]
    assert meld["paper"] == 13708
    counts = dict(found.emotions.select("emotion", "utterances").iter_rows())
    assert (counts["neutral"], sum(counts.values())) == (6436, 13708)
