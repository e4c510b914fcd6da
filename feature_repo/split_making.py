"""Making a split: official parts are kept, people stay together, what nobody signed is dealt out by chance."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.balanced_groups import balanced_groups
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.leakage import recording_key
from feature_repo.linked_rows import linked_rows
from feature_repo.named_tables import now
from feature_repo.splits import PARTS, SavedSplit

# What a rule does with a corpus; `train`, `validation` and `test` put all of it there.
RULES = ("official", "speaker", "random", *PARTS)
# Assumed: papers/003 section 1.5 gives rules and no shares.
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
_OFFICIAL = {"train": "train", "dev": "validation", "test": "test"}


def default_rule(rows: pl.DataFrame) -> str:
    """The rule of a corpus where none is named: papers/003 section 1.5.

    ``official`` where every row has an official split and both train and test have rows; else ``speaker`` where
    anybody's speaker is known; else ``random``.

    Args:
        rows: the corpus's manifest rows.
    """
    splits = set(rows["split"].unique())
    if {"train", "test"} <= splits <= set(_OFFICIAL):
        return "official"
    return "random" if rows["speaker_id"].null_count() == rows.height else "speaker"


def make_split(
    name: str,
    manifest: pl.DataFrame,
    *,
    rules: Mapping[str, str] | None = None,
    shares: Mapping[str, float] | None = None,
    seed: int = 0,
) -> SavedSplit:
    """Every utterance in one of three parts; rows, rules, shares and seed decide, and nothing else.

    ``official`` keeps the corpus's own parts; where it has no dev rows, its train rows are dealt out to train and
    validation. ``speaker`` deals out people, and those who share a dialogue or a recording together. ``random`` deals
    out utterances: those of one dialogue, recording or, outside of conversations and where nobody is known to speak,
    text stay together. Both keep the shares of emotions and languages alike in the parts, as far as whole people allow.

    Args:
        name: the split's.
        manifest: rows of the corpora to split.
        rules: corpus to one of ``RULES``; the others are at :func:`default_rule`.
        shares: part to its share of the corpora that have no official one; sums to 1.
        seed: another seed deals out others of like size.

    Raises:
        UnknownNameError: a rule for a corpus that is not there, or one that does not exist.
        BadInputError: no rows, shares that are none, or a corpus that the rule can't split; the message says which can.
    """
    if not manifest.height:
        raise BadInputError("there is no utterance to split: `affectstore ingest` a corpus first")
    wanted = _checked_shares(shares or SHARES)
    rows = manifest.sort("utterance_id")
    corpora = rows["corpus"].unique().sort().to_list()
    for corpus, rule in (rules or {}).items():
        if corpus not in corpora:
            raise UnknownNameError("corpus", corpus, corpora)
        if rule not in RULES:
            raise UnknownNameError(f"rule of {corpus}", rule, RULES)
    taken, frames = {}, []
    for corpus in corpora:
        own = rows.filter(pl.col("corpus") == corpus)
        taken[corpus] = (rules or {}).get(corpus) or default_rule(own)
        part = _parts(corpus, own, taken[corpus], wanted, seed)
        frames.append(own.select("utterance_id", "corpus").with_columns(part=part))
    made = {"rules": taken, "shares": wanted, "seed": seed, "assumed": [] if shares else ["shares"]}
    return SavedSplit(name, pl.concat(frames).sort("utterance_id"), made, now())


def _parts(corpus: str, rows: pl.DataFrame, rule: str, shares: Mapping[str, float], seed: int) -> pl.Series:
    if rule in PARTS:
        return pl.Series([rule], dtype=pl.String).new_from_index(0, rows.height)
    if rule == "official":
        return _official(corpus, rows, shares, seed)
    return _dealt(corpus, rows, rule, shares, seed)


def _official(corpus: str, rows: pl.DataFrame, shares: Mapping[str, float], seed: int) -> pl.Series:
    part = rows["split"].replace_strict(_OFFICIAL, default=None, return_dtype=pl.String)
    if part.null_count():
        utterance_id = rows.filter(part.is_null())["utterance_id"][0]
        raise BadInputError(
            f"corpus {corpus!r}: {part.null_count():,} utterances have no official split, such as {utterance_id};"
            f" {_allowed(corpus, 'speaker', 'random', *PARTS)}"
        )
    for needed in ("train", "test"):
        if needed not in part:
            raise BadInputError(
                f"corpus {corpus!r} has no official {needed} rows; {_allowed(corpus, 'speaker', 'random', *PARTS)}"
            )
    if "validation" in part:
        return part
    training = rows.filter(part == "train")
    kept = {name: shares[name] for name in ("train", "validation")}
    rule = "random" if training["speaker_id"].null_count() == training.height else "speaker"
    dealt = training.select("utterance_id").with_columns(dealt=_dealt(corpus, training, rule, kept, seed))
    frame = rows.select("utterance_id").with_columns(part=part)
    joined = frame.join(dealt, on="utterance_id", how="left", maintain_order="left")
    return joined.select(pl.coalesce("dealt", "part").alias("part"))["part"]


def _dealt(corpus: str, rows: pl.DataFrame, rule: str, shares: Mapping[str, float], seed: int) -> pl.Series:
    """The part of each row, whole groups at a time."""
    group = linked_rows(_keys(rows, rule))
    # A group is named after who or what is in it, not after a row's place: rows that come later rename no other.
    speaker = pl.col("speaker_id") if rule == "speaker" else pl.lit(None, pl.String)
    kind = pl.concat_str(pl.col("emotion").fill_null(""), pl.col("language").fill_null(""), separator="|")
    named = rows.select("utterance_id", kind=kind, speaker=speaker, group=pl.Series(group)).with_columns(
        name=pl.coalesce(pl.col("speaker").min(), pl.col("utterance_id").min()).over("group")
    )
    names, counts = _counts(named)
    if len(names) < len(shares):
        what = "person(s)" if rule == "speaker" else "group(s) of utterances"
        others = [other for other in ("speaker", "random", *PARTS) if other != rule]
        raise BadInputError(
            f"corpus {corpus!r}: rule {rule!r} finds {len(names)} {what} that share no dialogue and no recording, and"
            f" {len(shares)} parts need one each; {_allowed(corpus, *others)}"
        )
    # Larger ones first, in powers of two: who is first among people of about the same size is left to the seed.
    sizes = np.round(np.log2(counts.sum(axis=1))).astype(int).tolist()
    drawn = sorted((-size, _drawn(seed, name), name) for size, name in zip(sizes, names, strict=True))
    dealt = balanced_groups(
        dict(zip(names, counts, strict=True)),
        len(shares),
        shares=list(shares.values()),
        order=[name for _, _, name in drawn],
    )
    part_of = {name: part for part, group in zip(shares, dealt, strict=True) for name in group}
    return named["name"].replace_strict(part_of, return_dtype=pl.String).alias("part")


def _keys(rows: pl.DataFrame, rule: str) -> pl.DataFrame:
    keys = {"dialogue": pl.col("dialogue_id"), "recording": recording_key()}
    if rule == "speaker":
        return rows.select(**keys, speaker=pl.col("speaker_id"))
    # In a conversation everybody says "Yeah": texts would tie all dialogues together.
    alone = pl.col("speaker_id").is_null() & (pl.len().over("dialogue_id") == 1) & (pl.col("text") != "")
    return rows.select(**keys, text=pl.when(alone).then(pl.col("text")))


def _counts(named: pl.DataFrame) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The groups' names, sorted, and their rows of each emotion and language ``[groups, kinds]``."""
    names = named["name"].unique().sort()
    kinds = named["kind"].unique().sort()
    counts = np.zeros((len(names), len(kinds)), np.int64)
    np.add.at(counts, (names.search_sorted(named["name"]), kinds.search_sorted(named["kind"])), 1)
    return names.to_list(), counts


def _drawn(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _checked_shares(shares: Mapping[str, float]) -> dict[str, float]:
    for part in shares:
        if part not in PARTS:
            raise UnknownNameError("part", part, PARTS)
    told = {part: float(shares.get(part, 0.0)) for part in PARTS}
    if not all(0 < share < 1 for share in told.values()) or not math.isclose(sum(told.values()), 1.0):
        given = ", ".join(f"{part} {share:g}" for part, share in told.items())
        raise BadInputError(f"shares {given}: allowed are three numbers above 0 that sum to 1")
    return told


def _allowed(corpus: str, *rules: str) -> str:
    return f"allowed: {', '.join(f'--rule {corpus}={rule}' for rule in rules)}"
