"""A selection of utterances by what the manifest says of them."""

from dataclasses import dataclass

import polars as pl

from feature_repo.errors import UnknownNameError
from feature_repo.manifest import SPLITS

# Selection field -> manifest column.
_COLUMNS = {
    "corpora": "corpus",
    "splits": "split",
    "emotions": "emotion",
    "speakers": "speaker_id",
    "dialogues": "dialogue_id",
}
_LISTED = 20  # names; a corpus has thousands of dialogues, and nobody reads them in an error


@dataclass(frozen=True)
class Selection:
    """Which utterances are meant: those that match every field that is not empty.

    Attributes:
        corpora: names of corpora.
        splits: ``train``, ``dev``, ``test``, ``all``.
        emotions: values of the manifest's ``emotion`` column.
        speakers: speaker ids.
        dialogues: dialogue ids.
    """

    corpora: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    emotions: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    dialogues: tuple[str, ...] = ()

    def rows(self, manifest: pl.DataFrame) -> pl.Series:
        """Numbers of the manifest's rows that are meant, ascending, as UInt32.

        Raises:
            UnknownNameError: a name that no row of the manifest has; the splits' own names may have no rows.
        """
        # A column, not a literal: a literal has one row whatever the manifest has.
        chosen = pl.col("utterance_id").is_not_null()
        for field, column in _COLUMNS.items():
            names = getattr(self, field)
            if isinstance(names, str):  # ("train") is a string; its letters are nobody's splits
                names = (names,)
            if names:
                self._check(manifest, column, names)
                chosen = chosen & pl.col(column).is_in(list(names))
        return manifest.select(pl.arg_where(chosen)).to_series()

    @staticmethod
    def _check(manifest: pl.DataFrame, column: str, names: tuple[str, ...]) -> None:
        known = set(manifest[column].drop_nulls().unique())
        if column == "split":
            known.update(SPLITS)
        for name in names:
            if name not in known:
                listed = sorted(known)
                more = [f"... ({len(listed)} in all)"] if len(listed) > _LISTED else []
                raise UnknownNameError(column.removesuffix("_id"), name, listed[:_LISTED] + more)
