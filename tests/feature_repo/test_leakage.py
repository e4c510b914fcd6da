"""Leakage: what is planted across parts is found and named, and what is apart is not."""

import polars as pl

from feature_repo.leakage import check_leakage
from feature_repo.split_making import make_split
from feature_repo.splits import SavedSplit
from tests.feature_repo.planted_corpora import acted, manifest, talked


def split_of(rows: pl.DataFrame, parts: dict[str, str], **rules: str) -> SavedSplit:
    frame = rows.select("utterance_id", "corpus").with_columns(
        part=pl.col("utterance_id").replace_strict(parts, default="train", return_dtype=pl.String)
    )
    return SavedSplit("s", frame, {"rules": rules})


def moved(split: SavedSplit, utterance_id: str, part: str) -> SavedSplit:
    place = pl.when(pl.col("utterance_id") == utterance_id).then(pl.lit(part)).otherwise("part")
    return SavedSplit("s", split.rows.with_columns(part=place), split.made)


def test_a_speaker_in_two_parts_is_a_leak_where_none_was_promised():
    rows = acted("ravdess", 6)
    split = make_split("s", rows)
    utterance_id = split.ids("train")[0]
    (leak,) = check_leakage(moved(split, utterance_id, "test"), rows).leaks
    assert (leak.kind, leak.corpora) == ("speaker", ("ravdess",))
    assert leak.value == rows.filter(pl.col("utterance_id") == utterance_id)["speaker_id"][0]
    assert leak.rows == {"train": 6, "test": 1}
    assert leak.examples[1] == utterance_id


def test_speakers_of_an_official_split_recur_and_are_told():
    rows = talked("meld", 10)
    found = check_leakage(make_split("s", rows), rows)
    assert found.leaks == ()
    (told,) = found.recurring.iter_rows(named=True)
    # In each of the two test dialogues of six turns the second says "Yeah!", as in every other.
    assert told == {
        "corpus": "meld",
        "promised": False,
        "test_speakers": 4,
        "speakers_in_train": 4,
        "no_speaker": 0,
        "test": 12,
        "texts_in_own_train": 2,
        "texts_in_train": 2,
    }


def test_a_dialogue_in_two_parts_is_a_leak_of_any_rule():
    rows = talked("meld", 10)
    split = moved(make_split("s", rows), "meld/train/dia0_utt5", "test")
    (leak,) = check_leakage(split, rows).leaks
    assert (leak.kind, leak.value, leak.rows) == ("dialogue", "meld/train/dia0", {"train": 5, "test": 1})


def test_dialogues_of_two_corpora_may_be_called_alike():
    one = manifest("a", [{"dialogue_id": "1", "utterance_id": f"a/{turn}"} for turn in range(2)])
    other = manifest("b", [{"dialogue_id": "1", "utterance_id": f"b/{turn}"} for turn in range(2)])
    rows = pl.concat([one, other])
    assert check_leakage(split_of(rows, {"b/0": "test", "b/1": "test"}), rows).leaks == ()


def test_an_identical_recording_is_a_leak_and_another_span_or_an_empty_file_is_none():
    def row(name, uri, digest, start=None, size=10):
        return {
            "utterance_id": f"c/{name}",
            "media_uri": uri,
            "media_digest": digest,
            "media_size": size,
            "start_s": start,
        }

    rows = pl.concat(
        [
            manifest("c", [row("a", "/a.wav", "same"), row("b", "/copy of a.wav", "same")]),
            manifest("c", [row("d", "/d.wav", "long", 0.0), row("e", "/d.wav", "long", 5.0)]),
            manifest("c", [row("f", "/f.wav", "nothing", size=0), row("g", "/g.wav", "nothing", size=0)]),
            manifest("c", [row("h", "/lost.wav", None, 1.0, None), row("i", "/lost.wav", None, 1.0, None)]),
            manifest("c", [row("j", None, None, size=None), row("k", None, None, size=None)]),
        ]
    )
    split = split_of(rows, {f"c/{name}": "test" for name in "begik"})
    leaks = check_leakage(split, rows).leaks
    assert [(leak.kind, leak.value) for leak in leaks] == [
        ("recording", "/lost.wav from 1 s"),
        ("recording", "/a.wav"),
    ]


def test_a_person_of_a_promise_is_looked_for_in_every_corpus():
    one = manifest("a", [{"speaker_id": "same"}])
    other = manifest(
        "b", [{"speaker_id": "same"}, {"speaker_id": "x"}, {"speaker_id": "x", "utterance_id": "b/y"}]
    )
    rows = pl.concat([one, other])
    split = split_of(rows, {"b/00000": "test", "b/y": "test"}, a="speaker", b="official")
    (leak,) = check_leakage(split, rows).leaks
    assert (leak.value, leak.corpora) == ("same", ("a", "b"))


def test_what_left_the_manifest_and_what_came_later_is_counted():
    rows = acted("ravdess", 6)
    split = make_split("s", rows)
    later = pl.concat(
        [rows.tail(-4), manifest("ravdess", [{"utterance_id": "ravdess/new"}]), acted("tess", 2)]
    )
    found = check_leakage(split, later)
    assert (found.unknown, found.new) == (4, 1)


def test_texts_of_another_corpus_s_training_rows_are_told_apart_and_empty_ones_are_no_text():
    one = manifest("a", [{"text": "yes"}, {"text": ""}, {"text": "no", "utterance_id": "a/t"}])
    other = manifest("b", [{"text": "yes"}, {"text": ""}, {"text": None}, {"text": "own"}, {"text": "own"}])
    rows = pl.concat([one, other])
    split = split_of(rows, {f"b/0000{place}": "test" for place in range(4)} | {"a/t": "validation"})
    (told,) = check_leakage(split, rows).recurring.iter_rows(named=True)
    assert (told["test"], told["texts_in_own_train"], told["texts_in_train"]) == (4, 1, 2)
    assert told["no_speaker"] == 4
