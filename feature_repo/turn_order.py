"""The order of a dialogue's utterances: by the corpus's turn, else by when they start."""

from __future__ import annotations

import polars as pl

from feature_repo.errors import BadInputError


def in_turn_order(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows dialogue by dialogue, the turns of each in their order.

    Turns are in the order of ``turn`` where a dialogue's utterances all have one, else of ``start_s``; numbers may be
    left out. Utterances without a dialogue are dialogues of one. Two corpora may both have a dialogue "1".

    Args:
        rows: with ``utterance_id, corpus, dialogue_id, turn, start_s`` and any further columns.

    Returns:
        The rows with ``key``, the dialogue's id; ``dialogue``, its number from 0 in the order in which the rows name
        them first; and ``place``, the utterance's place in it from 0.

    Raises:
        BadInputError: utterances of a dialogue of which nobody knows the order, or two of the same turn.
    """
    rows = rows.with_columns(key=pl.col("dialogue_id").fill_null(pl.col("utterance_id")))
    known = rows.select("corpus", "key").unique(maintain_order=True).with_row_index("dialogue")
    rows = rows.join(known, on=["corpus", "key"], how="left", maintain_order="left").with_columns(
        pl.col("dialogue").cast(pl.Int64), _size=pl.len().over("dialogue")
    )
    numbered = pl.col("turn").is_not_null().all().over("dialogue")
    order = pl.when(numbered).then(pl.col("turn").cast(pl.Float64)).otherwise(pl.col("start_s"))
    # Two may begin to speak at one moment: then their ids decide, so that the order is always the same.
    rows = rows.with_columns(_numbered=numbered, _order=order).sort("dialogue", "_order", "utterance_id")
    _check_order(rows)
    return rows.drop("_size", "_numbered", "_order").with_columns(
        place=pl.int_range(pl.len(), dtype=pl.Int64).over("dialogue")
    )


def _check_order(rows: pl.DataFrame) -> None:
    several = rows.filter(pl.col("_size") > 1)
    unknown = several.filter(pl.col("_order").is_null())
    if unknown.height:
        name, dialogue = unknown.row(0, named=True)["utterance_id"], unknown["key"][0]
        raise BadInputError(
            f"{name!r}: dialogue {dialogue!r} has several utterances, and this one has neither a turn nor a start; "
            f"ingest the corpus with the column `turn` (a table: --map turn=COLUMN)"
        )
    equal = several.filter(pl.col("_numbered") & pl.struct("dialogue", "_order").is_duplicated())
    if equal.height:
        one, other = equal["utterance_id"][0], equal["utterance_id"][1]
        raise BadInputError(
            f"{one!r} and {other!r} have the same turn of dialogue {equal['key'][0]!r}; a dialogue's id must be its "
            f"own in the corpus (some corpora number dialogues anew in each split), a turn its own in the dialogue"
        )
