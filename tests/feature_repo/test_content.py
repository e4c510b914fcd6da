"""Content keys: what they must notice and what they must ignore."""

import hashlib

import polars as pl
import pytest

from feature_repo.content import content_key, wanted_keys, with_content_keys
from feature_repo.manifest import conform
from feature_repo.recipe import Recipe

TEXT = Recipe("text", "letters", 1, "text", "pooled", 4)
MEDIA = Recipe("speech", "bytes", 1, "media", "pooled", 4)
DERIVED = Recipe("text", "adapter", 1, "rows", "pooled", 4, inputs=("fp1", "fp2"))
ROW = {
    "utterance_id": "c/1",
    "split": "train",
    "dialogue_id": "d1",
    "turn": 1,
    "speaker_id": "ann",
    "speaker_raw": "Ann",
    "text": "hello",
    "language": "en",
    "label_raw": "joy",
    "emotion": "joy",
    "label_note": None,
    "valence": 0.5,
    "arousal": 0.5,
    "dominance": 0.5,
    "sentiment": "positive",
    "media_uri": "/a.wav",
    "media_digest": "ab" * 32,
    "media_size": 100,
    "media_mtime_ns": 7,
    "start_s": 0.5,
    "end_s": 1.5,
    "rater_counts": "{}",
    "picture": None,
}
OTHER = {
    "split": "test",
    "dialogue_id": "d2",
    "turn": 2,
    "speaker_id": "bob",
    "speaker_raw": "Bob",
    "text": "hello.",
    "language": "de",
    "label_raw": "anger",
    "emotion": "anger",
    "label_note": "merged",
    "valence": 0.1,
    "arousal": 0.1,
    "dominance": 0.1,
    "sentiment": "negative",
    "media_uri": "/b.wav",
    "media_digest": "cd" * 32,
    "media_size": 101,
    "media_mtime_ns": 8,
    "start_s": 0.6,
    "end_s": 1.6,
    "rater_counts": '{"joy": 3}',
    "picture": "left",
}
NOTICED = {
    TEXT.view: {"text"},
    MEDIA.view: {"media_digest", "start_s", "end_s"},
}


def keys(recipe: Recipe, *rows: dict[str, object], live=None) -> dict[str, str]:
    manifest = with_content_keys(conform(pl.DataFrame(list(rows), infer_schema_length=None), "c"))
    return dict(wanted_keys(recipe, manifest, live).iter_rows())


def test_every_column_of_the_manifest_is_tried():
    from feature_repo.manifest import MANIFEST_SCHEMA

    assert set(MANIFEST_SCHEMA) - set(OTHER) == {"utterance_id", "corpus", "text_key", "media_key"}


@pytest.mark.parametrize("column", OTHER)
@pytest.mark.parametrize("recipe", [TEXT, MEDIA], ids=lambda recipe: recipe.reads)
def test_a_key_notices_what_the_extractor_reads_and_nothing_else(recipe, column):
    before, after = keys(recipe, ROW), keys(recipe, {**ROW, column: OTHER[column]})
    assert (before != after) == (column in NOTICED[recipe.view])


@pytest.mark.parametrize("recipe", [TEXT, MEDIA], ids=lambda recipe: recipe.reads)
def test_two_utterances_that_read_the_same_have_the_same_key(recipe):
    found = keys(recipe, ROW, {**ROW, "utterance_id": "c/2"})
    assert found["c/1"] == found["c/2"]


@pytest.mark.parametrize("end", ["start_s", "end_s"])
def test_a_span_from_the_start_is_not_a_span_without_one(end):
    assert keys(MEDIA, {**ROW, end: None}) != keys(MEDIA, ROW)


def test_a_missing_file_s_key_is_where_it_was_looked_for():
    absent = {**ROW, "media_digest": None}
    assert keys(MEDIA, absent) != keys(MEDIA, ROW)
    assert keys(MEDIA, absent) != keys(MEDIA, {**absent, "media_uri": "/b.wav"})


