"""Pairs that belong together and pairs that do not: faces of one person and of strangers, words heard and written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from extractors.quality.calibration import Numbers, Pairs
from extractors.quality.identity import Identity, find_identity
from extractors.quality.references import ReferenceDerivation, Sample, samples
from feature_repo.outcome import Fault
from feature_repo.records import live_rows, live_values

if TYPE_CHECKING:
    from extractors.protocol import Extractor
    from feature_repo.recipe import Recipe
    from feature_repo.store import Store

# Beyond these more pairs tell nothing new: 1,000 texts make a million pairs.
_MOST_FACES, _MOST_SPEAKERS, _MOST_TEXTS = 4000, 300, 1000
_OTHERS = 20  # texts that one transcript's spelling is compared with
_TOLD = 3  # pairs of names that a note tells
_SEED = 0


def face_pairs(store: Store, view: str, same_person: float) -> Pairs:
    """Cosines of speakers' own faces, and of strangers', to a reference.

    Own: a speaker's faces in one clip to the mean of their faces in the other clips. Strangers': to every other
    speaker's reference. Speakers are found as for the references, so left out are those who can't be told from somebody
    else in the picture, and pairs of speakers who may be one person: those of one name, and those whose references are
    as like as the middle one of the own pairs (a man under two names, a star in the only clip of an extra).

    Args:
        store: the store.
        view: a view of faces.
        same_person: cosine from which two faces count as one person's for now.
    """
    faces = store.recipe(view)
    found = list(_identified(store, faces, same_person))
    sure = [(sample, person) for sample, person in found if person.margin > 0]
    own = [cosine for sample, person in sure for cosine in _own(sample, person)]
    genuine = np.concatenate(own) if own else np.empty(0)
    strangers, alike = np.empty(0), list[str]()
    if sure:
        strangers, alike = _strangers(store, sure, float(np.median(genuine)) if len(genuine) else np.inf)
    notes = []
    if len(sure) < len(found):
        notes.append(
            f"{len(found) - len(sure)} of {len(found)} speakers can't be told from others in the picture"
        )
    if sure and not len(genuine):
        notes.append(
            "no speaker is seen in two clips"
            if len(sure) == len(found)
            else "none of the others is seen in two"
        )
    if alike:
        more = f" and {len(alike) - _TOLD} pairs more" if len(alike) > _TOLD else ""
        notes.append(f"left out as one person under two names: {', '.join(alike[:_TOLD])}{more}")
    return Pairs(genuine, strangers, "; ".join(notes))


def _identified(store: Store, faces: Recipe, same_person: float) -> Iterator[tuple[Sample, Identity]]:
    recipe = ReferenceDerivation(faces, same_person).recipes()["reference"]
    for sample in samples(store, recipe, faces):
        person = find_identity(sample.candidates, same_person)
        if person is not None:
            yield sample, person


def _own(sample: Sample, person: Identity) -> Iterator[Numbers]:
    """Per clip the cosines of its used faces to the mean of those of the other clips."""
    vectors = sample.candidates.embeddings[person.used]
    clip = sample.candidates.clip[person.used]
    for one in np.unique(clip) if person.supporting > 1 else ():
        mean = vectors[clip != one].mean(axis=0)
        yield vectors[clip == one] @ (mean / np.linalg.norm(mean))


def _strangers(
    store: Store, sure: list[tuple[Sample, Identity]], alike_at: float
) -> tuple[Numbers, list[str]]:
    """Cosines of speakers' faces to the references of others, and who was left out as one person, in words."""
    rng = np.random.default_rng(_SEED)
    if len(sure) > _MOST_SPEAKERS:
        sure = [sure[at] for at in np.sort(rng.choice(len(sure), _MOST_SPEAKERS, replace=False))]
    raw = dict(
        store.manifest().select("speaker_id", "speaker_raw").drop_nulls().unique("speaker_id").iter_rows()
    )
    names = np.array([raw.get(sample.speaker, sample.speaker) for sample, _ in sure])
    faces = np.concatenate([sample.candidates.embeddings[person.used] for sample, person in sure])
    of = np.repeat(np.arange(len(sure)), [len(person.used) for _, person in sure])
    if len(faces) > _MOST_FACES:
        chosen = np.sort(rng.choice(len(faces), _MOST_FACES, replace=False))
        faces, of = faces[chosen], of[chosen]
    references = np.stack([person.reference for _, person in sure])
    named_so = names[:, None] == names
    look_so = ~named_so & (references @ references.T >= alike_at)
    pairs = [
        f"{sure[one][0].speaker} and {sure[other][0].speaker}" for one, other in np.argwhere(np.triu(look_so))
    ]
    strangers: Numbers = (faces @ references.T)[~(named_so | look_so)[of]]
    return strangers, pairs


def text_pairs(store: Store, transcript_view: str, text_view: str, encoder: Extractor) -> Pairs:
    """Cosines of transcripts to their own text, and to other texts.

    Args:
        store: the store.
        transcript_view: view of transcripts.
        text_view: view of the texts' vectors.
        encoder: the loaded extractor that gave them.
    """
    from extractors.protocol import Item  # what an extractor reads

    rows = _heard(store, transcript_view)
    vectors = live_values(store, text_view, [name for name, _, _ in rows])
    rows = [row for row in rows if row[0] in vectors]
    items = [Item(name, heard) for name, heard, _ in rows]
    size = encoder.settings.batch_size
    spoken: list[Numbers | None] = []
    for begin in range(0, len(items), size):
        for outcome in encoder.extract(items[begin : begin + size]):
            spoken.append(None if isinstance(outcome, Fault) else outcome["text"].value)
    there = [(vector, row) for vector, row in zip(spoken, rows, strict=True) if vector is not None]
    if not there:
        return Pairs(np.empty(0), np.empty(0), "no utterance has both a transcript and a text")
    one = _unit(np.stack([vector for vector, _ in there]))
    other = _unit(np.stack([vectors[name] for _, (name, _, _) in there]))
    cosine = one @ other.T
    written = np.array([text for _, (_, _, text) in there])
    return Pairs(np.diag(cosine).copy(), cosine[written[:, None] != written])


def spelling_pairs(store: Store, transcript_view: str) -> Pairs:
    """Levenshtein similarities of transcripts to their own text, and to other texts.

    Args:
        store: the store.
        transcript_view: view of transcripts.
    """
    from extractors.quality.alignment import levenshtein  # loads the text encoder's module

    rows = _heard(store, transcript_view)
    own = [levenshtein(heard, written) for _, heard, written in rows]
    others = [
        levenshtein(heard, rows[(at + step) % len(rows)][2])
        for step in range(1, min(_OTHERS, len(rows)))
        for at, (_, heard, written) in enumerate(rows)
        if rows[(at + step) % len(rows)][2] != written
    ]
    return Pairs(np.array(own), np.array(others))


def _heard(store: Store, view: str) -> list[tuple[str, str, str]]:
    """(utterance id, words heard, words written) where there are both; a fixed sample."""
    rows = live_rows(store, view, columns=["text"]).select("utterance_id", heard="text")
    rows = rows.join(
        store.manifest().select("utterance_id", "text"), on="utterance_id", maintain_order="left"
    )
    rows = rows.filter(pl.all_horizontal(pl.col("heard", "text").str.strip_chars() != ""))
    if rows.height > _MOST_TEXTS:
        rows = rows.sample(_MOST_TEXTS, seed=_SEED)
    return list(rows.iter_rows())


def _unit(vectors: Numbers) -> Numbers:
    wide = vectors.astype(np.float64)
    unit: Numbers = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit
