"""Label schemes: which class an utterance has in an experiment, decided when training data are pulled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from feature_repo.corpus_domains import known_corpus
from feature_repo.errors import UnknownNameError
from feature_repo.label_bridge import bridge
from feature_repo.label_rules import RULES

# MELD's names and order; classes go by name everywhere, since published feature sets number them differently.
EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
SENTIMENTS = ("neutral", "positive", "negative")

# corpus, label_raw, emotion, sentiment of one row -> its class, None where the scheme has no place for it
RowMap = Callable[[str, str | None, str | None, str | None], str | None]


@dataclass(frozen=True)
class LabelScheme:
    """A set of classes and the rule that puts manifest rows into them.

    Attributes:
        name: what ``--labels`` calls it.
        classes: class names; a class's index here is its number in training.
        reads: the manifest columns that decide.
        help: one line for the command line.
    """

    name: str
    classes: tuple[str, ...]
    reads: tuple[str, ...]
    of_row: RowMap
    help: str = ""

    def map(self, manifest: pl.DataFrame) -> pl.Series:
        """The class of every row: String Series ``label`` of the manifest's length and order, null for no place."""
        columns = ("corpus", "label_raw", "emotion", "sentiment")
        keys = manifest.select(
            pl.col(name).cast(pl.String) if name in manifest.columns else pl.lit(None, pl.String).alias(name)
            for name in columns
        )
        known = {row: self._checked(row) for row in keys.unique().iter_rows()}
        return pl.Series("label", [known[row] for row in keys.iter_rows()], dtype=pl.String)

    def _checked(self, row: tuple[str, str | None, str | None, str | None]) -> str | None:
        label = self.of_row(*row)
        if label is not None and label not in self.classes:
            raise UnknownNameError(
                f"{' or '.join(self.reads)} for label scheme {self.name}", label, self.classes
            )
        return label


def scheme(name: str) -> LabelScheme:
    """The label scheme of this name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in SCHEMES:
        raise UnknownNameError("label scheme", name, SCHEMES)
    return SCHEMES[name]


def _seven(corpus: str, label_raw: str | None, emotion: str | None, sentiment: str | None) -> str | None:
    return emotion


def _sentiment3(corpus: str, label_raw: str | None, emotion: str | None, sentiment: str | None) -> str | None:
    # MELD annotates sentiment on its own (surprise is positive or negative there), so an annotation goes first;
    # surprise has no sign of its own and has no place without one.
    if sentiment is not None:
        return sentiment
    if emotion in ("neutral", "joy"):
        return "positive" if emotion == "joy" else "neutral"
    return "negative" if emotion in ("anger", "disgust", "fear", "sadness") else None


_IEMOCAP4: Mapping[str, str] = {
    "ang": "anger",
    "hap": "joy",
    "exc": "joy",
    "sad": "sadness",
    "neu": "neutral",
}
_IEMOCAP6: Mapping[str, str] = {**_IEMOCAP4, "exc": "excited", "fru": "frustrated"}
# How other corpora and users' own tables write IEMOCAP's labels, so that models can be tried across corpora.
_IEMOCAP_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("ang", "anger", "angry"), "ang"),
    **dict.fromkeys(("hap", "happy", "happiness", "joy"), "hap"),
    **dict.fromkeys(("exc", "excited", "excitement"), "exc"),
    **dict.fromkeys(("sad", "sadness"), "sad"),
    **dict.fromkeys(("neu", "neutral", "neutral state"), "neu"),
    **dict.fromkeys(("fru", "frustrated", "frustration"), "fru"),
}


def _from_raw(classes: Mapping[str, str]) -> RowMap:
    """A scheme over IEMOCAP's own labels: `emotion` has already merged frustration into anger, so it is never read."""

    def of_row(corpus: str, label_raw: str | None, emotion: str | None, sentiment: str | None) -> str | None:
        if not label_raw or not label_raw.strip():
            return None
        name = _IEMOCAP_NAMES.get(label_raw.strip().casefold())
        known = known_corpus(corpus)  # a stand-in's labels are the real corpus's
        if name is None and known != "iemocap" and known in RULES:
            # Another corpus's label ("calm", "gratitude"): its own bridge at default policies, then by name.
            try:
                name = _IEMOCAP_NAMES.get(bridge(known, label_raw)[0] or "")
            except UnknownNameError:
                return None  # a corpus of the user's that only shares the name
        return classes.get(name or "")

    return of_row


_RAW = ("corpus", "label_raw")
SCHEMES: dict[str, LabelScheme] = {
    item.name: item
    for item in (
        LabelScheme(
            "seven", EMOTIONS, ("emotion",), _seven, "MELD's seven classes, through the label bridge"
        ),
        LabelScheme(
            "iemocap4",
            ("neutral", "sadness", "joy", "anger"),
            _RAW,
            _from_raw(_IEMOCAP4),
            "IEMOCAP's four-class protocol: neu, sad, hap+exc, ang; frustration and the rest are left out",
        ),
        LabelScheme(
            "iemocap6",
            ("neutral", "sadness", "joy", "anger", "excited", "frustrated"),
            _RAW,
            _from_raw(_IEMOCAP6),
            "IEMOCAP's six classes: neu, sad, hap, ang, exc, fru",
        ),
        LabelScheme(
            "sentiment3",
            SENTIMENTS,
            ("sentiment", "emotion"),
            _sentiment3,
            "the annotated sentiment, else the emotion's sign (surprise has none)",
        ),
    )
}
