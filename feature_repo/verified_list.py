"""Lists of verified ids in a file: to evaluate on another's subset, or to tell others one's own with its thresholds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.named_tables import now
from feature_repo.named_verdicts import NamedVerdict

if TYPE_CHECKING:
    from feature_repo.store import Store

FORMAT = "affectstore.verified/1"
NOT_LISTED = "not_listed"  # the reason of an utterance that a list of verified ids does not name
_SHOWN = 3  # ids named in an error
_FIELDS = {"format", "name", "created", "thresholds", "checks", "views", "verified", "removed"}
_REQUIRED = {"format", "verified"}


@dataclass(frozen=True)
class ImportedList:
    """A list that was read, and what of it the store does not know.

    Attributes:
        verdict: the list as a verdict, not saved yet.
        unknown: ids of the list that no manifest has, sorted; they are not in the verdict.
    """

    verdict: NamedVerdict
    unknown: tuple[str, ...]


def export_list(verdict: NamedVerdict) -> str:
    """The verdict as JSON text: verified ids, removed ids by reason, thresholds, checks, views, date."""
    removed = verdict.rows.filter(~pl.col("passed")).with_columns(pl.col("reason").fill_null(NOT_LISTED))
    by_reason = {
        str(reason): rows["utterance_id"].sort().to_list()
        for (reason,), rows in removed.sort("reason").group_by("reason", maintain_order=True)
    }
    data = {
        "format": FORMAT,
        "name": verdict.name,
        "created": verdict.created,
        "thresholds": {
            key: {"value": told["value"], "source": told["source"]}
            for key, told in sorted(verdict.thresholds.items())
        },
        "checks": {corpus: list(checks) for corpus, checks in sorted(verdict.checks.items())},
        "views": dict(sorted(verdict.views.items())),
        "verified": verdict.ids,
        "removed": by_reason,
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def import_list(store: Store, path: Path, name: str | None = None) -> ImportedList:
    """Read a list that :func:`export_list` wrote, or plain text with one id a line (``#`` begins a comment).

    Args:
        store: whose manifests know the ids.
        path: the file; JSON begins with a brace.
        name: the verdict's; by default the one in the file.

    Raises:
        BadInputError: an unreadable file, one of another format, an id twice, no known id, or no name.
        UnknownNameError: a field that the format does not have.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"cannot read {path}: {error}") from error
    is_json = text.lstrip().startswith("{")
    data: dict[str, Any] = _parsed(text, path) if is_json else {"verified": _lines(text)}
    verified: list[str] = data["verified"]
    removed: dict[str, list[str]] = data.get("removed", {})
    rows = pl.DataFrame(
        [
            *((utterance_id, True, None) for utterance_id in verified),
            *((utterance_id, False, reason) for reason, ids in removed.items() for utterance_id in ids),
        ],
        schema={"utterance_id": pl.String, "passed": pl.Boolean, "reason": pl.String},
        orient="row",
    )
    twice = rows.filter(pl.col("utterance_id").is_duplicated())["utterance_id"].unique().sort().to_list()
    if twice:
        raise BadInputError(f"{path} names ids more than once: {_shown(twice)}")
    manifest = store.manifest().select("utterance_id", "corpus")
    unknown = rows.join(manifest, on="utterance_id", how="anti")["utterance_id"].sort().to_list()
    known = rows.join(manifest, on="utterance_id", how="semi")
    if not known.height:
        raise BadInputError(
            f"{path}: no manifest has any of its {rows.height:,} ids ({_shown(unknown)}); ids look like "
            f"{_shown(manifest['utterance_id'].head(2).to_list())}"
        )
    given = name or data.get("name")
    if not given:
        raise BadInputError(f"{path} has no name for the verdict; give one with --name")
    # What a list does not speak of did not pass, as far as the corpora go that it speaks of.
    corpora = manifest.join(known, on="utterance_id", how="semi")["corpus"].unique()
    others = manifest.filter(pl.col("corpus").is_in(corpora.implode())).join(
        known, on="utterance_id", how="anti"
    )
    silent = others.select("utterance_id", passed=pl.lit(False), reason=pl.lit(NOT_LISTED))
    verdict = NamedVerdict(
        str(given),
        pl.concat([known, silent]).sort("utterance_id"),
        thresholds=data.get("thresholds", {}),
        checks=data.get("checks", {}),
        views=data.get("views", {}),
        origin=f"imported from {path.name}",
        created=data.get("created") or now(),
    )
    return ImportedList(verdict, tuple(unknown))


def _lines(text: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise BadInputError(f"{path} is no JSON: {error}") from error
    for field in data:
        if field not in _FIELDS:
            raise UnknownNameError(f"field of {path}", field, _FIELDS)
    for field in sorted(_REQUIRED - set(data)):
        raise BadInputError(f"{path} has no field {field!r}")
    if data["format"] != FORMAT:
        raise BadInputError(f"{path} has the format {data['format']!r}; allowed: {FORMAT}")
    _check(_texts(data["verified"]), path, "verified", "a list of ids")
    _check(_lists(data.get("removed", {})), path, "removed", "reasons, each with a list of ids")
    _check(_lists(data.get("checks", {})), path, "checks", "corpora, each with a list of checks")
    _check(_named(data.get("views", {}), str), path, "views", "slots, each with a view")
    told = data.get("thresholds", {})
    good = isinstance(told, dict) and all(
        isinstance(one, dict)
        and set(one) == {"value", "source"}
        and isinstance(one["value"], int | float)
        and isinstance(one["source"], str)
        for one in told.values()
    )
    _check(good, path, "thresholds", 'keys, each with {"value": number, "source": text}')
    for field in ("name", "created"):
        _check(isinstance(data.get(field, ""), str), path, field, "a text")
    return data


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _lists(value: Any) -> bool:
    return isinstance(value, dict) and all(_texts(one) for one in value.values())


def _named(value: Any, kind: type) -> bool:
    return isinstance(value, dict) and all(isinstance(one, kind) for one in value.values())


def _check(good: bool, path: Path, field: str, allowed: str) -> None:
    if not good:
        raise BadInputError(f"{path}: field {field!r} is not what it must be; allowed: {allowed}")


def _shown(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return ", ".join(repr(name) for name in ids[:_SHOWN]) + more
