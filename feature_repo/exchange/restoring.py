"""An export of another store comes in: the same views, under the same fingerprints and content keys."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.exchange.bundle import Bundle, ExportedSlot
from feature_repo.fill import FillReport, fill
from feature_repo.outcome import Features, Outcome

if TYPE_CHECKING:
    from feature_repo.store import Store


@dataclass(frozen=True)
class Restored:
    """What became of one slot of a bundle.

    Attributes:
        slot: its name in the bundle.
        view: the view it was restored as.
        stored: rows of the bundle.
        other: rows whose utterance says something else here than where they were computed.
        unknown: rows whose utterance no manifest has.
        report: what the fill did with the others.
    """

    slot: str
    view: str
    stored: int
    other: int
    unknown: int
    report: FillReport


def restore_manifest(store: Store, bundle: Bundle) -> dict[str, int]:
    """Bring in the bundle's manifest rows of the corpora that the store does not have; utterances by corpus.

    Their media are not here: what the file calls them is left out, since a file of that name may be another's.

    Raises:
        BadInputError: rows that no manifest could hold.
    """
    known = store.corpora()
    found: dict[str, int] = {}
    for corpus in bundle.manifest["corpus"].unique().sort():
        if corpus not in known:
            rows = bundle.manifest.filter(pl.col("corpus") == corpus)
            rows = rows.with_columns(media_uri=pl.lit(None, pl.String))
            found[corpus] = store.manifests.restore(corpus, rows, bundle.licences.get(corpus))
    return found


def restore(
    store: Store,
    bundle: Bundle,
    *,
    slots: Sequence[str] | None = None,
    source: str = "",
    on_rows: Callable[[int], None] | None = None,
) -> list[Restored]:
    """Store the bundle's rows in their own views where the utterances say what they said when it was computed.

    Nothing that is stored already is written again.

    Args:
        store: the store.
        bundle: an export.
        slots: only these, an input before what was derived from it; all by default.
        source: the file's name, told as provenance.
        on_rows: told 1 after each row.

    Raises:
        BadInputError: a view that is derived from tables which neither the store nor the bundle has.
    """
    done = []
    for name in whole_slots(store, bundle) if slots is None else slots:
        slot = bundle.slots[name]
        recipe = slot.recipe
        told = {**slot.provenance, **({"restored from": source} if source else {})}
        store.ensure_table(recipe, told)
        rows = pl.DataFrame(
            {"utterance_id": bundle.manifest["utterance_id"], "content_key": slot.content_keys}
        ).with_row_index("at")
        rows = rows.filter(pl.col("content_key").is_not_null())
        manifest = store.manifest()
        here = rows.join(manifest, on="utterance_id", how="semi")
        live = here.join(store.wanted_in(recipe, manifest), on=["utterance_id", "content_key"], how="semi")
        places = dict(live.select("utterance_id", "at").iter_rows())
        report = fill(
            store,
            [recipe],
            _reader(slot, places),
            ids=list(places),
            retry_faults=True,
            provenance={recipe.view: told},
            on_progress=on_rows,
        )
        done.append(
            Restored(
                name,
                recipe.view,
                rows.height,
                here.height - live.height,
                rows.height - here.height,
                report,
            )
        )
    return done


def _reader(
    slot: ExportedSlot, places: Mapping[str, int]
) -> Callable[[Mapping[str, Sequence[str]]], Generator[tuple[str, str, Outcome], None, None]]:
    def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
        for view, ids in missing.items():
            for utterance_id in sorted(ids, key=lambda each: places[each]):
                yield view, utterance_id, exported_outcome(slot, places[utterance_id])

    return compute


def exported_outcome(slot: ExportedSlot, index: int) -> Features:
    """A row as it was computed: a value, or nothing and why, with the further columns."""
    columns = slot.columns.row(index, named=True) if slot.recipe.columns else {}
    if not slot.present[index]:
        known = {name: value for name, value in columns.items() if value is not None}
        return Features(None, slot.notes[index] or "nothing, for no recorded reason", known)
    return Features(slot.row(index), columns=columns)


def restorable(store: Store, bundle: Bundle) -> tuple[list[str], list[str]]:
    """The slots that can be restored, an input before what was derived from it, and those whose inputs nobody has."""
    there = {store.recipe(view).fingerprint for view in store.views()}
    rest, order = list(bundle.slots), list[str]()
    while True:
        ready = [name for name in rest if there.issuperset(_must(bundle.slots[name]))]
        if not ready:
            return order, rest
        for name in ready:
            rest.remove(name)
            there.add(bundle.slots[name].recipe.fingerprint)
            order.append(name)


def whole_slots(store: Store, bundle: Bundle) -> list[str]:
    """All slots in the order of :func:`restorable`.

    Raises:
        BadInputError: one of them is derived from tables that neither the store nor the bundle has.
    """
    order, rest = restorable(store, bundle)
    if rest:
        listed = ", ".join(f"{name} ({bundle.slots[name].recipe.view})" for name in rest)
        raise BadInputError(
            f"{listed}: derived from tables that neither this store nor the file has, so nobody could tell whether a "
            "row is out of date; import what is so under a recipe of its own with --detach"
        )
    return order


def _must(slot: ExportedSlot) -> set[str]:
    return set(slot.recipe.inputs) - set(slot.recipe.settings.get("optional_inputs", ()))
