"""A recipe: the plain data that identifies one embedding space, and its fingerprint."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from feature_repo.errors import BadInputError

Reads = Literal["text", "media", "rows", "speaker", "id"]
Layout = Literal["pooled", "steps", "record"]
StoredDtype = Literal["float32", "float16", "int16"]
Entity = Literal["utterance", "speaker"]
# ``step`` is one float32 for each step of a sequence; the others are one value, or one list of any length, a row.
ColumnType = Literal["float", "int", "text", "floats", "texts", "step"]

# No underscore: `<modality>_<extractor>_<fp8>` must split into its three parts again.
_NAME = re.compile(r"[a-z][a-z0-9]*")
_COLUMN = re.compile(r"[a-z][a-z0-9_]*")
# What a table, or a frame read from one, says itself of each row.
_TAKEN = ("utterance_id", "speaker_id", "corpus", "content_key", "note", "state", "n", "steps", "part", "row")


def canonical_json(data: object) -> str:
    """JSON that depends on the data alone: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(data: object) -> str:
    """SHA-256 of :func:`canonical_json` as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(data).encode("ascii")).hexdigest()


def identity_settings(settings: Any) -> dict[str, Any]:
    """The fields of a settings dataclass that change an extractor's output and differ from their default.

    A field declared with ``field(metadata={"identity": False})`` (a path, a batch size) never enters.

    Args:
        settings: an instance of a frozen dataclass whose values are JSON data.
    """
    kept = {}
    for item in dataclasses.fields(settings):
        if not item.metadata.get("identity", True):
            continue
        value = getattr(settings, item.name)
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        if isinstance(default, float) and isinstance(value, int):
            value = float(value)  # 1 and 1.0 are one number, and their JSON differs
        if default is dataclasses.MISSING or value != default:
            kept[item.name] = value
    return kept


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the numbers of one feature table (DESIGN section 2).

    Fields at their default are left out of the fingerprint, and a default never changes, so a new field with a
    default moves no existing key. The name and place of a model are provenance: its weights' digest is identity.

    Attributes:
        modality: ``text``, ``speaker``, ``speech``, ``face``, ``audio``; names the columns.
        extractor: registered name of what computes it.
        code_version: raised whenever the extractor's numbers change.
        reads: what a row's content key hashes: the utterance's text, its media and span, its rows of ``inputs``, or
            the rows of a speaker's clips in the one input, or, for what was imported, the utterance's id alone.
        layout: ``pooled`` is one vector a row, ``steps`` a sequence of vectors, ``record`` columns alone.
        width: numbers per vector or step; 0 for a record.
        dtype: stored number type.
        weights: digest of the model's weights, empty for a model without weights.
        compute_dtype: number type that the model computes in.
        languages: ISO 639-1 codes of the languages that the model knows; empty for any.
        settings: further settings that change the output, those at their default left out.
        inputs: fingerprints of the recipes whose rows are read, for ``reads`` of ``rows`` and ``speaker``.
        manifest_columns: columns of the manifest that a derived row reads too.
        columns: name to type of what a row holds beside its vectors: a face's box, a transcript's words.
        entity: what a row is about: an utterance, or a person.

    Raises:
        BadInputError: a name, width or setting that no table could carry.
    """

    modality: str
    extractor: str
    code_version: int
    reads: Reads
    layout: Layout
    width: int
    dtype: StoredDtype = "float32"
    weights: str = ""
    compute_dtype: str = "float32"
    languages: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    manifest_columns: tuple[str, ...] = ()
    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    entity: Entity = "utterance"

    def __post_init__(self) -> None:
        for what in ("modality", "extractor"):
            if not _NAME.fullmatch(getattr(self, what)):
                raise BadInputError(
                    f"recipe {what} {getattr(self, what)!r}: a lower-case letter, then lower-case letters and digits"
                )
        for what, kind in (("reads", Reads), ("layout", Layout), ("dtype", StoredDtype), ("entity", Entity)):
            if getattr(self, what) not in get_args(kind):
                raise BadInputError(
                    f"recipe {what} {getattr(self, what)!r}; allowed: {', '.join(get_args(kind))}"
                )
        record = self.layout == "record"
        if self.width < 0 or (self.width == 0) != record:
            raise BadInputError(f"recipe width {self.width}: must be at least 1, and 0 for a record")
        if record and not self.columns:
            raise BadInputError("a record is its columns, and there is none")
        for name, column in self.columns.items():
            if not _COLUMN.fullmatch(name) or column not in get_args(ColumnType):
                raise BadInputError(
                    f"recipe column {name!r} of type {column!r}; allowed types: {', '.join(get_args(ColumnType))}"
                )
            if name in _TAKEN:
                raise BadInputError(f"recipe column {name!r}: every table has something of that name")
            if column == "step" and self.layout != "steps":
                raise BadInputError(f"recipe column {name!r}: only a sequence has steps")
        if (self.reads in ("rows", "speaker")) != bool(self.inputs):
            raise BadInputError("a recipe has inputs exactly when it reads rows")
        if (self.reads == "speaker") != (self.entity == "speaker"):
            raise BadInputError(
                "a row is about a speaker exactly when it reads the rows of a speaker's clips"
            )
        if self.reads == "speaker" and len(self.inputs) != 1:
            raise BadInputError("a speaker's row reads the clips' rows of one input")
        if self.reads == "id" and not self.settings.get("corpora"):
            raise BadInputError("a recipe that reads ids alone names the corpora that it is about")
        # A set in all but name: its order says nothing.
        object.__setattr__(self, "languages", tuple(sorted(set(self.languages))))
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "manifest_columns", tuple(self.manifest_columns))
        # Sorted as in the file that it is read back from: a part's schema follows this order.
        object.__setattr__(self, "columns", dict(sorted(self.columns.items())))
        try:
            # Through JSON once, so that a recipe read back from a file equals the one that was written.
            object.__setattr__(self, "settings", json.loads(canonical_json(dict(self.settings))))
        except (TypeError, ValueError) as error:
            raise BadInputError(
                f"recipe settings of {self.extractor!r} are not plain JSON data: {error}"
            ) from error

    def identity(self) -> dict[str, Any]:
        """The data that the fingerprint hashes: every field that differs from its default."""
        kept: dict[str, Any] = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.default is not dataclasses.MISSING and value == item.default:
                continue
            if item.default_factory is not dataclasses.MISSING and value == item.default_factory():
                continue
            kept[item.name] = list(value) if isinstance(value, tuple) else value
        return kept

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the identity as 64 hexadecimal digits: the key of this embedding space."""
        return digest(self.identity())

    @property
    def view(self) -> str:
        """Name of the feature table and Feast view: ``<modality>_<extractor>_<fp8>``."""
        return f"{self.modality}_{self.extractor}_{self.fingerprint[:8]}"

    @property
    def slot(self) -> str:
        """What ``pull`` and the table's value column call it: ``text``, and ``text_steps`` as a sequence."""
        return f"{self.modality}_steps" if self.layout == "steps" else self.modality

    @classmethod
    def from_identity(cls, data: Mapping[str, Any]) -> "Recipe":
        """The recipe that :meth:`identity` described.

        Raises:
            BadInputError: a key that this version does not know, or one that is missing.
        """
        known = {item.name for item in dataclasses.fields(cls)}
        unknown = sorted(set(data) - known)
        if unknown:
            raise BadInputError(
                f"recipe has unknown field {unknown[0]!r}; allowed: {', '.join(sorted(known))}"
            )
        try:
            return cls(**data)
        except TypeError as error:
            raise BadInputError(f"recipe is incomplete: {error}") from error
