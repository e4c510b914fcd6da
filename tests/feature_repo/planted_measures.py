"""A store whose measures are planted: what each utterance's records say is written down, nothing is computed."""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from feature_repo.fill import fill
from feature_repo.measures import Measures
from feature_repo.outcome import Fault, Features, Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store

LEVEL = Recipe("level", "planted", 1, "text", "record", 0, columns={"peak_db": "float"})
TRANSCRIPT = Recipe("transcript", "planted", 1, "text", "record", 0, columns={"text": "text"})
FACES = Recipe("faces", "onnxface", 1, "text", "steps", 4, columns={"score": "step"})
OFFSETS = Recipe("offsets", "onnxface", 1, "text", "steps", 4, columns={"score": "step"})
REFERENCE = Recipe(
    "reference",
    "onnxface",
    1,
    "speaker",
    "pooled",
    4,
    settings={"clips": 3},
    inputs=(FACES.fingerprint,),
    columns={"clips": "int"},
    entity="speaker",
)
_MATCH = {
    "frames": "int",
    "faces": "int",
    "reference": "int",
    "similarity": "float",
    "similarities": "floats",
}
MATCH = Recipe(
    "match",
    "onnxface",
    1,
    "rows",
    "record",
    0,
    inputs=(FACES.fingerprint, REFERENCE.fingerprint),
    columns=_MATCH,
)
OFFSETMATCH = Recipe(
    "offsetmatch",
    "onnxface",
    1,
    "rows",
    "record",
    0,
    inputs=(OFFSETS.fingerprint, REFERENCE.fingerprint),
    columns=_MATCH,
)
ALIGNMENT = Recipe(
    "alignment",
    "planted",
    1,
    "rows",
    "record",
    0,
    inputs=(TRANSCRIPT.fingerprint,),
    manifest_columns=("text",),
    columns={"cosine": "float", "levenshtein": "float"},
)
RECIPES = (LEVEL, TRANSCRIPT, FACES, OFFSETS, REFERENCE, MATCH, OFFSETMATCH, ALIGNMENT)
MODELS = {
    "onnxface": "/somewhere/MobileFaceNet.onnx",
    "planted": "sentence-transformers/all-mpnet-base-v2",
}
# An utterance at which nothing is wrong.
GOOD: dict[str, Any] = {
    "level": {"peak_db": -6.0},
    "transcript": {"text": "what was heard"},
    "match": {"frames": 3, "faces": 2, "reference": 1, "similarity": 0.8, "similarities": [0.8, 0.1]},
    "offsetmatch": None,
    "alignment": {"cosine": 0.9, "levenshtein": 0.8},
}
_TYPES = {"float": pl.Float32, "int": pl.Int64, "text": pl.String, "floats": pl.List(pl.Float32)}


def good(**changes: Any) -> dict[str, Any]:
    """What is planted for one utterance: the good one with other records; within a record only what is named changes.

    A record may be a state (``"missing"``, ``"faulted"``, ``"inapplicable"``), or a nothing with its columns.
    """
    planted = {slot: dict(record) if record else record for slot, record in GOOD.items()}
    for slot, change in changes.items():
        known = planted.get(slot)
        planted[slot] = (
            {**known, **change} if isinstance(change, dict) and isinstance(known, dict) else change
        )
    return planted


def measures(planted: Mapping[str, Mapping[str, Any]], without: Sequence[str] = ()) -> Measures:
    """The frame that ``read_measures`` would give of these utterances, made by hand.

    Args:
        planted: utterance id to what :func:`good` gives, and to columns of the manifest and ``review``.
        without: slots that the profile lacks.
    """
    rows: dict[str, list[Any]] = {}

    def put(name: str, value: Any) -> None:
        rows.setdefault(name, []).append(value)

    for utterance_id, one in planted.items():
        put("utterance_id", utterance_id)
        put("corpus", one.get("corpus", utterance_id.partition("/")[0]))
        for name, default in (
            ("split", "train"),
            ("speaker_id", "c/ann"),
            ("speaker_raw", "Ann"),
            ("emotion", "joy"),
            ("text", "what was said"),
            ("review", None),
        ):
            put(name, one.get(name, default))
        for recipe in (LEVEL, TRANSCRIPT, MATCH, OFFSETMATCH, ALIGNMENT):
            slot = recipe.slot
            if slot in without:
                continue
            record = one[slot]
            record = "missing" if record is None else record
            state = record if isinstance(record, str) else record.get("state", "present")
            put(f"{slot}_state", state)
            put(f"{slot}_note", None if isinstance(record, str) else record.get("note"))
            for column in recipe.columns:
                put(f"{slot}_{column}", None if isinstance(record, str) else record.get(column))
    schema: dict[str, Any] = {
        f"{recipe.slot}_{name}": _TYPES[kind]
        for recipe in RECIPES
        for name, kind in recipe.columns.items()
        if kind in _TYPES
    }
    texts = {name: pl.String for name in rows if name not in schema}
    return Measures(
        pl.DataFrame(rows, schema={name: schema.get(name) or texts[name] for name in rows}),
        {},
        embedder="facenet512",
        encoder="all-mpnet-base-v2",
    )


class PlantedStore:
    """A store with one corpus or several whose records are the planted ones.

    Args:
        folder: where.
        planted: utterance id to what :func:`good` gives, and columns of the manifest.
        recipes: views that exist; all by default.
    """

    def __init__(
        self, folder: Path, planted: Mapping[str, Mapping[str, Any]], recipes: Sequence[Recipe] = RECIPES
    ) -> None:
        self.store: Store = init_store(str(folder / "store"), cache=str(folder / "cache"))
        self.planted = dict(planted)
        self.recipes = recipes
        self.write_manifest()
        self.fill()
        self.store.catalog.set("default", {recipe.slot: recipe.view for recipe in recipes})

    def write_manifest(self) -> None:
        """Write what is planted of the manifest; texts differ by utterance."""
        rows = pl.DataFrame(
            [
                {
                    "utterance_id": name,
                    "corpus": name.partition("/")[0],
                    "split": one.get("split", "train"),
                    "speaker_id": one.get("speaker_id", "c/ann"),
                    "speaker_raw": one.get("speaker_raw", "Ann"),
                    "label_raw": one.get("emotion", "joy"),
                    "emotion": one.get("emotion", "joy"),
                    "text": one.get("text", f"what was said in {name}"),
                }
                for name, one in self.planted.items()
            ],
            infer_schema_length=None,
        )
        for (corpus,), of_corpus in rows.group_by("corpus"):
            self.store.write_manifest(str(corpus), of_corpus)

    def fill(self) -> None:
        """Store every planted record whose content is not stored yet, inputs first."""
        for recipe in self.recipes:
            fill(
                self.store,
                [recipe],
                self._compute,
                ids=[name for name in self.planted if self._of(recipe, name) not in (None, "missing")]
                if recipe.entity == "utterance"
                else None,
                provenance={recipe.view: {"model": MODELS[recipe.extractor]}},
            )

    def _compute(
        self, missing: Mapping[str, Sequence[str]]
    ) -> Generator[tuple[str, str, Outcome], None, None]:
        recipes = {recipe.view: recipe for recipe in self.recipes}
        for view, ids in missing.items():
            for name in ids:
                yield view, name, self._outcome(recipes[view], name)

    def _outcome(self, recipe: Recipe, name: str) -> Outcome:
        if recipe.entity == "speaker":
            return Features(np.full(4, 0.5, np.float32), columns={"clips": 1})
        record = self._of(recipe, name)
        assert record is not None
        if record == "faulted":
            return Fault("decode", "ValueError", f"{name} can't be decoded")
        if recipe.layout == "steps":
            return Features(np.full((1, 4), 0.5, np.float32), columns={"score": [0.9]})
        columns = {key: value for key, value in record.items() if key in recipe.columns}
        return Features(None, record.get("note", ""), columns)

    def _of(self, recipe: Recipe, name: str) -> Any:
        """What is planted for the recipe; faces are there where a match is, unless something else is said of them."""
        one = self.planted[name]
        if recipe.layout == "steps":
            return one.get(
                recipe.modality, one[{"faces": "match", "offsets": "offsetmatch"}[recipe.modality]]
            )
        return one[recipe.slot]
