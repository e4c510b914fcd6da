"""IEMOCAP's layout: dialogues of two actors a session, with evaluations and transcriptions (CORPORA: IEMOCAP)."""

import zlib
from collections.abc import Sequence

import numpy as np

from extractors.corpora.demo_script import sentence
from extractors.corpora.stand_ins.take import Plan, Take
from feature_repo.label_bridge import bridge

ACTORS = tuple(f"Ses0{session}{letter}" for session in range(1, 6) for letter in "FM")
_LABELS = {
    "neu": "Neutral state",
    "hap": "Happiness",
    "ang": "Anger",
    "exc": "Excited",
    "sad": "Sadness",
    "fru": "Frustration",
}
_APART_S = 6.0  # from one turn's start to the next one's; no turn is that long
_HEAD = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"


def iemocap(actors: Sequence[str], count: int) -> Plan:
    """A dialogue for each of ``count`` utterances per label; in each, every actor of the session says every label.

    What is said carries the emotion in its words, as in the real dialogues.
    """
    takes: list[Take] = []
    files: dict[str, bytes] = {}
    for session in sorted({actor[:5] for actor in actors}):
        present = [actor for actor in actors if actor.startswith(session)]
        base = f"Session{session[4]}"
        for number in range(1, count + 1):
            dialogue = f"{session}{'FM'[number % 2]}_impro{number:02}"
            turns = _turns(dialogue, present)
            takes += [
                Take(
                    f"{base}/sentences/wav/{dialogue}/{name}.wav",
                    actor,
                    bridge("iemocap", label)[0] or "",
                    text,
                )
                for name, actor, label, text in turns
            ]
            spans = [(_APART_S * place, _APART_S * place + 3) for place in range(len(turns))]
            evaluated = "".join(
                f"[{start:.4f} - {end:.4f}]\t{name}\t{label}\t[3.0000, 3.0000, 3.0000]\n"
                f"C-E1:\t{_LABELS[label]};\t()\nC-E2:\t{_LABELS[label]};\t()\n\n"
                for (start, end), (name, _, label, _) in zip(spans, turns, strict=True)
            )
            transcribed = "".join(
                f"{name} [{start:08.4f}-{end:08.4f}]: {text}\n"
                for (start, end), (name, _, _, text) in zip(spans, turns, strict=True)
            )
            files[f"{base}/dialog/EmoEvaluation/{dialogue}.txt"] = (_HEAD + evaluated).encode()
            files[f"{base}/dialog/transcriptions/{dialogue}.txt"] = transcribed.encode()
    return Plan(takes, files)


def _turns(dialogue: str, actors: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Name, actor, label and words of each turn, the actors one after the other."""
    rng = np.random.default_rng(zlib.crc32(dialogue.encode()))
    orders = [rng.permutation(list(_LABELS)) for _ in actors]
    turns = []
    for place in range(len(_LABELS)):
        for actor, order in zip(actors, orders, strict=True):
            label = str(order[place])
            text = sentence(bridge("iemocap", label)[0] or "neutral", rng)
            turns.append((f"{dialogue}_{actor[5]}{place:03}", actor, label, text))
    return turns
