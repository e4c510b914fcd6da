"""Layouts of the published pickles of dialogues: what stands at which place of their tuple.

Each was read off the data loaders that unpack them; nothing is guessed, and another shape is refused.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from feature_repo.errors import BadInputError, UnknownNameError

_ROBERTA = ("roberta1", "roberta2", "roberta3", "roberta4")
_SPLITS = ("train", "test", "valid")
_VECTORS = ("text", "audio", "visual", *_ROBERTA)


@dataclass(frozen=True)
class DialogueLayout:
    """What a pickle's tuple holds.

    Attributes:
        name: what ``--layout`` calls it.
        entries: what stands at each place: ``ids``, ``speakers``, ``labels``, ``sentiments``, ``sentences``, vectors
            (``text``, ``audio``, ``visual``, ``roberta1`` to ``roberta4``), lists of dialogues (``train``, ``test``,
            ``valid``), or ``-`` for what nobody reads.
        corpus: the corpus that it is about.
        naming: ``names``: the ids are the corpus's own; ``meld``: numbers that run on over the splits; ``texts``:
            there are none, utterances are known by what they say.
    """

    name: str
    entries: tuple[str, ...]
    corpus: str
    naming: Literal["names", "meld", "texts"]

    def vectors(self) -> list[str]:
        """Names of the entries that hold features."""
        return [name for name in self.entries if name in _VECTORS]


_HEAD = ("ids", "speakers", "labels")
_TAIL = ("sentences", "train", "test")
LAYOUTS = {
    layout.name: layout
    for layout in (
        # declare-lab/conv-emotion, DialogueRNN/dataloader.py; MMGCN and COGMEN read the same file of IEMOCAP.
        DialogueLayout(
            "iemocap-dialoguernn", (*_HEAD, "text", "audio", "visual", *_TAIL), "iemocap", "names"
        ),
        DialogueLayout("meld-dialoguernn", (*_HEAD, "text", "audio", *_TAIL, "sentiments"), "meld", "meld"),
        # hujingwen6666/MMGCN, dataloader.py: MELD_features_raw1.pkl.
        DialogueLayout("meld-mmgcn", (*_HEAD, "text", "audio", "visual", *_TAIL, "-"), "meld", "meld"),
        # declare-lab/conv-emotion, COSMIC: {iemocap,meld}_features_roberta.pkl, without names of utterances.
        DialogueLayout(
            "iemocap-cosmic", ("speakers", "labels", *_ROBERTA, *_TAIL, "valid"), "iemocap", "texts"
        ),
        DialogueLayout(
            "meld-cosmic", ("speakers", "labels", "sentiments", *_ROBERTA, *_TAIL, "valid"), "meld", "texts"
        ),
        # SDT: {iemocap,meld}_multimodal_features.pkl.
        DialogueLayout("iemocap-sdt", (*_HEAD, *_ROBERTA, "audio", "visual", *_TAIL), "iemocap", "names"),
        DialogueLayout("meld-sdt", (*_HEAD, *_ROBERTA, "audio", "visual", *_TAIL, "-"), "meld", "meld"),
        # GraphSmile: meld_multi_features.pkl.
        DialogueLayout(
            "meld-graphsmile",
            (*_HEAD, "sentiments", *_ROBERTA, "audio", "visual", *_TAIL, "-"),
            "meld",
            "meld",
        ),
    )
}


def layout_of(data: object, named: str = "") -> DialogueLayout:
    """The layout of a pickle's data: the named one, else the only one that fits.

    Raises:
        UnknownNameError: no layout of that name.
        BadInputError: it does not fit, or none does; the message says what was found.
    """
    if named:
        if named not in LAYOUTS:
            raise UnknownNameError("layout of a pickle of dialogues", named, LAYOUTS)
        candidates = [LAYOUTS[named]]
    else:
        candidates = list(LAYOUTS.values())
    fitting = [layout for layout in candidates if isinstance(data, tuple | list) and _fits(layout, data)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        told = " or ".join(layout.name for layout in fitting)
        raise BadInputError(f"a pickle of dialogues that could be {told}; name one with --layout")
    known = "; ".join(f"{layout.name}: {', '.join(layout.entries)}" for layout in candidates)
    raise BadInputError(f"no known pickle of dialogues. It holds {_found(data)}. Known are {known}")


def _fits(layout: DialogueLayout, data: Sequence[Any]) -> bool:
    return len(data) == len(layout.entries) and all(
        _is(kind, entry) for kind, entry in zip(layout.entries, data, strict=True)
    )


def _is(kind: str, entry: object) -> bool:
    if kind == "-":
        return True
    if kind in _SPLITS:
        return isinstance(entry, list | tuple | set | frozenset | np.ndarray)
    if not isinstance(entry, Mapping) or not entry:
        return False
    turns = next((value for value in entry.values() if _length(value)), None)
    if turns is None:
        return False
    first = turns[0]
    if kind == "sentences":
        return isinstance(first, str)
    if kind in _VECTORS:
        return not isinstance(first, str) and _length(first) > 0
    if kind in ("labels", "sentiments"):
        return isinstance(first, int | np.integer)
    return True  # ids and speakers: names, numbers or one-hot vectors


def _length(value: object) -> int:
    return len(value) if isinstance(value, list | tuple | str | np.ndarray) and np.ndim(value) != 0 else 0


def _found(data: object) -> str:
    if not isinstance(data, tuple | list):
        return f"a {type(data).__name__}"
    told = []
    for entry in data:
        if not isinstance(entry, Mapping):
            told.append(
                f"{type(entry).__name__} of {len(entry)}" if hasattr(entry, "__len__") else f"{entry!r:.30}"
            )
            continue
        turns = next((value for value in entry.values() if _length(value)), None)
        first = turns[0] if turns is not None else None
        vector = (
            f"vectors of {_length(first)}"
            if _length(first) and not isinstance(first, str)
            else f"{reprlib.repr(first):.20}"
        )
        told.append(f"dict of {len(entry)} with {vector}")
    return f"{len(told)} entries ({', '.join(told)})"
