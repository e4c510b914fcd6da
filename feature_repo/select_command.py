"""The command that keeps lists of utterances under a name: ``select``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from feature_repo.console import CorpusOption, JsonOption, RootOption, Table, VerdictOption, console
from feature_repo.errors import BadInputError
from feature_repo.manifest_command import print_emotions

if TYPE_CHECKING:
    import polars as pl

    from feature_repo.selections import NamedSelection
    from feature_repo.store import Store


def select(
    name: Annotated[
        str | None, typer.Argument(help="What it will be called.", show_default="list the selections")
    ] = None,
    corpus: CorpusOption = None,
    emotion: Annotated[
        list[str] | None, typer.Option("--emotion", help="Only this emotion.", show_default="all")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Only utterances of this saved split.", show_default=False),
    ] = None,
    part: Annotated[
        Literal["train", "validation", "test"] | None,
        typer.Option("--part", help="Only this part of the split.", show_default="all"),
    ] = None,
    unseen_texts: Annotated[
        bool,
        typer.Option("--unseen-texts", help="Only texts that stand in no training utterance of the split."),
    ] = False,
    verdict: VerdictOption = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="What the verdict removed, not what passed it.")
    ] = False,
    random_like: Annotated[
        str | None,
        typer.Option(
            "--random-like",
            help="Of what the other options leave, so many at random as are of this selection or verdict; a plain draw,"
            " not stratified.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the random choice.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a selection of this name.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the selection of this name.")] = False,
    as_json: JsonOption = False,
    root: RootOption = None,
) -> None:
    """Keep a list of utterances under a name, to train on it or to score it by itself; without a name, list them.

    Examples: [cyan]affectstore select unseen --split audio-text --part test --unseen-texts[/cyan]

    [cyan]affectstore select chance --split audio-text --part train --random-like paper --seed 1[/cyan]: as many as the
    training utterances that passed the verdict [cyan]paper[/cyan]
    """
    from feature_repo.selecting import Choice
    from feature_repo.selecting import select as select_utterances
    from feature_repo.store import open_store

    store = open_store(root)
    if name is None:
        _list(store, as_json)
        return
    if remove:
        store.selections.remove(name)
        console.print(f"removed {escape(name)}")
        return
    if name in store.selections.names() and not replace:
        raise BadInputError(
            f"selection {name!r} is there already, and runs may rest on it; take another name or --replace"
        )
    choice = Choice(
        corpora=tuple(corpus or ()),
        emotions=tuple(emotion or ()),
        split=split,
        part=part,
        verdict=verdict,
        failed=failed,
        unseen_texts=unseen_texts,
        random_like=random_like,
        seed=seed,
    )
    found = select_utterances(store, name, choice)
    store.selections.save(found)
    if as_json:
        typer.echo(json.dumps(_as_json(found)))
        return
    _print_selection(found, store.manifest())
    console.print(
        f"kept as [bold]{escape(name)}[/bold] (digest {found.digest[:8]}): [cyan]affectstore train --report"
        f" {escape(name)}[/cyan] scores it, [cyan]--train-on {escape(name)}[/cyan] trains on it",
        soft_wrap=True,
        highlight=False,
    )


def _print_selection(found: NamedSelection, manifest: pl.DataFrame) -> None:
    import polars as pl  # help needs none of it

    from feature_repo.manifest_census import LEFT_OUT

    rows = manifest.filter(pl.col("utterance_id").is_in(found.ids))
    counts = rows.group_by("corpus", pl.col("emotion").fill_null(LEFT_OUT)).agg(pl.len().alias("utterances"))
    print_emotions(counts.sort("corpus"), ["corpus"], f"Selection {escape(found.name)}, in utterances")


def _list(store: Store, as_json: bool) -> None:
    found = [store.selections.load(name) for name in store.selections.names()]
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in found]))
        return
    if not found:
        console.print("no selections yet: [cyan]affectstore select NAME[/cyan] keeps one")
        return
    table = Table("selection", title="Selections")
    table.add_column("utterances", justify="right")
    for header in ("digest", "made", "of"):
        table.add_column(header)
    for one in found:
        how = ", ".join(
            f"{key.replace('_', ' ')} {_words(value)}"
            for key, value in one.made.items()
            if not key.endswith("_digest")
        )
        table.add_row(escape(one.name), f"{len(one.ids):,}", one.digest[:8], one.created[:10], escape(how))
    console.print(table)


def _words(value: Any) -> str:
    if value is True:
        return "yes"
    return " ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _as_json(one: NamedSelection) -> dict[str, object]:
    return {
        "selection": one.name,
        "utterances": len(one.ids),
        "digest": one.digest,
        "created": one.created,
        "made": dict(one.made),
    }
