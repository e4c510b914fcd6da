"""What corpora of still pictures share: rows without text and span, and files that are none."""

from pathlib import Path

import pytest

from extractors.corpora.stills import Still, still_rows
from feature_repo.errors import UnknownNameError
from feature_repo.manifest import conform


def test_a_picture_is_a_row_without_text_and_span() -> None:
    still = Still("a1", Path("/faces/a1.png"), "contempt", subject="S1", sequence="q1")
    plain = Still("a2", Path("/faces/a2.png"), "happy", split="test", note="by hand")
    rows = conform(still_rows("mine", "ckplus", [still, plain], {"contempt": "disgust"}), "mine")
    first, second = rows.iter_rows(named=True)
    assert (first["utterance_id"], first["split"], first["media_uri"]) == ("mine/a1", "all", "/faces/a1.png")
    assert (first["speaker_id"], first["speaker_raw"], first["dialogue_id"]) == ("mine/S1", "S1", "mine/q1")
    assert (first["label_raw"], first["emotion"]) == ("contempt", "disgust")
    assert first["label_note"] == "policy contempt=disgust"
    assert (first["text"], first["language"], first["start_s"], first["end_s"]) == (None,) * 4
    assert (second["split"], second["emotion"], second["label_note"]) == ("test", "joy", "by hand")
    assert (second["speaker_id"], second["speaker_raw"]) == (None, None)
    assert second["dialogue_id"] == "mine/a2"


def test_a_label_that_the_corpus_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'contempt'"):
        still_rows("mine", "jaffe", [Still("a", Path("a.png"), "contempt")])
