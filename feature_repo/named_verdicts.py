"""Named verdicts: which utterances passed, kept under a name with the thresholds and views that decided it."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from feature_repo.files import FileLayer
from feature_repo.named_tables import NamedTables, now
from feature_repo.recipe import digest

if TYPE_CHECKING:
    from feature_repo.measures import Measures
    from feature_repo.quality_config import QualityConfig
    from feature_repo.store import Store

VERDICTS = "quality/verdicts"
_SCHEMA: dict[str, type[pl.DataType]] = {"utterance_id": pl.String, "passed": pl.Boolean, "reason": pl.String}
# What of the manifest decides: who speaks, what, where. A new label changes no verdict.
_JUDGED = ("utterance_id", "speaker_id", "speaker_raw", "text_key", "media_key", "picture")


class StaleVerdictWarning(UserWarning):
    """A named verdict was judged from other rows than the store holds now."""


@dataclass(frozen=True)
class NamedVerdict:
    """A verdict as it was on one day.

    Attributes:
        name: letters, digits, ``_``, ``-`` and ``.``.
        rows: ``utterance_id, passed, reason`` (a code of ``verdict.REASONS``, null where it passed), sorted by id.
        thresholds: key, such as ``face.facenet512.similarity``, to ``{"value", "source"}``.
        checks: corpus to the checks that decided in it.
        views: slot to view, of what was judged; empty of a list from elsewhere.
        origin: ``judged``, or where the list was imported from.
        created: when it was judged or imported, UTC.
        evidence: digests of the manifest's rows, the decisions and each view's keys that it was judged from.
    """

    name: str
    rows: pl.DataFrame
    thresholds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    checks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)
    origin: str = "judged"
    created: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """Ids that passed, sorted."""
        return self.rows.filter("passed")["utterance_id"].to_list()

    @property
    def ids_digest(self) -> str:
        """SHA-256 of the ids that passed."""
        return digest(self.ids)

    def identity(self) -> dict[str, Any]:
        """What a run records of it: name, thresholds by key, checks by corpus, and the digest of its ids."""
        return {
            "name": self.name,
            "thresholds": self.values(),
            "checks": self.checks_by_corpus(),
            "ids": self.ids_digest,
        }

    def values(self) -> dict[str, Any]:
        """Thresholds by key, sorted."""
        return {key: told["value"] for key, told in sorted(self.thresholds.items())}

    def checks_by_corpus(self) -> dict[str, list[str]]:
        """Checks that decided, by corpus, sorted."""
        return {corpus: list(checks) for corpus, checks in sorted(self.checks.items())}


class NamedVerdicts:
    """The verdicts below ``quality/verdicts/``.

    Args:
        files: the store's file layer.
        forgotten: gives the ids of forgotten utterances, which none is kept of.
    """

    def __init__(self, files: FileLayer, forgotten: Callable[[], Sequence[str]]) -> None:
        self._tables = NamedTables(files, "verdict", VERDICTS, _SCHEMA, forgotten)

    def names(self) -> list[str]:
        """Names of all verdicts, sorted."""
        return self._tables.names()

    def load(self, name: str) -> NamedVerdict:
        """The verdict of this name.

        Raises:
            UnknownNameError: there is none.
            BadInputError: its file is damaged.
        """
        rows, told = self._tables.read(name)
        try:
            return NamedVerdict(**{**told, "name": name, "rows": rows})
        except TypeError as error:
            raise self._tables.damaged(name, error) from error

    def stamp(self, name: str) -> str:
        """Changes whenever the verdict of this name does.

        Raises:
            UnknownNameError: there is none.
        """
        return self._tables.stamp(name)

    def save(self, verdict: NamedVerdict) -> None:
        """Keep the verdict, replacing one of the same name.

        Raises:
            BadInputError: a name that no file can have.
            StoreWriteError: the write failed; an older verdict of that name is as it was.
        """
        self._tables.save(verdict.name, verdict.rows, _fields(verdict))

    def remove(self, name: str) -> None:
        """Remove a verdict.

        Raises:
            UnknownNameError: there is none of this name.
        """
        self._tables.remove(name)

    def erase(self, utterance_ids: Sequence[str]) -> None:
        """Take these utterances out of every verdict."""
        self._tables.erase(utterance_ids)


def name_verdict(
    store: Store, name: str, measures: Measures, judged: pl.DataFrame, config: QualityConfig
) -> NamedVerdict:
    """What was judged, with everything that decided it; :meth:`NamedVerdicts.save` keeps it."""
    corpora = measures.frame["corpus"].unique().sort().to_list()
    told = config.thresholds(measures.embedder, measures.encoder)
    return NamedVerdict(
        name,
        judged.select(list(_SCHEMA)).sort("utterance_id"),
        thresholds={key: asdict(threshold) for key, threshold in told.items()},
        checks={corpus: list(config.checks(corpus)) for corpus in corpora},
        views=dict(measures.views),
        created=now(),
        evidence=_evidence(store, corpora, measures.views),
    )


def outdated(store: Store, verdict: NamedVerdict) -> list[str]:
    """In words, what a verdict was judged from and is otherwise now; empty where all is as it was.

    Of a list from elsewhere nothing is known but its ids.
    """
    told = []
    known = store.manifest()["utterance_id"]
    gone = verdict.rows.filter(~pl.col("utterance_id").is_in(known.implode())).height
    if gone:
        told.append(f"{gone:,} of its utterances are no longer in the manifest")
    if not verdict.evidence:
        return told
    views = set(store.views())
    for slot, view in verdict.views.items():
        if view not in views:
            told.append(f"the view {view} ({slot}) is gone")
    there = {slot: view for slot, view in verdict.views.items() if view in views}
    corpora = [name for name in verdict.checks if name in store.corpora()]
    current = _evidence(store, corpora, there)
    # What was forgotten was taken out of the verdict too, and changed these digests.
    changed = [name for name, value in current.items() if verdict.evidence.get(name) != value]
    if changed:
        told.append(f"changed since: {', '.join(changed)}")
    return told


def warn_outdated(
    store: Store, verdict: NamedVerdict, *, told: Sequence[str] | None = None, stacklevel: int = 3
) -> None:
    """Warn of a verdict that was judged from other rows than the store holds now; it is used as it is.

    Args:
        store: the store.
        verdict: the verdict.
        told: what :func:`outdated` says, where that is known.
        stacklevel: whose line the warning names, as ``warnings.warn`` counts; 3 is who called the caller.
    """
    if told := outdated(store, verdict) if told is None else told:
        warnings.warn(
            f"verdict {verdict.name!r} ({verdict.origin}, {verdict.created}) is not of what the store holds now: "
            f"{'; '.join(told)}; judge again with `affectstore quality --save {verdict.name}`, or import its list "
            "again",
            StaleVerdictWarning,
            stacklevel=stacklevel,
        )


def _fields(verdict: NamedVerdict) -> dict[str, Any]:
    return {
        "thresholds": {key: dict(told) for key, told in verdict.thresholds.items()},
        "checks": {corpus: list(checks) for corpus, checks in verdict.checks.items()},
        "views": dict(verdict.views),
        "origin": verdict.origin,
        "created": verdict.created,
        "evidence": dict(verdict.evidence),
    }


def _evidence(store: Store, corpora: Sequence[str], views: Mapping[str, str]) -> dict[str, str]:
    """Digests of what a verdict over these corpora is judged from; vectors and records are not read."""
    manifest = store.manifest(corpora).select(_JUDGED)
    ids = manifest.select("utterance_id")
    speakers = manifest.select(utterance_id="speaker_id").drop_nulls().unique()
    reviews = store.reviews.read().filter(pl.col("view").is_null()).join(ids, on="utterance_id", how="semi")
    found = {
        "manifest": _digest(manifest),
        "reviews": _digest(reviews.select("utterance_id", "decision")),
    }
    for slot, view in views.items():
        whose = ids if store.recipe(view).entity == "utterance" else speakers
        found[slot] = _digest(store.table(view).live_keys().join(whose, on="utterance_id", how="semi"))
    return found


def _digest(rows: pl.DataFrame) -> str:
    # By text, not by Polars' own hash, which another version computes otherwise.
    state = hashlib.blake2b(digest_size=16)
    ordered = rows.sort("utterance_id")
    for name in ordered.columns:
        column = ordered[name].cast(pl.String).fill_null("\0")
        state.update("\n".join(column).encode("utf-8", "surrogatepass"))
        state.update(b"\0\0")
    return state.hexdigest()
