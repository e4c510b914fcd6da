"""The thresholds of quality control, one place for all: per face embedder and text encoder, with where each is from.

The packaged ``quality.toml`` is overlaid by the store's own, by a file and by single values, in this order.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from feature_repo.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from feature_repo.store import Store

QUALITY_CONFIG = "quality.toml"
# In the paper's order (papers/000 III-D): whose utterance it is, a person's look at it, sound, words, face.
CHECKS = ("speaker", "review", "audio", "transcript", "alignment", "face")
Space = Literal["face", "text"]
# What a threshold may be, both ends included: cosines, a similarity, decibels relative to full scale.
_RANGES = {
    "similarity": (-1.0, 1.0),
    "cosine": (-1.0, 1.0),
    "levenshtein": (0.0, 1.0),
    "peak_db": (-120.0, 0.0),
}
_SPACES: Mapping[str, str] = {"face": "similarity", "text": "cosine"}
_SINGLE: Mapping[str, str] = {"alignment": "levenshtein", "audio": "peak_db"}
_TABLES = (*_SPACES, *_SINGLE, "checks")
# Extractors that are one model whatever its file is called; of others the model's own name says which space it is.
_NAMED_BY_EXTRACTOR = ("facenet512",)
_WEIGHTS = re.compile(r"\.(onnx|h5|pt|pth|tflite|bin|safetensors)$")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class NoThresholdError(UnknownNameError):
    """A face embedder or text encoder that nobody has given a threshold."""

    def __init__(self, space: Space, name: str, known: Sequence[str]) -> None:
        what = "face embedder" if space == "face" else "text encoder"
        super().__init__(what, name, known)
        key = _SPACES[space]
        self.args = (
            f"no {key} threshold is known for the {what} {name!r}; known: {', '.join(self.allowed) or 'none'}. "
            f"`affectstore calibrate` reads one off genuine and impostor pairs; or give {space}.{name}.{key}=NUMBER",
        )


@dataclass(frozen=True)
class Threshold:
    """A number from which a measure passes, and where it is from."""

    value: float
    source: str


@dataclass(frozen=True)
class QualityConfig:
    """Thresholds and the checks that they serve.

    Attributes:
        faces: face embedder to the least cosine to the speaker's reference.
        texts: text encoder to the least cosine of transcript and text.
        levenshtein_threshold: least normalised Levenshtein similarity of transcript and text.
        peak_threshold: least peak of the sound, dB relative to full scale.
        default_checks: checks of a corpus that is not named.
        corpus_checks: corpus to its checks.
    """

    faces: Mapping[str, Threshold]
    texts: Mapping[str, Threshold]
    levenshtein_threshold: Threshold
    peak_threshold: Threshold
    default_checks: tuple[str, ...]
    corpus_checks: Mapping[str, tuple[str, ...]]

    @property
    def levenshtein(self) -> float:
        """Least normalised Levenshtein similarity of transcript and text."""
        return self.levenshtein_threshold.value

    @property
    def peak_db(self) -> float:
        """Least peak of the sound, dB relative to full scale."""
        return self.peak_threshold.value

    def face_similarity(self, embedder: str) -> float:
        """Least cosine to the speaker's reference in this embedder's space.

        Raises:
            NoThresholdError: an embedder without a threshold; it names ``affectstore calibrate``.
        """
        return self._of("face", embedder).value

    def text_cosine(self, encoder: str) -> float:
        """Least cosine of transcript and text in this encoder's space.

        Raises:
            NoThresholdError: an encoder without a threshold; it names ``affectstore calibrate``.
        """
        return self._of("text", encoder).value

    def checks(self, corpus: str) -> tuple[str, ...]:
        """The checks that decide in this corpus, in the paper's order."""
        return self.corpus_checks.get(corpus, self.default_checks)

    def with_checks(self, checks: Sequence[str]) -> QualityConfig:
        """The same thresholds with these checks for every corpus.

        Raises:
            UnknownNameError: no such check.
        """
        chosen = _checks(list(checks), "--checks", "checks")
        return QualityConfig(
            self.faces, self.texts, self.levenshtein_threshold, self.peak_threshold, chosen, {}
        )

    def thresholds(self, embedder: str | None, encoder: str | None) -> dict[str, Threshold]:
        """The thresholds that hold in these two spaces, by key, such as ``face.MobileFaceNet.similarity``.

        Spaces that are None, or without a threshold, are left out.
        """
        found = {}
        if embedder in self.faces:
            found[f"face.{embedder}.similarity"] = self.faces[str(embedder)]
        if encoder in self.texts:
            found[f"text.{encoder}.cosine"] = self.texts[str(encoder)]
        found["alignment.levenshtein"] = self.levenshtein_threshold
        found["audio.peak_db"] = self.peak_threshold
        return found

    def _of(self, space: Space, name: str) -> Threshold:
        known = self.faces if space == "face" else self.texts
        if name not in known:
            raise NoThresholdError(space, name, list(known))
        return known[name]


