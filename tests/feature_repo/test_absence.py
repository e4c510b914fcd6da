"""Why a value is absent, told of planted utterances each of which lacks it for a reason of its own."""

from pathlib import Path

import polars as pl
import pytest

from feature_repo.absence import absences
from feature_repo.errors import UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store
from tests.feature_repo.planted import MEDIA, TEXT, Extraction, new_store, numbers

ENGLISH = Recipe("text", "english", 1, "text", "pooled", 4, languages=("en",))
DERIVED = Recipe("joint", "letters", 1, "rows", "pooled", 4, inputs=(TEXT.fingerprint, MEDIA.fingerprint))
TEXTS = {
    "c/ok": "hello",
    "c/empty": "",
    "c/bad": "broken text",
    "c/none": None,
    "c/late": "late",
    "c/changed": "a",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = new_store(tmp_path)
    (tmp_path / "sound").write_text("sound")
    media = [str(tmp_path / "sound")] * 3 + [None, str(tmp_path / "gone"), str(tmp_path / "sound")]
    frame = pl.DataFrame(
        {
            "utterance_id": list(TEXTS),
            "text": list(TEXTS.values()),
            "media_uri": media,
            "language": ["en", "de", None] * 2,
        }
    )
    store.write_manifest("c", frame)
    early = [name for name in TEXTS if name != "c/late"]
    fill(store, [TEXT, MEDIA], Extraction(store, [TEXT, MEDIA]), ids=early)
    fill(store, [ENGLISH], Extraction(store, [ENGLISH]), ids=["c/ok"])
    store.write_manifest("c", frame.with_columns(pl.col("text").replace("a", "b")))
    return store


def test_every_state_has_its_words(store: Store) -> None:
    assert absences(store, TEXT.view, list(TEXTS)) == {
        "c/empty": "nothing there",
        "c/bad": "c/bad is broken",
        "c/none": "it has no text",
        "c/late": "not computed yet",
        "c/changed": "what is stored is of an older content",
    }


def test_media_and_languages(store: Store) -> None:
    fill(store, [MEDIA], Extraction(store, [MEDIA]))
    told = absences(store, MEDIA.view, ["c/none", "c/late", "c/ok"])
    assert told["c/none"] == "it has no media file"
    assert told["c/late"].endswith("gone is not there")
    assert set(told) == {"c/none", "c/late"}
    # Of a row without text and in another language either is right; one with text has the language.
    assert absences(store, ENGLISH.view, ["c/ok", "c/empty"]) == {
        "c/empty": "its language is de, the model knows en"
    }


def test_an_input_that_lacks_is_the_reason(store: Store) -> None:
    def derived(missing):
        for name in missing[DERIVED.view]:
            if name == "c/ok":
                yield DERIVED.view, name, Features(numbers(DERIVED, name))
            else:
                yield DERIVED.view, name, Fault("extract", "StaleInputError", "its own words")

    fill(store, [DERIVED], derived)
    assert absences(store, DERIVED.view, list(TEXTS)) == absences(store, TEXT.view, list(TEXTS))


def test_a_view_that_does_not_exist(store: Store) -> None:
    with pytest.raises(UnknownNameError, match="text_nobody"):
        absences(store, "text_nobody_00000000", ["c/ok"])
