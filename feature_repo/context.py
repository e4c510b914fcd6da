"""Context texts: what was said before in a dialogue, in front of what is said now (papers/003 section 2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.recipe import Recipe
from feature_repo.turn_order import in_turn_order

# RoBERTa's and MPNet's tokenizers read it as their own separator; a BERT's is "[SEP]".
SEPARATOR = " </s> "
NOBODY = "unknown"  # stands for a speaker whom the corpus does not name


def context_texts(
    manifest: pl.DataFrame, turns: int, *, prefix: bool = True, separator: str = SEPARATOR
) -> pl.Series:
    """Each utterance's text after those of the turns before it in its dialogue, the oldest first; never a later one.

    Turns are in the order of :func:`~feature_repo.turn_order.in_turn_order`. A turn without words takes its place among
    the ``turns`` and is not written; an utterance without words has no context either, since there is nothing said that
    it could explain.

    Args:
        manifest: rows with ``utterance_id, corpus, dialogue_id, turn, start_s, text`` and, for the prefix,
            ``speaker_id, speaker_raw``; all turns of the dialogues in question.
        turns: how many turns before it are read at most; 0 is the utterance alone.
        prefix: put ``speaker=<id> `` in front of each turn: the corpus's name of the speaker in one word, else the last
            part of ``speaker_id``, else ``unknown``.
        separator: stands between two turns.

    Returns:
        String ``[rows]`` in the manifest's order; null where the row has no text.

    Raises:
        BadInputError: a negative number of turns, or a dialogue of whose turns nobody knows the order.
    """
    if turns < 0:
        raise BadInputError(f"context={turns}: must be at least 0")
    text = pl.col("text")
    said = pl.when(text.str.strip_chars() != "").then(
        pl.lit("speaker=") + _speaker() + " " + text if prefix else text
    )
    # Only what has a text is a turn: pictures of one person are a dialogue too, of which nobody knows an order.
    rows = manifest.with_row_index("_row").filter(text.is_not_null())
    if turns == 0:
        read = rows.select("_row", read=pl.coalesce(said, text))
    else:
        rows = in_turn_order(rows.with_columns(_said=said))
        before = [
            pl.when(pl.col("place") >= back).then(pl.col("_said").shift(back)) for back in range(turns, 0, -1)
        ]
        joined = pl.concat_str([*before, pl.col("_said")], separator=separator, ignore_nulls=True)
        read = rows.select("_row", read=pl.when(pl.col("_said").is_null()).then(text).otherwise(joined))
    every = pl.DataFrame({"_row": pl.arange(manifest.height, dtype=pl.UInt32, eager=True)})
    return every.join(read, on="_row", how="left", maintain_order="left")["read"].alias("text")


def _speaker() -> pl.Expr:
    raw = pl.col("speaker_raw").str.strip_chars().str.replace_all(r"\s+", "_")
    own = pl.col("speaker_id").str.split("/").list.last()
    return pl.coalesce(pl.when(raw != "").then(raw), pl.when(own != "").then(own), pl.lit(NOBODY))


@dataclass(frozen=True)
class TextReading:
    """What a recipe reads of a dialogue's texts; the fields are settings of the recipe and have their defaults.

    Attributes:
        context: turns before the utterance.
        prefix: whether each turn says who speaks.
        separator: between two turns.
    """

    context: int = 0
    prefix: bool = False
    separator: str = SEPARATOR

    @classmethod
    def of(cls, recipe: Recipe) -> TextReading:
        """How the recipe reads."""
        settings: Mapping[str, Any] = recipe.settings
        return cls(
            int(settings.get("context", 0)),
            bool(settings.get("prefix", False)),
            str(settings.get("separator", SEPARATOR)),
        )

    @property
    def plain(self) -> bool:
        """Whether an utterance's own text is read as it stands."""
        return self.context == 0 and not self.prefix

    def texts(self, manifest: pl.DataFrame) -> pl.Series:
        """What is read for each row; see :func:`context_texts`."""
        if self.plain:
            return manifest["text"]
        return context_texts(manifest, self.context, prefix=self.prefix, separator=self.separator)


def reads_other_turns(recipe: Recipe) -> bool:
    """Whether a row depends on other utterances of its dialogue: only with all of them its content key is right."""
    return TextReading.of(recipe).context > 0
