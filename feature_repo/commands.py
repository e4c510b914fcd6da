"""The commands that look after a store: make it, look at it, pull from it, tidy it, take things out of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from feature_repo import feast_commands
from feature_repo.console import JsonOption, RootOption, Table, YesOption, console, err
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.exchange import commands as exchange_commands
from feature_repo.leakage_command import leakage
from feature_repo.manifest_command import manifest
from feature_repo.pull_command import pull
from feature_repo.select_command import select
from feature_repo.similar_command import similar
from feature_repo.split_command import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from feature_repo.store import Store


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands to the command line."""
    for command in (
        init,
        status,
        manifest,
        split,
        leakage,
        select,
        faults,
        use,
        pull,
        similar,
        compact,
        gc,
        drop,
        forget,
    ):
        app.command()(command)
    exchange_commands.add_commands(app)
    feast_commands.add_commands(app)


def init(root: RootOption = None) -> None:
    """Make an empty store, or open the one that is there.

    Example: [cyan]affectstore init --root ~/affect[/cyan]
    """
    from feature_repo.store import ROOT_VARIABLE, init_store

    if not root:
        raise BadInputError(f"no place was named: give --root FOLDER or set {ROOT_VARIABLE}")
    store = init_store(root)
    console.print(f"store ready at [bold]{store.root}[/bold]", soft_wrap=True)
    console.print(
        f"next: [cyan]export {ROOT_VARIABLE}={store.root}[/cyan], then [cyan]affectstore ingest[/cyan]",
        soft_wrap=True,
    )


def status(root: RootOption = None, as_json: JsonOption = False) -> None:
    """Show corpora, views, coverage, staleness, faults and damaged parts. Reads keys alone, no features.

    Example: [cyan]affectstore status[/cyan]
    """
    from feature_repo.coverage import STATES, coverage
    from feature_repo.store import open_store

    store = open_store(root)
    found = coverage(store)
    profiles = {name: store.catalog.slots(name) for name in store.catalog.profiles()}
    quarantined = {view: names for view in store.views() if (names := store.table(view).quarantined())}
    if as_json:
        rows = [{"view": entry.view, "corpus": entry.corpus, **entry.counts} for entry in found]
        typer.echo(
            json.dumps(
                {"root": store.root, "coverage": rows, "profiles": profiles, "quarantined": quarantined}
            )
        )
        return
    manifest = store.manifest()
    console.print(
        f"[bold]{store.root}[/bold]: {manifest.height:,} utterances in {len(store.corpora())} corpora",
        soft_wrap=True,
    )
    shown = [state for state in STATES if state != "inapplicable"]
    table = Table("view", "corpus", title="Coverage in utterances, or people", title_justify="left")
    for column in ("applicable", *shown):
        table.add_column(column, justify="right")
    for entry in found:
        counts = [f"{entry.counts[state]:,}" if entry.counts[state] else "·" for state in shown]
        colours = {"present": "green", "stale": "yellow", "faulted": "red"}
        cells = [
            f"[{colours[state]}]{count}[/]" if state in colours and count != "·" else count
            for state, count in zip(shown, counts, strict=True)
        ]
        table.add_row(entry.view, entry.corpus, f"{entry.applicable:,}", *cells)
    if found:
        console.print(table)
    else:
        console.print(
            "no views yet: [cyan]affectstore ingest[/cyan] a corpus, then [cyan]affectstore extract[/cyan]"
        )
    for name, slots in profiles.items():
        console.print(
            f"profile [bold]{name}[/bold]: " + ", ".join(f"{slot} = {view}" for slot, view in slots.items()),
            soft_wrap=True,
        )
    for view, names in quarantined.items():
        err.print(
            f"[red]{len(names)} damaged parts of {view} are in quarantine[/red]: run `affectstore extract` again"
        )


def faults(
    view: Annotated[str | None, typer.Argument(help="Only this view.", show_default="all")] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Show at most this many faults a view.", min=1)] = 20,
    nothing: Annotated[
        bool,
        typer.Option(
            "--nothing", help="Instead, those whose row holds nothing: silence by policy, no face, no text."
        ),
    ] = False,
) -> None:
    """List the utterances that have no features, each with its reason. Open faults alone: what was mended is gone.

    Examples: [cyan]affectstore faults --limit 5[/cyan], [cyan]affectstore faults --nothing[/cyan]
    """
    import polars as pl

    from feature_repo.coverage import utterance_states
    from feature_repo.store import open_store

    store = open_store(root)
    if view is not None and view not in store.views():
        raise UnknownNameError("view", view, store.views())
    manifest = store.manifest()
    if nothing:
        _tell_nothings(store, [view] if view else store.views(), manifest, limit, as_json)
        return
    told = []
    for name in store.views() if view is None else [view]:
        failed = utterance_states(store, name, manifest).filter(pl.col("state") == "faulted")
        entries = store.faults.entries(name)
        open_faults = entries.join(failed, on=["utterance_id", "content_key"], how="semi").sort(
            "utterance_id"
        )
        told += [{"view": name, **row} for row in open_faults.drop("content_key").iter_rows(named=True)]
    if as_json:
        typer.echo(json.dumps(told, default=str))
        return
    if not told:
        console.print("no open faults")
        return
    for name in dict.fromkeys(row["view"] for row in told):
        rows = [row for row in told if row["view"] == name]
        table = Table(
            "utterance",
            "stage",
            "error",
            "message",
            "attempts",
            title=f"{name}: {len(rows)} faults",
            title_justify="left",
        )
        for row in rows[:limit]:
            table.add_row(
                row["utterance_id"], row["stage"], row["error"], row["message"], str(row["attempts"])
            )
        console.print(table)
        if len(rows) > limit:
            console.print(f"and {len(rows) - limit} more: --limit {len(rows)}")
    console.print(
        "a replaced file is tried again by itself; try the rest with [cyan]affectstore extract --retry-faults[/cyan]"
    )


