"""Erasure: taking a view, an utterance or a person out of everything that the store holds.

Voices and faces are biometric data; what is forgotten leaves the parts, the mirror, the ledger, the manifest and the
online store, and no later ingest brings it back.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from feature_repo.compaction import compacting
from feature_repo.context import reads_other_turns
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.faults import FAULTS
from feature_repo.feature_table import FEATURES, QUARANTINE, FeatureTable
from feature_repo.fill import writing
from feature_repo.part import TOMBSTONE, key_column, newest_us

if TYPE_CHECKING:
    from feature_repo.store import Store


@dataclass(frozen=True)
class Erased:
    """What was taken out: utterances, and rows of feature tables (each stored version of a row counts)."""

    utterances: int
    rows: int


def drop_view(store: Store, view: str) -> None:
    """Remove a view: its table, faults, quarantined parts, mirror, catalogue entries, and its place in Feast.

    Raises:
        UnknownNameError: no such view.
        BadInputError: another view was computed from it; the message names it.
    """
    if view not in store.views():
        raise UnknownNameError("view", view, store.views())
    fingerprint = store.recipe(view).fingerprint
    for other in store.views():
        if fingerprint in store.recipe(other).inputs:
            raise BadInputError(f"{view} can't be dropped: {other} was computed from it; drop that one first")
    store.catalog.drop_view(view)
    _clear_mirror(store, view)
    # The recipe goes first: from then on there is no such view, and what a kill leaves behind is removed by `gc`.
    store.files.remove(f"{FEATURES}/{view}/recipe.json")
    for folder in (FEATURES, FAULTS, QUARANTINE):
        store.files.remove_folder(f"{folder}/{view}")
    store.close_table(view)
    _unregister(store, view)


def gc_dropped(store: Store) -> list[str]:
    """Remove what a killed :func:`drop_view` left: folders of views without a recipe; returns their names."""
    orphans = sorted(set(store.files.list_folders(FEATURES)) - set(store.views()))
    for view in orphans:
        for folder in (FEATURES, FAULTS, QUARANTINE):
            store.files.remove_folder(f"{folder}/{view}")
        _clear_mirror(store, view)
    return orphans


def forget(store: Store, utterance_ids: Sequence[str]) -> Erased:
    """Remove these utterances from every table, the mirror, the ledger, the manifests and the online store, for good.

    A speaker's row is computed from several clips, and others are derived from it; a text may be read with the turns
    before it. Of such tables every row goes, older ones included, that was not computed from just what is there now;
    the next derivation or extraction makes it anew.

    Raises:
        UnknownNameError: an utterance that no manifest has, and that was not forgotten before.
    """
    known = {*store.manifest()["utterance_id"].to_list(), *store.manifests.forgotten()}
    for utterance_id in utterance_ids:
        if utterance_id not in known:
            raise UnknownNameError("utterance", utterance_id, [*sorted(known)[:3], "..."])
    # First, so that an extraction that runs beside this does not compute them again.
    store.manifests.forget(utterance_ids)
    store.reviews.erase(utterance_ids)
    erased: dict[str, list[str]] = {}
    rows = 0
    for view, of_several in _inputs_first(store).items():
        table = store.table(view)
        # What a compaction or an extraction has in memory would bring the rows back; both look at what is forgotten
        # or listed only under their lock.
        with store.files.lock(compacting(view)), store.files.lock(writing(view)):
            wanted = store.wanted(table.recipe) if of_several else None
            count, gone = _forget_rows(table, utterance_ids, wanted)
            erased[view] = sorted({*utterance_ids, *gone})
            store.faults.erase(view, [*utterance_ids, *_outdated_faults(store, view, wanted)])
        rows += count
        # A damaged part can't be searched for these rows, and its rows are computed again anyway.
        store.files.remove_folder(f"{QUARANTINE}/{view}")
        _clear_mirror(store, view)
    _erase_online(store, utterance_ids, erased)
    # Last: these hold ids alone, and a damaged one must not keep a voice or a face in the store.
    store.verdicts.erase(utterance_ids)
    store.splits.erase(utterance_ids)
    store.selections.erase(utterance_ids)
    return Erased(len(utterance_ids), rows)


def _inputs_first(store: Store) -> dict[str, bool]:
    """Every view, after those that it was computed from, and whether a row of it, or of one of these, reads several.

    Once a view's inputs are rid of what is forgotten, no fill that runs beside this commits rows computed from it.
    """
    recipes = {view: store.recipe(view) for view in store.views()}
    names = {recipe.fingerprint: view for view, recipe in recipes.items()}
    found: dict[str, bool] = {}

    def visit(view: str) -> None:
        if view not in found:
            inputs = [names[fingerprint] for fingerprint in recipes[view].inputs if fingerprint in names]
            for read in inputs:
                visit(read)
            several = recipes[view].entity == "speaker" or reads_other_turns(recipes[view])
            found[view] = several or any(found[read] for read in inputs)

    for view in recipes:
        visit(view)
    return found


def utterances_of(store: Store, speaker_id: str) -> list[str]:
    """Ids of everything that a person says.

    Raises:
        UnknownNameError: no such speaker.
    """
    manifest = store.manifest()
    found = manifest.filter(pl.col("speaker_id") == speaker_id)["utterance_id"].to_list()
    if not found:
        raise UnknownNameError("speaker", speaker_id, manifest["speaker_id"].drop_nulls().unique().to_list())
    return found


def _forget_rows(
    table: FeatureTable, utterance_ids: Sequence[str], wanted: pl.DataFrame | None
) -> tuple[int, set[str]]:
    """Write each part anew without the rows that go, then remove it; tombstones tell every reader that they are gone.

    Args:
        table: the table.
        utterance_ids: what is forgotten.
        wanted: the (utterance_id, content_key) of the rows that stay; by default those of other utterances do.

    Returns:
        How many rows went, and whose they were; of some an older one alone.
    """
    key = key_column(table.recipe)
    count = 0
    whose: set[str] = set()
    touched: list[str] = []
    dead = list(utterance_ids)
    if wanted is not None:
        dead = _other_keys(table.live_keys(), wanted)["utterance_id"].to_list()
    for name in table.all_parts():
        part = table.read_part(name)
        rows = pl.DataFrame(pl.from_arrow(part.select([key, "content_key"]))).rename({key: "utterance_id"})
        rows = rows.with_row_index("place")
        if wanted is None:
            hit = rows.filter(pl.col("utterance_id").is_in(list(utterance_ids)))
        else:
            hit = _other_keys(rows.filter(pl.col("content_key") != TOMBSTONE), wanted)
        gone = hit.filter(pl.col("content_key") != TOMBSTONE).height
        if gone:
            kept = rows.join(hit, on="place", how="anti", maintain_order="left")["place"]
            left = part.take(pa.array(kept.to_numpy())).replace_schema_metadata(None)
            table.append_table(left, newest_us(name), {"forgotten": str(gone)})
            touched.append(name)
            count += gone
            whose.update(hit["utterance_id"])
    # Before the old parts go: the online store is told of what has left by the tombstone.
    if touched:
        table.bury(dead)
    for name in touched:
        table.files.remove(table.part_path(name))
    return count, whose


def _other_keys(rows: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    return rows.join(wanted, on=["utterance_id", "content_key"], how="anti", maintain_order="left")


def _outdated_faults(store: Store, view: str, wanted: pl.DataFrame | None) -> list[str]:
    if wanted is None:
        return []
    return _other_keys(store.faults.entries(view), wanted)["utterance_id"].to_list()


def _clear_mirror(store: Store, view: str) -> None:
    shutil.rmtree(store.cache / "mirror" / view, ignore_errors=True)


def _unregister(store: Store, view: str) -> None:
    if store.files.list_files("feast"):
        from feature_repo.registry import register  # imports feast, which takes seconds

        register(store)


def _erase_online(store: Store, utterance_ids: Sequence[str], erased: Mapping[str, Sequence[str]]) -> None:
    if store.files.list_files("feast"):
        from feature_repo.online import erase_online  # imports feast, which takes seconds

        erase_online(store, utterance_ids, erased)
