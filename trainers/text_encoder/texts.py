"""Which texts may be learned from, and in which part each is: decided by the text alone, before any is chosen."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.labels import scheme
from trainers.text_encoder.config import TextEncoderConfig

# Manifest split -> part. Rows of `all` have none of their own.
_OWN = {"train": "train", "dev": "validation", "test": "test"}
# A text that several parts claim goes where it does least harm: what was trained on can't be scored.
_FIRST = {"test": 0, "validation": 1, "train": 2}
_ADDRESSED = re.compile(r"@\w+|https?://\S+")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
_DIGITS = 13  # of a hash, in base 16: 52 bits, which a float holds exactly


def normalised(text: str) -> str:
    """What makes two texts the same: words in any case, without marks, links and whom they are addressed to.

    A text without any word (an emoticon) is itself.
    """
    plain = _ADDRESSED.sub(" ", unicodedata.normalize("NFKC", text))
    words = _BETWEEN_WORDS.sub(" ", plain).strip().casefold()
    return words or " ".join(text.split())


def draw(purpose: str, text: str) -> float:
    """A number from 0 to below 1 that depends on its arguments alone, so that another corpus moves no text."""
    state = hashlib.blake2b(f"{purpose}\0{text}".encode(), digest_size=8).hexdigest()
    return int(state[:_DIGITS], 16) / float(16**_DIGITS)


def candidates(
    manifest: pl.DataFrame, config: TextEncoderConfig, labels: str = "seven"
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The texts to choose from, each in its part.

    A text is there once, whatever its rows; where its corpora's splits disagree it is held out. Texts are the same
    when their :func:`normalised` words are.

    Args:
        manifest: rows of the corpora.
        config: shares, policies for splits and for texts of several emotions.
        labels: label scheme.

    Returns:
        (``utterance_id, speaker_id, corpus, text, text_key, label, part, order``: one row per text, where ``order`` is
        its place among equals, and the rows left out by reason).

    Raises:
        BadInputError: no row has a text and a class.
        UnknownNameError: no such label scheme.
    """
    rows = manifest.select(
        "utterance_id",
        "speaker_id",
        "corpus",
        "split",
        "language",
        "text_key",
        text=pl.col("text").fill_null("").str.strip_chars(),
    ).with_columns(label=scheme(labels).map(manifest))
    left_out = {}

    def keep(frame: pl.DataFrame, holds: pl.Expr, reason: str) -> pl.DataFrame:
        kept = frame.filter(holds)
        if kept.height < frame.height:
            left_out[reason] = frame.height - kept.height
        return kept

    rows = keep(rows, pl.col("label").is_not_null(), "no class in the label scheme")
    rows = keep(rows, pl.col("text") != "", "no text")
    languages = pl.col("language").is_null() | pl.col("language").is_in(list(config.languages))
    rows = keep(rows, languages, "another language")
    if rows.is_empty():
        corpora = ", ".join(sorted(manifest["corpus"].unique())) or "no corpus"
        raise BadInputError(f"no row of {corpora} has a text and a class of label scheme {labels!r}")
    rows = rows.with_columns(words=pl.Series([normalised(text) for text in rows["text"]], dtype=pl.String))
    parts = [_part(words, split, config) for words, split in rows.select("words", "split").iter_rows()]
    first = pl.Series("first", [_FIRST[part] for part in parts], dtype=pl.Int8)
    rows = rows.with_columns(first).with_columns(first=pl.col("first").min().over("words"))
    same = ["words"]
    if config.several == "drop":
        one = pl.col("label").n_unique().over("words") == 1
        rows = keep(rows, one, "the same text with several emotions")
    else:
        same.append("label")
    copies = rows.sort("corpus", "utterance_id").unique(same, keep="first", maintain_order=True)
    if copies.height < rows.height:
        left_out["the same text again"] = rows.height - copies.height
    names = {number: name for name, number in _FIRST.items()}
    return (
        copies.select(
            "utterance_id",
            "speaker_id",
            "corpus",
            "text",
            "text_key",
            "label",
            part=pl.col("first").replace_strict(names, return_dtype=pl.String),
            order=pl.Series([draw("order", words) for words in copies["words"]], dtype=pl.Float64),
        ),
        left_out,
    )


def _part(words: str, split: str, config: TextEncoderConfig) -> str:
    if config.splits == "own" and split in _OWN:
        return _OWN[split]
    drawn = draw("part", words)
    if drawn < config.test_share:
        return "test"
    return "validation" if drawn < config.test_share + config.validation_share else "train"
