"""What an export takes out of a store, and what it says of the licences before it writes."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from feature_repo.errors import BadInputError, StoreWriteError
from feature_repo.exchange.bundle import Bundle, ExportedSlot
from feature_repo.records import live_rows
from feature_repo.terms import Terms

if TYPE_CHECKING:
    from feature_repo.exchange.format import Format
    from feature_repo.selection import Selection
    from feature_repo.slot_requests import Slots
    from feature_repo.store import Store
    from feature_repo.training_set import TrainingSet

LICENCES = "LICENCES.txt"
_ATTEMPTS = 3  # rows that another process replaced between the pull and the look at their notes


def bundle_of(
    store: Store,
    slots: Slots,
    *,
    ids: Sequence[str] | None = None,
    where: Selection | str | None = None,
    join: Literal["inner", "outer"] = "outer",
    labels: str = "seven",
    profile: str | None = None,
    verdict: str | None = None,
    text: bool = True,
) -> tuple[Bundle, TrainingSet]:
    """The slots of the chosen utterances with recipes, keys, notes and licences, and the training set they are of.

    Args:
        store: the store.
        slots: as :func:`feature_repo.pull.pull` takes them.
        ids: as there.
        where: as there.
        join: as there; ``outer`` by default, since an export is the whole.
        labels: as there.
        profile: as there.
        verdict: as there.
        text: whether what was said goes along.

    Raises:
        AffectStoreError: as of ``pull``.
    """
    from feature_repo.pull import pull

    for _ in range(_ATTEMPTS):
        pulled = pull(
            store, slots, ids=ids, where=where, join=join, labels=labels, profile=profile, verdict=verdict
        )
        found = {name: _slot(store, pulled, name) for name in pulled.features}
        whole = {name: slot for name, slot in found.items() if slot is not None}
        if len(whole) == len(found):
            break
    else:
        raise BadInputError("the store is being written to faster than it can be exported; try again")
    corpora = pulled.manifest["corpus"].unique().sort().to_list()
    bundle = Bundle(
        manifest=_shareable(pulled.manifest, text),
        slots=whole,
        labels=pulled.labels,
        classes=pulled.classes,
        scheme=labels,
        licences={corpus: store.manifests.terms(corpus) for corpus in corpora},
        snapshot=pulled.snapshot(),
    )
    return bundle, pulled


def _slot(store: Store, pulled: TrainingSet, name: str) -> ExportedSlot | None:
    """A slot with its notes and further columns; None when its rows were replaced since they were pulled."""
    view, keys = pulled.views[name], pulled.content_keys[name]
    recipe = store.recipe(view)
    asked = pl.DataFrame({"utterance_id": pl.Series(pulled.ids, dtype=pl.String), "content_key": keys})
    live = live_rows(store, view, pulled.ids)
    joined = asked.join(live, on=["utterance_id", "content_key"], how="left", maintain_order="left")
    if joined.filter(pl.col("content_key").is_not_null() & pl.col("n").is_null()).height:
        return None
    values, present = pulled.features[name], pulled.present[name]
    columns = joined.select(list(recipe.columns))
    return ExportedSlot(
        recipe, store.provenance(view), values, present, keys.alias("content_key"), joined["note"], columns
    )


def _shareable(manifest: pl.DataFrame, text: bool) -> pl.DataFrame:
    """The manifest's rows without where this machine keeps its files, and without texts where they stay."""
    name = pl.col("media_uri").str.replace_all("\\", "/", literal=True).str.split("/").list.last()
    rows = manifest.with_columns(media_uri=name, media_mtime_ns=pl.lit(None, pl.Int64))
    return rows if text else rows.with_columns(text=pl.lit(None, pl.String))


def licences_text(licences: Mapping[str, Terms]) -> str:
    """What lies beside an export: each corpus's terms, to be read by whoever is given it."""
    lines = [
        "The features in this export were computed from these corpora, whose terms go with them.",
        "",
        *(f"{corpus}: {terms.licence}\n    {terms.told}" for corpus, terms in sorted(licences.items())),
        "",
        "Embeddings of voices and faces are biometric data: they can identify a person.",
    ]
    return "\n".join(lines) + "\n"


def licence_warnings(licences: Mapping[str, Terms]) -> list[str]:
    """What is to be said before anything is written, a line a corpus that may not, or perhaps not, be passed on."""
    return [
        f"{corpus}: {terms.told} ({terms.licence})"
        for corpus, terms in sorted(licences.items())
        if terms.redistributable is not True
    ]


def write_export(
    kind: Format, bundle: Bundle, path: Path, on_rows: Callable[[int], None] | None = None
) -> list[Path]:
    """Write the bundle, whole or not at all, with the licences inside a folder or beside a file.

    Args:
        kind: the format.
        bundle: what is written.
        path: where; an older file, or an older export in a folder, is replaced.
        on_rows: told how many rows of a slot were written.

    Returns:
        What was written.

    Raises:
        BadInputError: the bundle can't be put into the format, or the folder holds something else.
        StoreWriteError: it can't be written; what was there is as it was.
    """
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    beside = path.with_name(f"{path.name}.{LICENCES}")
    if path.is_dir() and any(path.iterdir()) and not (kind.folder and kind.recognises(path)):
        raise BadInputError(f"{path} is a folder that holds something else; name another")
    try:
        kind.write(bundle, staged, on_rows or (lambda rows: None))
        text = licences_text(bundle.licences)
        if not kind.folder:
            beside.write_text(text, "utf-8")
            _sync(staged)
            staged.replace(path)
            return [path, beside]
        (staged / LICENCES).write_text(text, "utf-8")
        for file in staged.iterdir():
            _sync(file)
        if path.exists():
            # A folder is not replaced in one step: the older one is set aside until the new one has its name.
            aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            path.replace(aside)
            try:
                staged.replace(path)
            except BaseException:
                aside.replace(path)
                raise
            shutil.rmtree(aside)
        else:
            staged.replace(path)
        return [path]
    except OSError as error:
        raise StoreWriteError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if staged.is_dir():
            shutil.rmtree(staged, ignore_errors=True)
        else:
            staged.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
