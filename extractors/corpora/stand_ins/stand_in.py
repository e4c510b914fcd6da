"""A stand-in on disk: made once, marked as made up, never mixed with a real corpus."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from extractors.corpora.stand_ins.layouts import LAYOUTS
from extractors.corpora.stand_ins.performance import perform
from extractors.corpora.stand_ins.sound_file import write_sound
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.terms import Terms

MADE_UP = Terms("made up by affectstore, no recording of anybody", redistributable=True)
MARK = "stand-in.json"
_HALF = f".{MARK}.half"  # the mark while it is written
SUFFIX = "-standin"  # the corpus's name in a store ends with it, so that every table tells
_SPEAKERS = 4
_VERSION = 1  # raised whenever the files change


@dataclass(frozen=True)
class StandIn:
    """A made-up corpus.

    Attributes:
        corpus: the corpus whose layout it has.
        folder: where it lies.
        clips: how many sounds it has.
        made: False if it was there already.
    """

    corpus: str
    folder: Path
    clips: int
    made: bool

    @property
    def name(self) -> str:
        """What it is called in a store."""
        return self.corpus + SUFFIX


def make_stand_in(
    corpus: str,
    folder: Path,
    *,
    speakers: int | None = None,
    per_emotion: int = 4,
    seed: int = 0,
    on_clip: Callable[[int, int], None] | None = None,
) -> StandIn:
    """Write a stand-in, unless the same one is there already; an interrupted one is completed.

    Args:
        corpus: a corpus that has a layout here.
        folder: made if absent; another stand-in or anything else in it is refused.
        speakers: how many of the corpus's speakers; by default four, or all where there are fewer.
        per_emotion: utterances of each emotion by each speaker; of some corpora fewer are neutral.
        seed: decides voices and takes; the same seed gives the same files.
        on_clip: told how many clips are done and how many there will be.

    Raises:
        UnknownNameError: a corpus without a layout.
        BadInputError: sizes that the corpus's code has no names for, or a folder that holds something else.
    """
    if corpus not in LAYOUTS:
        raise UnknownNameError("corpus that has a stand-in", corpus, LAYOUTS)
    layout = LAYOUTS[corpus]
    speakers = min(_SPEAKERS, len(layout.speakers)) if speakers is None else speakers
    for what, given, most in (
        ("speakers", speakers, len(layout.speakers)),
        ("per-emotion", per_emotion, layout.most),
    ):
        if not 1 <= given <= most:
            raise BadInputError(f"{what} {given}: {corpus} has from 1 to {most}")
    identity = {
        "made up": f"no recording: a stand-in for {corpus}",
        "corpus": corpus,
        "version": _VERSION,
        "speakers": speakers,
        "per emotion": per_emotion,
        "seed": seed,
    }
    plan = layout.plan(layout.speakers[:speakers], per_emotion)
    begun = _begun(folder, identity)
    if begun == "whole":
        return StandIn(corpus, folder, len(plan.takes), made=False)
    _mark(folder, identity, whole=False)
    for name, content in plan.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for number, take in enumerate(plan.takes, 1):
        if not (folder / take.path).exists():
            write_sound(folder / take.path, perform(take, seed), take.rate)
        if on_clip:
            on_clip(number, len(plan.takes))
    _mark(folder, identity, whole=True)
    return StandIn(corpus, folder, len(plan.takes), made=True)


def stand_in_corpus(folder: Path) -> str | None:
    """The corpus that a folder stands in for; None of a folder that is not a stand-in's, or below one."""
    # Who points at AudioWAV inside a stand-in has not found a real corpus.
    for place in (folder, *list(folder.absolute().parents)[:2]):
        if (place / MARK).is_file():
            return str(json.loads((place / MARK).read_text("utf-8"))["corpus"])
    return None


def name_in_store(corpus: str, folder: Path, name: str | None) -> str:
    """What a corpus is called in a store: as asked, else after its reader; a stand-in's name tells that it is one.

    Args:
        corpus: the reader's name.
        folder: where the corpus lies.
        name: the name that was asked for.

    Raises:
        BadInputError: a stand-in under a name that does not tell.
    """
    if stand_in_corpus(folder) is None:
        return name or corpus
    if name is not None and not name.endswith(SUFFIX):
        raise BadInputError(
            f"{folder} is made up; its name in the store ends with {SUFFIX}: --name {name}{SUFFIX}"
        )
    return name or corpus + SUFFIX


def _begun(folder: Path, identity: dict[str, object]) -> str:
    """Whether the folder holds this stand-in: ``whole``, ``part`` or ``nothing``."""
    mark = folder / MARK
    if mark.is_file():
        there = json.loads(mark.read_text("utf-8"))
        whole = there.pop("whole")
        if there != identity:
            raise BadInputError(f"{folder} holds another stand-in ({there}); name another folder")
        return "whole" if whole else "part"
    if folder.exists() and (not folder.is_dir() or any(path.name != _HALF for path in folder.iterdir())):
        raise BadInputError(f"{folder} is not empty and holds no stand-in; name another folder")
    return "nothing"


def _mark(folder: Path, identity: dict[str, object], *, whole: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / _HALF
    half.write_text(json.dumps(identity | {"whole": whole}, indent=2) + "\n", "utf-8")
    half.replace(folder / MARK)  # a kill leaves the older mark, or none, and never a part of one
