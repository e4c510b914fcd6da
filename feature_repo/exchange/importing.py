"""A table of somebody else comes in, under a recipe of its own that says where it came from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.exchange.bundle import Bundle
from feature_repo.exchange.foreign import ForeignTable, stored_type
from feature_repo.exchange.restoring import exported_outcome
from feature_repo.fill import FillReport, fill
from feature_repo.outcome import Outcome
from feature_repo.recipe import Recipe
from feature_repo.steps import Steps

if TYPE_CHECKING:
    from feature_repo.store import Store

EXTRACTOR = "imported"
CODE_VERSION = 1
PATTERN = "{id}"
_PLACES = ("id", "split", "video", "clip")
_MMSA_MARK = "$_$"  # between a video and a clip in the names of MMSA's files
_MODALITY = re.compile(r"[a-z][a-z0-9]*")
_CHUNK = 4 * 2**20
_SHOWN = 3  # ids that a message names


@dataclass(frozen=True)
class Source:
    """Where a table came from, as its recipe says it.

    Attributes:
        name: the file's name, told and not compared.
        digest: SHA-256 of its content.
        format: name of the format.
        note: what the user says of it.
        pattern: how an id is made of the file's name for a row.
        mapping: the file's name for a row to the id; empty for the pattern.
        facts: what else decides which row is whose, such as the digest of a list of ids.
    """

    name: str
    digest: str
    format: str
    note: str = ""
    pattern: str = PATTERN
    mapping: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """What became of one table.

    Attributes:
        table: what the file calls it.
        slot: what ``pull`` calls it.
        view: its view.
        rows: rows of the file.
        unknown: ids, as mapped, that no manifest has.
        lacking: utterances of the same corpora that the file has no row for.
        report: what the fill did.
    """

    table: str
    slot: str
    view: str
    rows: int
    unknown: Sequence[str]
    lacking: int
    report: FillReport


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of a folder's files."""
    state = hashlib.sha256()
    if path.is_dir():
        for file in sorted(each for each in path.rglob("*") if each.is_file()):
            state.update(f"{file.relative_to(path).as_posix()}\0{file_digest(file)}\n".encode())
        return state.hexdigest()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def read_mapping(path: Path) -> dict[str, str]:
    """The file's name for a row to our id, from a table with the columns ``source`` and ``utterance_id``.

    Raises:
        BadInputError: it is no such table, or names a row twice.
    """
    try:
        table = pl.read_csv(path, separator="\t" if path.suffix == ".tsv" else ",", infer_schema=False)
        pairs = table.select("source", "utterance_id").drop_nulls()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInputError(
            f"{path}: a .csv or .tsv file with the columns source and utterance_id is wanted: {error}"
        ) from error
    if pairs["source"].n_unique() < pairs.height:
        twice = pairs.filter(pl.col("source").is_duplicated())["source"][0]
        raise BadInputError(f"{path}: {twice!r} stands twice under source")
    return dict(pairs.iter_rows())


def utterance_ids(table: ForeignTable, source: Source) -> list[str]:
    """Our id of each row of the table, whether or not a manifest has it.

    Raises:
        BadInputError: a pattern with unknown places, or two rows of one utterance.
    """
    if source.mapping:
        found = [source.mapping.get(name, name) for name in table.ids]
    else:
        for place in re.findall(r"\{(.*?)\}", source.pattern):
            if place not in _PLACES:
                raise BadInputError(
                    f"pattern {source.pattern!r}: {{{place}}} is none of {', '.join(f'{{{each}}}' for each in _PLACES)}"
                )
        if "{split}" in source.pattern and not table.splits:
            raise BadInputError(f"pattern {source.pattern!r}: the file does not tell splits")
        splits = table.splits or [""] * len(table.ids)
        found = [_placed(source.pattern, name, split) for name, split in zip(table.ids, splits, strict=True)]
    seen: dict[str, str] = {}
    for utterance_id, name in zip(found, table.ids, strict=True):
        if utterance_id in seen:
            raise BadInputError(
                f"{source.name}: two rows are of {utterance_id!r} ({seen[utterance_id]!r} and {name!r})"
            )
        seen[utterance_id] = name
    return found


def _placed(pattern: str, name: str, split: str) -> str:
    video, _, clip = name.rpartition(_MMSA_MARK)
    values = {"{id}": name, "{split}": split, "{video}": video, "{clip}": clip}
    return re.sub(r"\{.*?\}", lambda place: values[place.group()], pattern)


