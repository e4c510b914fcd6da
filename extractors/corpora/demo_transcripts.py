"""What a speech recogniser might have heard in the demonstration corpus: mostly the right words, at times others."""

import csv
import io
import re
from collections.abc import Sequence

import numpy as np

from extractors.corpora.demo_planted import PLANTED
from extractors.corpora.demo_script import Line

_UNHEARD = ("file missing", "file truncated", "file empty", "no audio track")
_SLIP = 0.3  # how many lines have a slip
# What is misheard for what.
_MISHEARD = {"the": "a", "my": "your", "your": "our", "his": "this", "that": "the", "at": "that"}


def transcripts(lines: Sequence[Line], corpus: str, rng: np.random.Generator) -> str:
    """The transcripts as CSV with the columns ``utterance_id`` and ``transcript``.

    Args:
        lines: the script.
        corpus: what the corpus is called in the store; ids start with it.
        rng: decides which words are misheard.
    """
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(("utterance_id", "transcript"))
    for line, following in zip(lines, [*lines[1:], lines[0]], strict=True):
        kind = PLANTED.get(line.key)
        if kind in _UNHEARD:
            continue
        heard = _heard(line.text, rng)
        if kind in ("silence", "nothing heard"):
            heard = ""
        elif kind == "another line's words":
            heard = _heard(following.text, rng)
        elif kind == "words over and over":
            heard = " ".join([heard] * 6)  # where a recogniser gets stuck
        writer.writerow((f"{corpus}/{line.key}", heard))
    return sink.getvalue()


def _heard(text: str, rng: np.random.Generator) -> str:
    """The words in lower case and without punctuation; at times one of them is another."""
    words = re.sub(r"[^\w' ]", "", text.lower()).split()
    slips = [place for place, word in enumerate(words) if word in _MISHEARD]
    if slips and rng.random() < _SLIP:
        place = int(rng.choice(slips))
        words[place] = _MISHEARD[words[place]]
    return " ".join(words)