def load_quality_config(
    store: Store | None = None, file: Path | str | None = None, overrides: Sequence[str] = ()
) -> QualityConfig:
    """The packaged thresholds, overlaid by the store's ``quality.toml``, a file and ``KEY=VALUE`` texts.

    A key is a table, a name and a field: ``face.MobileFaceNet.similarity=0.4``, ``alignment.levenshtein=0.2``,
    ``checks.default=speaker,face``, ``checks.corpora.meld=face``.

    Args:
        store: whose own file is read, if it has one.
        file: another file in the same form.
        overrides: single values.

    Raises:
        UnknownNameError: a table, key or check that does not exist.
        BadInputError: a file that is no TOML or not there, or a value of the wrong type or out of range.
    """
    packaged = resources.files("feature_repo").joinpath(QUALITY_CONFIG).read_text(encoding="utf-8")
    merged: dict[str, Any] = {}
    _overlay(merged, _parse(packaged, "the packaged quality.toml"), "the packaged quality.toml")
    if store is not None:
        name = store.files.url(QUALITY_CONFIG)
        _overlay(merged, _parse(_stored(store), name), name)
    if file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(f"cannot read {file}: {error}") from error
        _overlay(merged, _parse(text, str(file)), str(file))
    for override in overrides:
        _overlay(merged, _override(override), "--set")
    return QualityConfig(
        faces={name: fields["similarity"] for name, fields in merged["face"].items()},
        texts={name: fields["cosine"] for name, fields in merged["text"].items()},
        levenshtein_threshold=merged["alignment"]["levenshtein"],
        peak_threshold=merged["audio"]["peak_db"],
        default_checks=merged["checks"]["default"],
        corpus_checks=merged["checks"]["corpora"],
    )


def space_name(store: Store, view: str) -> str:
    """The space of a view: its model's name without folders, revision and suffix, else its extractor's.

    Raises:
        UnknownNameError: no such view.
    """
    extractor = store.recipe(view).extractor
    model = store.provenance(view).get("model", "")
    if extractor in _NAMED_BY_EXTRACTOR or not model:
        return extractor
    return _WEIGHTS.sub("", model.rstrip("/").rsplit("/", 1)[-1].removeprefix("wheel:").partition("@")[0])


def write_threshold(store: Store, kind: Space, name: str, value: float, source: str) -> None:
    """Put one threshold into the store's ``quality.toml``; what else is in it stays.

    Args:
        store: the store.
        kind: ``face`` or ``text``.
        name: of the embedder or encoder, as :func:`space_name` gives it.
        value: the threshold.
        source: where it is from, in words.

    Raises:
        UnknownNameError: another kind.
        BadInputError: a value out of range, or a file that holds the threshold in a form that can't be replaced.
        StoreWriteError: the write failed; the file is as it was.
    """
    if kind not in _SPACES:
        raise UnknownNameError("kind of threshold", kind, _SPACES)
    key, path = _SPACES[kind], store.files.url(QUALITY_CONFIG)
    _number(value, key, path, f"{kind}.{name}.{key}")
    table = f"[{kind}.{name if _BARE_KEY.fullmatch(name) else json.dumps(name)}]"
    block = f"{table}\n{key} = {float(value)!r}\nsource = {json.dumps(source, ensure_ascii=False)}\n"
    with store.files.lock("quality-config"):
        before = _stored(store)
        _parse(before, path)
        text = _without_table(before, kind, name)
        text = f"{text.rstrip()}\n\n{block}" if text.strip() else block
        try:
            _overlay({}, tomllib.loads(text), path)
        except tomllib.TOMLDecodeError as error:
            raise BadInputError(
                f"{path} holds {kind}.{name} in a form that can't be replaced ({error}); write it as {table}"
            ) from error
        store.files.write(QUALITY_CONFIG, text.encode())