def imported_recipe(
    table: ForeignTable, source: Source, modality: str, corpora: Sequence[str], pattern: str | None = None
) -> Recipe:
    """The recipe of an imported table: another file, array, way to name rows or note is another recipe.

    Raises:
        BadInputError: a modality that names no columns.
    """
    if not _MODALITY.fullmatch(modality):
        raise BadInputError(
            f"{modality!r} is no modality (lower-case letters and digits); say what the table is with --as text"
        )
    settings: dict[str, Any] = {
        "source": source.digest,
        "format": source.format,
        "array": table.name,
        "corpora": sorted(corpora),
        **source.facts,
        **table.facts,
    }
    if source.note:
        settings["note"] = source.note
    if source.mapping:
        pairs = "\n".join(f"{name}\t{ours}" for name, ours in sorted(source.mapping.items()))
        settings["mapping"] = hashlib.sha256(pairs.encode()).hexdigest()
    elif source.pattern != PATTERN:
        settings["ids"] = source.pattern
    dtype = table.dtype if table.layout == "steps" else "float32"
    return Recipe(
        modality, EXTRACTOR, CODE_VERSION, "id", table.layout, table.width, dtype=dtype, settings=settings
    )


def import_table(
    store: Store,
    table: ForeignTable,
    source: Source,
    *,
    modality: str = "",
    corpora: Sequence[str] = (),
    on_rows: Callable[[int], None] | None = None,
) -> Imported:
    """Store a table's rows of the utterances that the manifest has; the same file again computes nothing.

    Args:
        store: the store.
        table: the rows.
        source: where they came from.
        modality: what the table is; by default what the file says, or what it calls the array.
        corpora: which corpora it is about; by default those that its ids begin with.
        on_rows: told 1 after each row.

    Raises:
        BadInputError: no row is of an utterance that the manifest has, or a row stands twice.
        UnknownNameError: a corpus that was not ingested.
    """
    ids = utterance_ids(table, source)
    manifest = store.manifest(corpora or None)
    known = set(manifest["utterance_id"])
    places = {utterance_id: index for index, utterance_id in enumerate(ids) if utterance_id in known}
    if not places:
        ours = ", ".join(map(repr, manifest["utterance_id"].head(_SHOWN))) or "none: ingest a corpus first"
        raise BadInputError(
            f"{source.name}: no row of {table.name!r} is of an utterance that the store knows. Ids there, as read: "
            f"{', '.join(map(repr, ids[:_SHOWN]))}; ids here: {ours}. Say how one becomes the other with --id, such as "
            "'meld/{split}/{id}', or with --map"
        )
    # By the file alone: which corpora the store has today must not decide what the recipe is.
    named = {utterance_id.partition("/")[0] for utterance_id in ids if "/" in utterance_id}
    about = sorted(set(corpora) or named)
    recipe = imported_recipe(table, source, modality or table.modality or table.name, about)

    def compute(missing: Mapping[str, Sequence[str]]) -> Generator[tuple[str, str, Outcome], None, None]:
        for view, wanted in missing.items():
            for utterance_id in sorted(wanted, key=lambda each: places[each]):
                yield view, utterance_id, table.row(places[utterance_id])

    report = fill(
        store,
        [recipe],
        compute,
        ids=list(places),
        retry_faults=True,  # what the manifest says may be why, such as a text that was mended since
        provenance={recipe.view: {"imported from": source.name}},
        on_progress=on_rows,
    )
    of_corpora = manifest.filter(pl.col("corpus").is_in(about)).height
    unknown = [utterance_id for utterance_id in ids if utterance_id not in known]
    return Imported(table.name, recipe.slot, recipe.view, len(ids), unknown, of_corpora - len(places), report)


def detached_tables(bundle: Bundle, slots: Sequence[str]) -> list[ForeignTable]:
    """Slots of an export as tables that stand for themselves, whatever they were derived from."""
    ids = bundle.manifest["utterance_id"].to_list()
    found = []
    for name in slots:
        slot = bundle.slots[name]
        kept = np.flatnonzero(slot.content_keys.is_not_null().to_numpy()).tolist()

        def row(index: int, kept: list[int] = kept, slot: Any = slot) -> Outcome:
            outcome = exported_outcome(slot, kept[index])
            return type(outcome)(outcome.value, outcome.note)

        layout = "steps" if isinstance(slot.values, Steps) else "pooled"
        found.append(
            ForeignTable(
                name,
                [ids[index] for index in kept],
                "steps" if layout == "steps" else "pooled",
                slot.recipe.width,
                stored_type(slot.values.dtype, layout),
                row,
                modality=slot.recipe.modality,
                facts={"origin": slot.recipe.fingerprint},
            )
        )
    return found