def _tell_nothings(
    store: Store, views: Sequence[str], manifest: pl.DataFrame, limit: int, as_json: bool
) -> None:
    """Rows that are up to date and hold nothing, each with the reason that was stored with it."""
    from feature_repo.coverage import utterance_states

    empty = {
        name: utterance_states(store, name, manifest).filter(state="nothing").sort("utterance_id")
        for name in views
    }
    if as_json:
        rows = [{"view": name, **row} for name, found in empty.items() for row in found.iter_rows(named=True)]
        typer.echo(json.dumps([{key: row[key] for key in ("view", "utterance_id", "note")} for row in rows]))
        return
    for name, found in empty.items():
        if found.height:
            table = Table("utterance", "reason", title=f"{name}: {found.height:,} hold nothing")
            for utterance_id, note in found.head(limit).select("utterance_id", "note").iter_rows():
                table.add_row(utterance_id, note)
            console.print(table)
            if found.height > limit:
                console.print(f"and {found.height - limit:,} more: --limit {found.height}")
    if not any(found.height for found in empty.values()):
        console.print("no row holds nothing")


def use(
    views: Annotated[list[str], typer.Argument(help="Views, as `affectstore status` names them.")],
    profile: Annotated[str, typer.Option("--profile", "-p", help="Profile to change.")] = "default",
    root: RootOption = None,
) -> None:
    """Say which view a slot means in a profile; the profile [cyan]default[/cyan] settles what others leave open.

    Example: [cyan]affectstore use text_sentence_1a2b3c4d[/cyan]
    """
    from feature_repo.store import open_store

    store = open_store(root)
    slots = {store.recipe(view).slot: view for view in views}
    store.catalog.set(profile, slots)
    for slot, view in slots.items():
        console.print(f"profile [bold]{profile}[/bold]: {slot} = {view}")


def compact(
    views: Annotated[list[str] | None, typer.Argument(help="Only these views.", show_default="all")] = None,
    root: RootOption = None,
) -> None:
    """Merge small parts into larger ones; the old ones stay until [cyan]affectstore gc[/cyan].

    Example: [cyan]affectstore compact[/cyan]
    """
    from feature_repo.compaction import compact as compact_table
    from feature_repo.store import open_store

    store = open_store(root)
    for view in views or store.views():
        done = compact_table(store.table(view))
        store.faults.merge(view)
        console.print(
            f"{view}: {done.parts_before} parts became {done.parts_after}, {done.rows_left_out} outdated rows left out"
        )


def gc(
    grace: Annotated[
        float,
        typer.Option(
            help="Seconds that a merged part must be old before what it repeats is removed.", min=0.0
        ),
    ] = 3600.0,
    root: RootOption = None,
) -> None:
    """Remove merged parts, and what killed runs left, once a grace time has passed.

    Example: [cyan]affectstore gc --grace 0[/cyan] when nobody else reads the store
    """
    from feature_repo.compaction import MIN_GRACE_S, gc_temporary
    from feature_repo.compaction import gc as gc_table
    from feature_repo.erasure import gc_dropped
    from feature_repo.store import open_store

    store = open_store(root)
    parts = sum(len(gc_table(store.table(view), grace)) for view in store.views())
    temporary = gc_temporary(store.files, grace) + store.files.abort_uploads(max(grace, MIN_GRACE_S))
    dropped = gc_dropped(store)
    console.print(
        f"removed {parts} merged parts, {temporary} temporary files, {len(dropped)} leftovers of dropped views"
    )


def drop(
    view: Annotated[str, typer.Argument(help="The view to remove.")],
    yes: YesOption = False,
    root: RootOption = None,
) -> None:
    """Remove a view from the store, the mirror and Feast. Its numbers would have to be computed again.

    Example: [cyan]affectstore drop speech_mfcc_1a2b3c4d[/cyan]
    """
    from feature_repo.erasure import drop_view
    from feature_repo.store import open_store

    store = open_store(root)
    rows = store.table(view).live_keys().height
    if not yes:
        typer.confirm(f"Remove {view} with {rows:,} utterances?", abort=True)
    drop_view(store, view)
    console.print(f"dropped {view}")


def forget(
    utterance: Annotated[list[str] | None, typer.Argument(help="Utterance ids.", show_default=False)] = None,
    speaker: Annotated[
        str | None, typer.Option("--speaker", help="Everything that this speaker says.", show_default=False)
    ] = None,
    yes: YesOption = False,
    root: RootOption = None,
) -> None:
    """Take utterances, or a person, out of everything: parts, mirror, faults, manifest, online store. For good.

    Example: [cyan]affectstore forget --speaker ravdess/actor_12[/cyan]
    """
    from feature_repo.erasure import forget as forget_utterances
    from feature_repo.erasure import utterances_of
    from feature_repo.store import open_store

    if not utterance and not speaker:
        raise BadInputError("name utterance ids, or a person with --speaker")
    store = open_store(root)
    ids = sorted({*(utterance or ()), *(utterances_of(store, speaker) if speaker else ())})
    if not yes:
        typer.confirm(f"Forget {len(ids):,} utterances for good?", abort=True)
    done = forget_utterances(store, ids)
    console.print(
        f"forgot {done.utterances:,} utterances and {done.rows:,} stored rows; no ingest brings them back"
    )
