"""Audio-text alignment: how well what was heard agrees with the words that a corpus gives (papers/000 III-D1c)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from extractors.asr.transcript import EMPTY_TRANSCRIPT
from extractors.batching import by_cost
from extractors.loading import extra_of, load
from extractors.protocol import Item
from extractors.runner import Runner, attempt
from extractors.text.sentence import Sentence, SentenceSettings
from extractors.text_extractor import own_words
from feature_repo.errors import BadInputError
from feature_repo.outcome import Fault, Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.records import live_rows

if TYPE_CHECKING:
    from extractors.quality.derivation import Derived
    from feature_repo.store import Store

CODE_VERSION = 1
_AT_ONCE = 4096  # utterances whose vectors are held together; the same sentence among them is encoded once

Vectors = dict[str, npt.NDArray[np.float64] | Fault]


class AlignmentDerivation:
    """The cosine of two sentence embeddings and the similarity of two spellings, for each transcript.

    Args:
        transcript: the recipe of the transcripts.
        settings: of the text encoder; by default the paper's, all-mpnet-base-v2 as it was published.
        device: where it runs.
        on_load: told its name when it is loaded.
    """

    name = "alignment"
    slot = "alignment"

    def __init__(
        self,
        transcript: Recipe,
        settings: SentenceSettings | None = None,
        device: str = "auto",
        on_load: Callable[[str], None] | None = None,
    ) -> None:
        self._transcript = transcript
        # One vector a text is all that is compared.
        self._encoder = Sentence(replace(own_words(settings or SentenceSettings()), tokens=False))
        self._device, self._on_load = device, on_load
        self._loaded = False

    def recipes(self) -> Mapping[str, Recipe]:
        """Slot to recipe.

        Raises:
            BadInputError: the encoder's weights are not at hand.
        """
        text = self._encoder.recipes()["text"]
        recipe = Recipe(
            "alignment",
            self.name,
            CODE_VERSION,
            "rows",
            "record",
            0,
            weights=text.weights,
            compute_dtype=text.compute_dtype,
            languages=text.languages,
            settings=text.settings,
            inputs=(self._transcript.fingerprint,),
            manifest_columns=("text",),
            columns={"cosine": "float", "levenshtein": "float"},
        )
        return {"alignment": recipe}

    def provenance(self) -> dict[str, str]:
        """Model, library versions and device."""
        told = Runner([self._encoder], pl.DataFrame(), device=self._device).provenance()
        return told[self._encoder.recipes()["text"].view]

    def compute(self, store: Store, missing: Mapping[str, Sequence[str]]) -> Derived:
        """Yield (view, utterance id, outcome) once for each missing pair.

        Args:
            store: where the transcripts and the manifests are.
            missing: view to utterance ids.

        Raises:
            BadInputError: the encoder could not be loaded, or rapidfuzz is not installed.
        """
        view = self.recipes()["alignment"].view
        ids = list(missing.get(view, ()))
        manifest = store.manifest().filter(pl.col("utterance_id").is_in(ids))
        said = dict(manifest.select("utterance_id", "text").rows())
        rows = live_rows(store, self._transcript.view, ids, ["text"])
        heard = dict(rows.select("utterance_id", "text").rows())
        for start in range(0, len(ids), _AT_ONCE):
            pairs = []
            for utterance_id in ids[start : start + _AT_ONCE]:
                if utterance_id in heard:
                    pairs.append((utterance_id, heard[utterance_id] or "", said.get(utterance_id) or ""))
                else:
                    yield (
                        view,
                        utterance_id,
                        Fault("extract", "NoTranscript", f"{utterance_id}: has no transcript"),
                    )
            for utterance_id, outcome in self._aligned(pairs):
                yield view, utterance_id, outcome

    def _aligned(self, pairs: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, Outcome]]:
        """The outcome of each (utterance id, words heard, words given)."""
        texts = {text for _, *both in pairs for text in both if all(each.strip() for each in both)}
        vectors = self._vectors(sorted(texts))
        for utterance_id, heard, said in pairs:
            if not heard.strip() or not said.strip():
                yield utterance_id, Features(None, "empty text" if heard.strip() else EMPTY_TRANSCRIPT)
                continue
            one, other = vectors[heard], vectors[said]
            if isinstance(one, Fault):
                yield utterance_id, one
            elif isinstance(other, Fault):
                yield utterance_id, other
            else:
                columns = {"cosine": cosine(one, other), "levenshtein": levenshtein(heard, said)}
                yield utterance_id, Features(None, columns=columns)

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        if texts and not self._loaded:
            if self._on_load:
                self._on_load(self._encoder.name)
            load(self._encoder, self._device)
            self._loaded = True
        items = [Item(text, text) for text in texts]
        vectors: Vectors = {}
        for batch in by_cost(items, self._encoder.cost, self._encoder.settings.batch_size):
            for item, outcome in zip(batch, attempt(self._encoder, batch), strict=True):
                if isinstance(outcome, Fault):
                    vectors[item.text] = outcome
                else:
                    vectors[item.text] = np.asarray(outcome["text"].value, np.float64)
        return vectors


def cosine(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """Cosine of the angle between two vectors ``[width]``, of which none is zero."""
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def levenshtein(one: str, other: str) -> float:
    """Similarity of two spellings: 1 less their edit distance over the longer one's length (papers/000 fig. 3).

    The strings are compared raw, capitals and punctuation included: only so "Yeah!" against "Yeah, it really has been
    great, too." has the paper's .1111.

    Raises:
        BadInputError: rapidfuzz is not installed.
    """
    try:
        from rapidfuzz.distance import Levenshtein  # an extra's
    except ModuleNotFoundError as error:
        extra = extra_of("rapidfuzz", "alignment")
        raise BadInputError(
            f"alignment needs the package 'rapidfuzz', which is not installed: pip install 'affectstore[{extra}]'"
        ) from error
    return float(Levenshtein.normalized_similarity(one, other))
