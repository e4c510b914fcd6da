"""What the demonstration found, held against what is wrong with its corpus by intent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from extractors.corpora.demo_corpus import NAME, TOLD
from extractors.corpora.demo_planted import PLANTED, SIX_CHANNELS, faults, removals
from extractors.demo import VERDICT, Demo
from feature_repo.console import Table, console, err

if TYPE_CHECKING:
    from feature_repo.store import Store

_CENTRE = 2  # index of the channel with the voice in a clip of six


@dataclass(frozen=True)
class Stored:
    """What lies in a store: parts are immutable, so the same names are the same numbers.

    Attributes:
        views: view to (live rows, names of its parts).
        runs: keys of the finished training runs.
    """

    views: Mapping[str, tuple[int, tuple[str, ...]]]
    runs: frozenset[str]


def what_is_stored(demo: Demo) -> Stored:
    """The store's views and runs; nothing before the first extraction."""
    from feature_repo.errors import StoreFormatError

    try:
        store = _open(demo)
    except StoreFormatError:
        return Stored({}, frozenset())
    tables = {view: store.table(view) for view in store.views()}
    views = {view: (table.live_keys().height, tuple(table.parts())) for view, table in tables.items()}
    return Stored(
        views, frozenset(str(run["key"]) for run in demo.ask("runs") or ()) if views else frozenset()
    )


def summary(demo: Demo, before: Stored) -> bool:
    """Print what happened; True if every command succeeded and all was found as planted.

    Args:
        demo: whose steps were run.
        before: what was stored when it began.
    """
    now = what_is_stored(demo)
    console.print()
    console.rule("[bold]What happened[/bold]", align="left")
    if before.views == now.views:
        console.print("features: all were stored by an earlier run of the demo, 0 computed")
    else:
        rows = sum(rows for rows, _ in now.views.values())
        console.print(f"features: {rows:,} rows computed and stored in {len(now.views)} views")
    new = len(now.runs - before.runs)
    told = "" if new else " (a finished run is not run again)"
    console.print(f"training: {len(now.runs)} runs, {new} new{told}")
    as_planted = compare(demo, demo.ask("faults") or ())
    table = Table("command", "seconds", title="Time")
    table.columns[1].justify = "right"
    for command, seconds in demo.seconds:
        table.add_row(escape(command.replace(str(demo.folder), demo.folder.name)), f"{seconds:.1f}")
    table.add_row("[bold]together[/bold]", f"{sum(seconds for _, seconds in demo.seconds):.1f}")
    console.print(table)
    for what, place in (
        ("corpus", demo.corpus),
        ("wrong by intent", demo.corpus / TOLD),
        ("store", demo.store),
        ("features", demo.store / "features"),
        ("runs", demo.store / "runs"),
        ("figures", demo.folder / "figures"),
        ("contact sheets", demo.folder / "sheets"),
        ("pulled arrays", demo.folder / "pulled"),
    ):
        console.print(f"{what:>17}  {place}", highlight=False, markup=False, soft_wrap=True)
    if demo.failed:
        err.print(f"{len(demo.failed)} commands failed: {'; '.join(demo.failed)}", style="red", markup=False)
    console.print("Run [cyan]affectstore demo[/cyan] again: nothing will be computed a second time.")
    return as_planted and not demo.failed


def compare(demo: Demo, failed: Sequence[Mapping[str, Any]]) -> bool:
    """Print planted against found; True if exactly the planted utterances failed, and were removed for their reason.

    Args:
        demo: whose store is asked.
        failed: what ``affectstore faults --json`` answers.
    """
    store = _open(demo)
    expected = _expected_faults(store)
    errors = {(str(row["view"]), _short(row["utterance_id"])): str(row["error"]) for row in failed}
    removed = _removed(store)
    wanted = removals()
    table = Table(
        "utterance", "wrong by intent", "extraction failed with", "in views", "removed for", title="Found"
    )
    for key in sorted({*PLANTED, *removed, *(key for _, key in errors)}):
        views = {view for view, other in errors if other == key}
        reasons = ", ".join(sorted({error for (_, other), error in errors.items() if other == key}))
        right = views == {view for view, other in expected if other == key}
        shown = _coloured(reasons or ("" if right else "nothing"), right)
        verdict = _coloured(removed.get(key, "kept"), removed.get(key) == wanted.get(key))
        table.add_row(key, PLANTED.get(key, "nothing"), shown, str(len(views) or ""), verdict)
    console.print(table)
    faults_agree, removals_agree = set(errors) == expected, removed == wanted
    _tell(
        faults_agree,
        f"all {len(faults())} planted faults were found, and no other utterance failed",
        "what failed is not what was broken by intent",
    )
    _tell(
        removals_agree,
        f"all {len(wanted)} planted utterances were removed for their reason, and no other utterance was",
        "what was removed is not what is wrong by intent",
    )
    heard = _channel(store)
    _tell(
        heard == _CENTRE,
        f"of six channels the third was heard, the only one with a voice ({SIX_CHANNELS})",
        f"of the six channels of {SIX_CHANNELS} the third was not heard",
    )
    return faults_agree and removals_agree and heard == _CENTRE


def _expected_faults(store: Store) -> set[tuple[str, str]]:
    """(view, utterance) of what must fail: the views made from media, where the planted thing hinders them."""
    modalities = {
        view: store.recipe(view).modality for view in store.views() if store.recipe(view).reads == "media"
    }
    return {
        (view, key)
        for view, modality in modalities.items()
        for key, hindered in faults().items()
        if modality in hindered
    }


def _removed(store: Store) -> dict[str, str]:
    """Utterance to the first reason that removed it; empty without a verdict."""
    if VERDICT not in store.verdicts.names():
        return {}
    rows = store.verdicts.load(VERDICT).rows.select("utterance_id", "passed", "reason")
    return {_short(utterance_id): reason for utterance_id, passed, reason in rows.iter_rows() if not passed}


def _channel(store: Store) -> int | None:
    """The channel that was heard of the clip with six; None if it was not measured."""
    from feature_repo.records import live_rows

    levels = [view for view in store.views() if store.recipe(view).modality == "level"]
    if not levels:
        return None
    rows = live_rows(store, levels[0], [f"{NAME}/{SIX_CHANNELS}"], ["channel"])
    return None if rows.is_empty() else int(rows["channel"][0])


def _tell(agree: bool, right: str, wrong: str) -> None:
    if agree:
        console.print(right, highlight=False, soft_wrap=True)
    else:
        err.print(wrong, style="red", highlight=False)


def _coloured(words: str, right: bool) -> str:
    return f"[{'green' if right else 'red'}]{escape(words)}[/]" if words else ""


def _short(utterance_id: object) -> str:
    return str(utterance_id).removeprefix(f"{NAME}/")


def _open(demo: Demo) -> Store:
    from feature_repo.store import open_store

    return open_store(str(demo.store), cache=str(demo.folder / "cache"))
