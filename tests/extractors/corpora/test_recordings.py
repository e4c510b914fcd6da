"""Rows of acted recordings: what every corpus of them shares."""

import json
import warnings
from pathlib import Path

import pytest

from extractors.corpora.recordings import Recording, recording_rows, tell_without_text
from feature_repo.errors import UnknownNameError
from feature_repo.manifest import conform


def test_a_recording_becomes_a_row_that_the_manifest_takes() -> None:
    made = [
        Recording("a/1", Path("/c/1.wav"), "contempt", "ann", "Hello.", raters={"sad": 2, "contempt": 3}),
        Recording("a/2", Path("/c/2.wav"), "happy", "bob", language="zh", split="train"),
    ]
    rows = conform(recording_rows("mine", "mead", made, {"contempt": "disgust"}), "mine").rows(named=True)
    assert [row["utterance_id"] for row in rows] == ["mine/a/1", "mine/a/2"]
    assert [row["speaker_id"] for row in rows] == ["mine/ann", "mine/bob"]
    assert [(row["emotion"], row["label_note"]) for row in rows] == [
        ("disgust", "policy contempt=disgust"),
        ("joy", "happy to joy"),
    ]
    assert [(row["text"], row["language"], row["split"]) for row in rows] == [
        ("Hello.", "en", "all"),
        (None, "zh", "train"),
    ]
    assert json.loads(rows[0]["rater_counts"]) == {"contempt": 3, "sad": 2}
    assert rows[1]["rater_counts"] is None
    # No conversation: an utterance is a dialogue of its own, so that no protocol takes two for turns of one.
    assert [row["dialogue_id"] for row in rows] == ["mine/a/1", "mine/a/2"]


def test_a_label_that_the_corpus_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'bored'"):
        recording_rows("mine", "mead", [Recording("a", Path("a.wav"), "bored", "ann")])


def test_missing_words_are_told_once_and_only_where_they_miss() -> None:
    spoken = Recording("a", Path("a.wav"), "sad", "ann", "Hello.")
    mute = Recording("b", Path("b.wav"), "sad", "ann")
    with pytest.warns(UserWarning, match="mine: 1 of 2 have no text; ask them") as told:
        tell_without_text("mine", [spoken, mute], "ask them")
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell_without_text("mine", [spoken], "ask them")