def _stored(store: Store) -> str:
    try:
        return store.files.read(QUALITY_CONFIG).decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise BadInputError(f"{store.files.url(QUALITY_CONFIG)} is not UTF-8: {error}") from error


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{file} is not TOML: {error}") from error


def _without_table(text: str, kind: str, name: str) -> str:
    """The text without the table ``[kind.name]``, however its header is quoted."""
    kept, inside = [], False
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            try:
                inside = tomllib.loads(line) == {kind: {name: {}}}
            except tomllib.TOMLDecodeError:
                inside = False  # a line of an array, or whatever else is no header
        if not inside:
            kept.append(line)
    return "\n".join(kept)


def _override(text: str) -> dict[str, Any]:
    """``a.b.c=value`` as the table that a file would hold; what is between the first and last dot is one name."""
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or len(parts) < 2:
        raise BadInputError(
            f"--set {text!r}: write KEY=VALUE, such as face.facenet512.similarity=0.4 or alignment.levenshtein=0.2"
        )
    names = [parts[0], *([".".join(parts[1:-1])] if len(parts) > 2 else []), parts[-1]]
    if parts[0] == "checks":
        names = [*parts[:2], *([".".join(parts[2:])] if len(parts) > 2 else [])]
    found: Any = value.strip()
    if parts[0] == "checks":
        found = [name.strip() for name in value.split(",") if name.strip()]
    elif names[-1] != "source":
        try:
            found = float(found)
        except ValueError:
            raise BadInputError(f"--set {key.strip()}: {found!r} is not a number") from None
    for name in reversed(names):
        found = {name: found}
    return dict(found)


def _overlay(merged: dict[str, Any], given: Mapping[str, Any], file: str) -> None:
    """Put one file's tables over those that are there, each value checked on its way."""
    for table, fields in given.items():
        if table not in _TABLES:
            raise UnknownNameError(f"table in {file}", table, _TABLES)
        _is_table(fields, file, table)
        below = merged.setdefault(table, {})
        if table in _SPACES:
            for name, values in fields.items():
                _is_table(values, file, f"{table}.{name}")
                _put(below.setdefault(name, {}), _SPACES[table], values, file, f"{table}.{name}")
        elif table in _SINGLE:
            _put(below, _SINGLE[table], fields, file, table)
        else:
            _put_checks(below, fields, file)


def _put(into: dict[str, Any], key: str, values: Mapping[str, Any], file: str, where: str) -> None:
    for name in values:
        if name not in (key, "source"):
            raise UnknownNameError(f"key of {where} in {file}", name, (key, "source"))
    if key not in values:
        raise BadInputError(f"{file}: {where} has no {key}")
    source = values.get("source", f"set in {file}" if file != "--set" else "--set")
    if not isinstance(source, str):
        raise BadInputError(
            f"{file}: {where}.source is {source!r}; allowed: a text that says where it is from"
        )
    into[key] = Threshold(_number(values[key], key, file, f"{where}.{key}"), source)


def _put_checks(into: dict[str, Any], fields: Mapping[str, Any], file: str) -> None:
    for name, value in fields.items():
        if name == "default":
            into["default"] = _checks(value, file, "checks.default")
        elif name == "corpora":
            _is_table(value, file, "checks.corpora")
            of_corpora = into.setdefault("corpora", {})
            for corpus, listed in value.items():
                of_corpora[corpus] = _checks(listed, file, f"checks.corpora.{corpus}")
        else:
            raise UnknownNameError(f"key of checks in {file}", name, ("default", "corpora"))


def _checks(value: Any, file: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadInputError(f"{file}: {where} is {value!r}; allowed: a list of {', '.join(CHECKS)}")
    for name in value:
        if name not in CHECKS:
            raise UnknownNameError(f"check of {where} in {file}", str(name), CHECKS)
    return tuple(name for name in CHECKS if name in value)


def _is_table(value: Any, file: str, where: str) -> None:
    if not isinstance(value, Mapping):
        raise BadInputError(f"{file}: {where} is {value!r}; allowed: a table [{where}]")


def _number(value: Any, key: str, file: str, where: str) -> float:
    least, most = _RANGES[key]
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not least <= value <= most:
        raise BadInputError(f"{file}: {where} is {value!r}; allowed: a number from {least:g} to {most:g}")
    return float(value)
