"""Transcripts as a poor recogniser gives them: words lost or mistaken, always the same for an utterance."""

from __future__ import annotations

import random
import re

import polars as pl

# English words that say little, the most frequent of them; what a word is mistaken for.
_MISTAKEN_FOR = re.findall(
    r"\w+",
    "the a and to of in it is that was for on with as be at by this have not are but had they you we so all there can "
    "if one out up them then what some me now just",
)


def corrupted(text: str, share: float, key: str) -> str:
    """The text with some of its words lost or mistaken for others, as many of the one as of the other on average.

    Each word is hit by itself, so a long text has about ``share`` of its words wrong. What is hit at one share is hit
    at every larger one in the same way. Words are what white space separates; one space comes to stand between them.

    Args:
        text: what was said.
        share: chance of each word to be hit, 0 to 1.
        key: decides which words: the utterance's id and a seed.
    """
    draw = random.Random(key)  # of a text, which gives the same numbers on every machine
    kept = []
    for word in text.split():
        hit, lost, other = draw.random() < share, draw.random() < 0.5, int(draw.random() * len(_MISTAKEN_FOR))
        if not hit:
            kept.append(word)
        elif not lost:
            same = _MISTAKEN_FOR[other] == word.lower()
            kept.append(_MISTAKEN_FOR[(other + same) % len(_MISTAKEN_FOR)])
    return " ".join(kept)


def corrupted_texts(manifest: pl.DataFrame, share: float, seed: int) -> pl.Series:
    """The manifest's texts, each corrupted by its utterance id and the seed; null stays null."""
    texts = [
        None if text is None else corrupted(text, share, f"{seed}/{utterance_id}")
        for utterance_id, text in manifest.select("utterance_id", "text").iter_rows()
    ]
    return pl.Series("text", texts, pl.String)
