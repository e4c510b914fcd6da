"""Test rows whose very words were trained on: told of every run, forbidden by none."""

from __future__ import annotations

import polars as pl

from trainers.protocols.plan import Index


def shared_texts(manifest: pl.DataFrame, train: Index, test: Index) -> int:
    """How many test rows have a text that stands, letter by letter, in a training row.

    A conversation's "Yeah." is everywhere, and actors speak the same sentences: a model of words knows these rows.

    Args:
        manifest: the training set's rows.
        train: rows that train.
        test: rows that are scored.
    """
    text = manifest["text"]
    learned = text.gather(train).drop_nulls().unique()
    learned = learned.filter(learned.str.strip_chars() != "")
    return int(text.gather(test).is_in(learned.implode()).sum())
