"""Which utterance of the manifest a turn of a pickled dialogue is, by its number or by what it says."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import polars as pl

# MELD's pickles number the dialogues on: 1,039 of train (one of them without annotations), 114 of dev, 280 of test.
_MELD_PARTS = (("test", 1039 + 114), ("dev", 1039), ("train", 0))
_ENOUGH = 0.5  # of a dialogue's turns that must say the same for it to be the same dialogue


def meld_id(corpus: str, dialogue: int, turn: int) -> str:
    """Utterance id of a dialogue number that runs on over the splits, and an utterance number in it."""
    split, first = next((split, first) for split, first in _MELD_PARTS if dialogue >= first)
    return f"{corpus}/{split}/dia{dialogue - first}_utt{turn}"


def same_words(text: str) -> str:
    """The letters and digits of a text in one case: copies of a corpus differ in quotes and broken characters."""
    ascii_only = text.casefold().encode("ascii", "ignore").decode()
    return "".join(letter for letter in ascii_only if letter.isalnum())


def match_by_texts(
    sentences: Mapping[object, Sequence[str]], manifest: pl.DataFrame
) -> dict[tuple[object, int], str]:
    """Utterance id of (dialogue, turn), for the turns that say what an utterance of a dialogue here says.

    A dialogue is taken for the one with exactly its texts in its order, else for the one with the most of them in
    order, if those are at least half. No utterance is taken twice.

    Args:
        sentences: texts of each dialogue's turns.
        manifest: rows that have texts and dialogues.
    """
    here = _dialogues(manifest)
    by_texts: dict[tuple[str, ...], list[str]] = defaultdict(list)
    by_text: dict[str, set[str]] = defaultdict(set)
    for dialogue, turns in here.items():
        by_texts[tuple(text for _, text in turns)].append(dialogue)
        for _, text in turns:
            by_text[text].add(dialogue)
    found: dict[tuple[object, int], str] = {}
    taken: set[str] = set()
    rest = []
    for key, texts in sentences.items():
        said = tuple(same_words(text) for text in texts)
        free = [dialogue for dialogue in by_texts.get(said, ()) if dialogue not in taken]
        if not free:
            rest.append((key, said))
            continue
        taken.add(free[0])
        found |= {(key, turn): name for turn, (name, _) in enumerate(here[free[0]])}
    for key, said in rest:
        shared = Counter(dialogue for text in set(said) for dialogue in by_text.get(text, ()))
        best: tuple[int, str, list[tuple[int, int]]] = (0, "", [])
        for dialogue, _ in sorted(shared.most_common(20), key=lambda each: each[0]):
            if dialogue not in taken:
                pairs = _aligned(said, [text for _, text in here[dialogue]])
                best = max(best, (len(pairs), dialogue, pairs), key=lambda each: each[0])
        if best[0] >= max(1, _ENOUGH * len(said)):
            taken.add(best[1])
            found |= {(key, turn): here[best[1]][place][0] for turn, place in best[2]}
    return found


def _dialogues(manifest: pl.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Dialogue to its (utterance id, words) in order."""
    rows = manifest.filter(pl.col("text").is_not_null()).sort(
        "dialogue_id", "turn", "start_s", "utterance_id"
    )
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for dialogue, name, text in rows.select("dialogue_id", "utterance_id", "text").iter_rows():
        found[dialogue].append((name, same_words(text)))
    return found


def _aligned(said: Sequence[str], there: Sequence[str]) -> list[tuple[int, int]]:
    blocks = difflib.SequenceMatcher(None, said, there, autojunk=False).get_matching_blocks()
    return [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
