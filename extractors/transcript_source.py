"""What extractors of text read when it is not the corpus's text: stored transcripts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from extractors.text_extractor import TextExtractor
from feature_repo.errors import BadInputError
from feature_repo.records import live_rows

if TYPE_CHECKING:
    from extractors.protocol import Extractor
    from feature_repo.store import Store

_WORDS = "text"  # the column of a transcript's record


def reading_transcripts(store: Store, extractor: Extractor) -> Extractor:
    """The extractor, its setting ``transcript`` a fingerprint in place of a view or a slot.

    Args:
        store: where the view or the slot is looked up.
        extractor: any; one that reads no transcripts comes back as it is.

    Raises:
        UnknownNameError: no such view or slot.
        AmbiguousViewError: a slot that means several views.
        BadInputError: a view that holds no transcripts.
    """
    if not isinstance(extractor, TextExtractor) or not extractor.settings.transcript:
        return extractor
    named = extractor.settings.transcript
    known = {store.recipe(view).fingerprint: view for view in store.views()}
    view = known.get(named) or store.resolve(named)
    recipe = store.recipe(view)
    if recipe.layout != "record" or recipe.columns.get(_WORDS) != "text":
        raise BadInputError(
            f"transcript={named!r}: {view} holds no transcripts; compute some with "
            "`affectstore extract -e fasterwhisper`"
        )
    return type(extractor)(replace(extractor.settings, transcript=recipe.fingerprint))


def heard(store: Store, transcript: str) -> pl.DataFrame:
    """(utterance_id, text) of the live transcripts, empty where nothing was heard.

    Args:
        store: the store.
        transcript: fingerprint of their recipe.
    """
    rows = live_rows(store, store.view_of(transcript), columns=[_WORDS])
    return rows.select("utterance_id", pl.col(_WORDS).fill_null(""))
