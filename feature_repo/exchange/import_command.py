"""The command that takes in what other stores and programs computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feature_repo.console import RootOption, Table, console, err
from feature_repo.errors import BadInputError
from feature_repo.exchange.rows_bar import rows_bar

if TYPE_CHECKING:
    from feature_repo.exchange.bundle import Bundle
    from feature_repo.exchange.foreign import ForeignTable
    from feature_repo.exchange.format import Format
    from feature_repo.exchange.importing import Imported
    from feature_repo.exchange.restoring import Restored
    from feature_repo.fill import FillReport
    from feature_repo.store import Store

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
_SHOWN = 3  # ids that a line names


def import_file(
    file: Annotated[
        Path, typer.Argument(help="A file or folder that affectstore export or somebody else wrote.")
    ],
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="npz, safetensors, hf, mmsa or dialogues (the pickles of DialogueRNN, MMGCN, COSMIC and others).",
            show_default="by the file",
        ),
    ] = None,
    array: Annotated[
        list[str] | None,
        typer.Option(
            "--array",
            "-a",
            help="Which array, column or modality of the file; may be given several times.",
            show_default="the only one",
        ),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option("--as", help="What the array is: text, speech, face, ...", show_default="its name"),
    ] = None,
    ids: Annotated[
        str | None,
        typer.Option(
            "--ids",
            help="The array or column of ids, or a text file with one a line.",
            show_default="utterance_id, ids or id",
        ),
    ] = None,
    pattern: Annotated[
        str,
        typer.Option(
            "--id",
            help="How an utterance id is made: [cyan]{id}[/cyan], [cyan]{split}[/cyan], and of MMSA's ids "
            "[cyan]{video}[/cyan] and [cyan]{clip}[/cyan].",
        ),
    ] = "{id}",
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--map", help="Instead, a .csv with the columns source and utterance_id.", show_default=False
        ),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option("--corpus", "-c", help="The corpus that it is about.", show_default="by the ids"),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--layout",
            help="Layout of a pickle of dialogues, if its shape does not tell.",
            show_default=False,
        ),
    ] = None,
    note: Annotated[
        str, typer.Option("--note", help="What you know of it; kept in the recipe.", show_default=False)
    ] = "",
    with_manifest: Annotated[
        bool,
        typer.Option(
            "--with-manifest", help="Of an export: bring in the utterances too, of corpora that are not here."
        ),
    ] = False,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            help="Of an export: what was derived from tables that are not here gets a recipe of its own.",
        ),
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            "-p",
            help="Let this profile mean the imported views.",
            show_default="default, for slots that mean nothing yet",
        ),
    ] = None,
    root: RootOption = None,
) -> None:
    """Take in features that were computed elsewhere. The same file again computes nothing; a changed one is a new view.

    An export comes back as the very views that it was, so take it from whom you trust with your numbers; anything else
    gets a recipe of its own with the file's digest. Pickles are read without running anything in them.

    Example: [cyan]affectstore import meld.npz --with-manifest[/cyan]

    Others' files: [cyan]affectstore import feats.npz --array audio --as speech --id 'meld/{split}/{id}'[/cyan],
    [cyan]affectstore import MELD_features_raw1.pkl -a audio --as speech -c meld --note "openSMILE, MMGCN"[/cyan]
    """
    from feature_repo.exchange.registry import format_to_read
    from feature_repo.store import open_store

    store = open_store(root)
    if profile is not None:
        store.catalog.set(profile, {})  # a name that no profile can have is told before anything is read
    kind = format_to_read(file, format_name)
    foreign = bool(array or ids or layout or mapping or pattern != "{id}")
    with err.status(f"reading {file.name}"):
        bundle = None if foreign else kind.read(file)
    if with_manifest and bundle is None:
        raise BadInputError(f"{file} is read as no export, so it brings no manifest; ingest the corpus first")
    if bundle is not None and not detach and (modality or corpus or note):
        raise BadInputError(
            f"{file} is an export, whose views come back as they were: --as, --corpus and --note are for what others "
            "computed, or go with --detach; name an array with --array to take it as such"
        )
    if mapping and pattern != "{id}":
        raise BadInputError("--id and --map both say how an utterance id is made; give one of them")
    views: dict[str, str] = {}
    failed = 0
    try:
        tables: list[ForeignTable] | None = None
        if bundle is not None:
            done, tables = _restore(store, bundle, file, with_manifest, detach)
            views |= {bundle.slots[each.slot].recipe.slot: each.view for each in done if _holds(each.report)}
            failed += sum(view.faulted for each in done for view in each.report.views.values())
        if tables is None or tables:
            imported = _import(
                store, kind, file, tables, array, modality, ids, pattern, mapping, corpus, layout, note
            )
            views |= {each.slot: each.view for each in imported if _holds(each.report)}
            failed += sum(view.faulted for each in imported for view in each.report.views.values())
    except KeyboardInterrupt:
        err.print("interrupted; what was stored stays, and the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    _settle(store, views, profile)
    if failed and not views:
        err.print("every row failed; the reasons are in `affectstore faults`", style="red")
        raise typer.Exit(1)


def _restore(
    store: Store, bundle: Bundle, file: Path, with_manifest: bool, detach: bool
) -> tuple[list[Restored], list[ForeignTable]]:
    """Restore what can be, and give the rest as tables that stand for themselves."""
    from feature_repo.exchange.importing import detached_tables
    from feature_repo.exchange.restoring import restorable, restore, whole_slots

    order, rest = restorable(store, bundle)
    if rest and not detach:
        whole_slots(store, bundle)  # tells which
    corpora = bundle.manifest["corpus"].unique().sort().to_list()
    absent = [corpus for corpus in corpora if corpus not in store.corpora()]
    if with_manifest:
        _bring_manifest(store, bundle)
    elif len(absent) == len(corpora):
        raise BadInputError(
            f"{file} is about {', '.join(corpora)}, which this store does not have; ingest it first, or take the "
            "utterances from the file with --with-manifest"
        )
    elif absent:
        err.print(
            f"[yellow]{', '.join(absent)} not in this store[/yellow]; --with-manifest brings it in",
            soft_wrap=True,
        )
    done: list[Restored] = []
    if order:
        with rows_bar(f"reading {file.name}", len(bundle) * len(order)) as on_rows:
            done = restore(store, bundle, slots=order, source=file.name, on_rows=on_rows)
        _tell_restored(done)
    return done, detached_tables(bundle, rest)


def _bring_manifest(store: Store, bundle: Bundle) -> None:
    from feature_repo.exchange.restoring import restore_manifest

    for corpus, count in restore_manifest(store, bundle).items():
        terms = bundle.licences.get(corpus)
        licence = f"; its licence: {terms.licence}" if terms else ""
        console.print(
            f"corpus [bold]{corpus}[/bold]: {count:,} utterances came along{licence}",
            soft_wrap=True,
            highlight=False,
        )


def _import(
    store: Store,
    kind: Format,
    file: Path,
    tables: list[ForeignTable] | None,
    array: Sequence[str] | None,
    modality: str | None,
    ids: str | None,
    pattern: str,
    mapping: Path | None,
    corpora: Sequence[str] | None,
    layout: str | None,
    note: str,
) -> list[Imported]:
    from feature_repo.exchange.foreign import ForeignRequest
    from feature_repo.exchange.importing import Source, file_digest, import_table, read_mapping

    manifest = store.manifest(corpora or None)
    if manifest.is_empty():
        raise BadInputError(f"{store.root} has no utterances; start with `affectstore ingest CORPUS FOLDER`")
    asked = ForeignRequest(tuple(array or ()), ids or "", layout or "", (corpora or [""])[0])
    if tables is None:
        with err.status(f"reading {file.name}"):
            tables = kind.tables(file, asked, manifest)
    if modality and len(tables) > 1:
        raise BadInputError(
            f"--as {modality} for {len(tables)} arrays ({', '.join(table.name for table in tables)}): "
            "import them one by one"
        )
    facts: dict[str, str] = {}
    if ids:
        facts["id_names"] = file_digest(Path(ids)) if Path(ids).is_file() else ids
    source = Source(
        file.name,
        file_digest(file),
        kind.name,
        note,
        pattern,
        read_mapping(mapping) if mapping else {},
        facts,
    )
    with rows_bar(f"reading {file.name}", sum(len(table.ids) for table in tables)) as on_rows:
        done = [
            import_table(
                store, table, source, modality=modality or "", corpora=corpora or (), on_rows=on_rows
            )
            for table in tables
        ]
    _tell_imported(done)
    return done


def _tell_restored(done: Sequence[Restored]) -> None:
    table = Table("slot", "view", "rows", "stored", "copied", "there already", "failed")
    table.add_column("of other content", justify="right")
    table.add_column("not in a manifest", justify="right")
    for each in done:
        counts = each.report.views[each.view]
        numbers = (
            each.stored,
            counts.computed,
            counts.copied,
            counts.up_to_date,
            counts.faulted,
            each.other,
            each.unknown,
        )
        table.add_row(each.slot, each.view, *(f"{number:,}" if number else "·" for number in numbers))
    console.print(table)
    if any(each.other for each in done):
        console.print(
            "rows of other content were left out: the utterance has another text or file here than where they were "
            "computed",
            style="dim",
        )


def _tell_imported(done: Sequence[Imported]) -> None:
    table = Table(
        "array",
        "slot",
        "view",
        "rows",
        "stored",
        "there already",
        "failed",
        "not in a manifest",
        "not in the file",
    )
    for each in done:
        counts = each.report.views[each.view]
        numbers = (
            each.rows,
            counts.computed + counts.copied,
            counts.up_to_date,
            counts.faulted,
            len(each.unknown),
            each.lacking,
        )
        table.add_row(
            each.table, each.slot, each.view, *(f"{number:,}" if number else "·" for number in numbers)
        )
    console.print(table)
    for each in done:
        for reason, count in each.report.faults_by_reason.most_common():
            console.print(f"  {each.slot}: {count:,} failed with {reason}", style="yellow", highlight=False)
        if each.unknown:
            told = ", ".join(each.unknown[:_SHOWN]) + (", ..." if len(each.unknown) > _SHOWN else "")
            console.print(f"  in no manifest: {told}", style="yellow", highlight=False, soft_wrap=True)


def _holds(report: FillReport) -> bool:
    return any(view.computed + view.copied + view.up_to_date for view in report.views.values())


def _settle(store: Store, views: dict[str, str], profile: str | None) -> None:
    """Let a profile mean the views: the one that was named, else ``default`` where a slot means nothing yet."""
    from feature_repo.catalog import DEFAULT_PROFILE

    name = profile or DEFAULT_PROFILE
    meant = {
        slot: view
        for each in store.catalog.profiles()
        if profile is None or each == profile
        for slot, view in store.catalog.slots(each).items()
    }
    new = {slot: view for slot, view in views.items() if profile is not None or slot not in meant}
    if new:
        store.catalog.set(name, new)
        console.print(f"profile [bold]{name}[/bold] means " + ", ".join(new.values()), soft_wrap=True)
    for slot, view in views.items():
        if meant.get(slot, view) != view and slot not in new:
            console.print(
                f"  {slot} still means {meant[slot]}; affectstore use {view} means the imported one",
                style="yellow",
                highlight=False,
                soft_wrap=True,
            )