def test_who_has_nothing_to_read_is_not_asked_for():
    mute, deaf = {**ROW, "text": None}, {**ROW, "media_uri": None, "media_digest": None}
    assert keys(TEXT, mute) == keys(MEDIA, deaf) == {}
    assert set(keys(TEXT, {**ROW, "text": ""})) == {"c/1"}, "an empty transcript is content"


def test_rows_that_are_compared_with_the_text_are_not_asked_for_without_one():
    compared = Recipe("text", "adapter", 1, "rows", "pooled", 4, inputs=("fp1",), manifest_columns=("text",))
    beside = Recipe("text", "adapter", 1, "rows", "pooled", 4, inputs=("fp1",), manifest_columns=("picture",))

    def live(fingerprint: str) -> pl.DataFrame:
        return pl.DataFrame({"utterance_id": ["c/1"], "content_key": ["a"]})

    assert (
        set(keys(compared, ROW, live=live)) == set(keys(compared, {**ROW, "text": ""}, live=live)) == {"c/1"}
    )
    assert keys(compared, {**ROW, "text": None}, live=live) == {}
    assert keys(beside, {**ROW, "text": None}, live=live).keys() == {"c/1"}


def test_a_recipe_that_does_not_know_the_language_does_not_ask():
    english = Recipe("text", "letters", 1, "text", "pooled", 4, languages=("en",))
    unknown = {**ROW, "utterance_id": "c/2", "language": None}
    german = {**ROW, "utterance_id": "c/3", "language": "de"}
    assert set(keys(english, ROW, unknown, german)) == {"c/1", "c/2"}


def test_a_derived_key_notices_each_input_row_and_needs_all():
    def derived(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
        def live(fingerprint: str) -> pl.DataFrame:
            chosen = {"fp1": first, "fp2": second}[fingerprint]
            return pl.DataFrame({"utterance_id": list(chosen), "content_key": list(chosen.values())})

        return keys(DERIVED, ROW, {**ROW, "utterance_id": "c/2"}, live=live)

    plain = derived({"c/1": "a", "c/2": "b"}, {"c/1": "x"})
    assert set(plain) == {"c/1"}
    assert derived({"c/1": "a"}, {"c/1": "x", "c/2": "y"}) == plain
    assert derived({"c/1": "A"}, {"c/1": "x"}) != plain
    assert derived({"c/1": "a"}, {"c/1": "X"}) != plain
    assert derived({"c/1": "x"}, {"c/1": "a"}) != plain


def test_parts_of_a_key_do_not_run_into_each_other():
    assert (
        len({content_key("ab", "c"), content_key("a", "bc"), content_key("abc"), content_key("a:b", "c")})
        == 4
    )


def test_a_key_is_128_bits_of_blake2():
    state = hashlib.blake2b(b"4:text5:hello", digest_size=16)
    assert keys(TEXT, ROW) == {"c/1": state.hexdigest()}


IMPORTED = Recipe("text", "imported", 1, "id", "pooled", 4, settings={"corpora": ["c"]})


@pytest.mark.parametrize("column", [name for name in OTHER if name != "utterance_id"])
def test_an_imported_row_is_wanted_as_long_as_the_utterance_is_there(column):
    assert keys(IMPORTED, ROW) == keys(IMPORTED, ROW | {column: OTHER[column]})


def test_an_imported_row_is_wanted_of_its_own_corpora_and_of_each_utterance_by_itself():
    two = keys(IMPORTED, ROW, ROW | {"utterance_id": "c/2", "text": None, "media_uri": None})
    assert sorted(two) == ["c/1", "c/2"]
    assert two["c/1"] != two["c/2"]
    other = with_content_keys(conform(pl.DataFrame([{"utterance_id": "b/1", "text": "x"}]), "b"))
    assert wanted_keys(IMPORTED, other, lambda fingerprint: None).is_empty()
