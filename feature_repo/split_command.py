"""The command that makes a split, checks it for leakage and keeps it: ``split``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from feature_repo.console import CorpusOption, RootOption, Table, console, err
from feature_repo.errors import BadInputError
from feature_repo.leakage_command import LimitOption, print_leakage
from feature_repo.manifest_command import DomainOption, count_cell, print_emotions

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from feature_repo.selections import NamedSelection
    from feature_repo.splits import SavedSplit
    from feature_repo.store import Store


def split(
    name: Annotated[
        str | None, typer.Argument(help="What it will be called.", show_default="list the splits")
    ] = None,
    corpus: CorpusOption = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            help="CORPUS=RULE: [cyan]official[/cyan] keeps the corpus's own parts, [cyan]speaker[/cyan] puts nobody"
            " into two, [cyan]random[/cyan] deals out utterances, [cyan]train[/cyan], [cyan]validation[/cyan] and"
            " [cyan]test[/cyan] take all of it; several times.",
            show_default="official where there is one, else speaker, else random",
        ),
    ] = None,
    shares: Annotated[
        str | None,
        typer.Option("--shares", help="Of train, validation and test.", show_default="0.7,0.15,0.15"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed deals out others.")] = 0,
    domain: DomainOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a split of this name.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the split of this name.")] = False,
    with_leaks: Annotated[
        bool, typer.Option("--with-leaks", help="Save it although parts share what they must not.")
    ] = False,
    limit: LimitOption = 20,
    root: RootOption = None,
) -> None:
    """Make a split of several corpora and save it: acted corpora by speaker, those with official parts as they are.

    It is checked for leakage; the test rows of acted and of conversational corpora are saved as the selections
    NAME-testa and NAME-testb.

    Example: [cyan]affectstore split audio-text -c ravdess -c tess -c meld --rule tess=train[/cyan], then
    [cyan]affectstore train --protocol split:audio-text --report audio-text-testa --report audio-text-testb[/cyan]
    """
    from feature_repo.corpus_domains import domains_of
    from feature_repo.leakage import check_leakage
    from feature_repo.option_pairs import option_pairs
    from feature_repo.split_making import make_split
    from feature_repo.store import open_store

    store = open_store(root)
    if name is None:
        _list(store)
        return
    if remove:
        store.splits.remove(name)
        _remove_old_tests(store, name)
        console.print(f"removed {escape(name)}")
        return
    if name in store.splits.names() and not replace:
        raise BadInputError(
            f"split {name!r} is there already, and runs may rest on it; take another name or --replace"
        )
    manifest = store.manifest(corpus)
    domains = domains_of(manifest["corpus"].unique(), option_pairs("--domain", domain))
    rules = option_pairs("--rule", rule)
    made = make_split(name, manifest, rules=rules, shares=_shares(shares), seed=seed)
    tests = _test_selections(made, domains)
    for test in tests:
        if test.name in store.selections.names() and not (replace and _is_of(store, test.name, name)):
            raise BadInputError(
                f"selection {test.name!r} is there already; take another name, or remove it by"
                f" `affectstore select {test.name} --remove`"
            )
    _print_split(made, manifest)
    report = check_leakage(made, manifest)
    print_leakage(report, limit)
    if report.leaks and not with_leaks:
        err.print(
            "not saved: deal these corpora out by --rule CORPUS=speaker or random, or save it --with-leaks",
            style="red",
            soft_wrap=True,
        )
        raise typer.Exit(1)
    store.splits.save(made)
    if replace:
        _remove_old_tests(store, name)
    for test in tests:
        store.selections.save(test)
    told = "".join(f", {test.name} ({len(test.ids):,} utterances)" for test in tests)
    console.print(
        f"kept as [bold]{escape(name)}[/bold] (digest {made.digest[:8]}){'; selections' if tests else ''}"
        f"{escape(told.removeprefix(','))}",
        soft_wrap=True,
        highlight=False,
    )
    reports = "".join(f" --report {test.name}" for test in tests)
    console.print(
        f"next: [cyan]affectstore train --protocol split:{escape(name)}{escape(reports)}[/cyan]",
        soft_wrap=True,
    )


def _print_split(made: SavedSplit, manifest: pl.DataFrame) -> None:
    import polars as pl  # help needs none of it

    from feature_repo.manifest_census import LEFT_OUT
    from feature_repo.splits import PARTS

    shares = " / ".join(f"{made.made['shares'][part]:g}" for part in PARTS)
    assumed = " (assumed: papers/003 states none)" if made.made["assumed"] else ""
    console.print(
        f"{made.rows.height:,} utterances of {', '.join(made.corpora)}; shares {shares}{assumed}, seed"
        f" {made.made['seed']}",
        soft_wrap=True,
    )
    rows = manifest.join(made.rows.select("utterance_id", "part"), on="utterance_id")
    rows = rows.with_columns(
        rule=pl.col("corpus").replace_strict(made.made["rules"], return_dtype=pl.String),
        emotion=pl.col("emotion").fill_null(LEFT_OUT),
        people=pl.col("speaker_id").n_unique().over("corpus", "part")
        - pl.col("speaker_id").is_null().any().over("corpus", "part").cast(pl.UInt32),
    )
    rows = rows.with_columns(speakers=pl.col("people").map_elements(count_cell, return_dtype=pl.String))
    counts = rows.group_by("corpus", "rule", "part", "speakers", "emotion").agg(pl.len().alias("utterances"))
    order = pl.col("part").replace_strict(dict(zip(PARTS, range(len(PARTS)), strict=True)))
    print_emotions(
        counts.sort("corpus", order),
        ["corpus", "rule", "part", "speakers"],
        "Parts by emotion, in utterances",
    )
    reached = (
        rows.group_by("corpus", "rule", "part")
        .agg(pl.len())
        .with_columns(
            share=pl.col("len") / pl.col("len").sum().over("corpus"),
            wanted=pl.col("part").replace_strict(made.made["shares"], return_dtype=pl.Float64),
        )
    )
    short = reached.filter(
        pl.col("rule").is_in(["speaker", "random"]) & (pl.col("share") < pl.col("wanted") / 2)
    )
    for corpus, rule, part, _, share, wanted in short.sort("corpus", order).iter_rows():
        err.print(
            f"{corpus}: {part} has {100 * share:.1f} % of the utterances, not {100 * wanted:.0f} %: by rule {rule!r}"
            " too many belong together (one speaker, dialogue or recording)",
            style="yellow",
            soft_wrap=True,
            highlight=False,
        )


def _test_selections(made: SavedSplit, domains: Mapping[str, str]) -> list[NamedSelection]:
    """TestA and TestB (papers/003 section 1.5), where there are corpora of their domain with test rows."""
    from feature_repo.corpus_domains import ACTED, CONVERSATIONAL
    from feature_repo.selections import NamedSelection

    found = []
    for ending, domain in (("testa", ACTED), ("testb", CONVERSATIONAL)):
        ids = made.ids("test", [corpus for corpus in made.corpora if domains[corpus] == domain])
        if ids:
            how = {"split": made.name, "split_digest": made.digest, "part": "test", "domain": domain}
            found.append(NamedSelection(f"{made.name}-{ending}", ids, how, made.created))
    return found


def _remove_old_tests(store: Store, name: str) -> None:
    for old in (f"{name}-testa", f"{name}-testb"):
        if old in store.selections.names() and _is_of(store, old, name):
            store.selections.remove(old)


def _is_of(store: Store, selection: str, split: str) -> bool:
    """Whether a saved selection is TestA or TestB that was made with the split, not a list of somebody's own."""
    made = store.selections.load(selection).made
    return made.get("split") == split and "domain" in made


def _shares(text: str | None) -> dict[str, float] | None:
    from feature_repo.splits import PARTS

    if text is None:
        return None
    try:
        numbers = [float(number) for number in text.split(",")]
        return dict(zip(PARTS, numbers, strict=True))
    except ValueError:
        raise BadInputError(
            f"--shares {text!r}: expected three numbers, of train, validation and test, such as 0.7,0.15,0.15"
        ) from None


def _list(store: Store) -> None:
    from feature_repo.splits import PARTS

    if not store.splits.names():
        console.print("no splits yet: [cyan]affectstore split NAME[/cyan] makes one")
        return
    table = Table("split", *PARTS, "rules", "seed", "digest", "made", title="Splits, in utterances")
    for name in store.splits.names():
        saved = store.splits.load(name)
        rules = ", ".join(f"{corpus} {rule}" for corpus, rule in saved.made.get("rules", {}).items())
        counts = (count_cell(len(saved.ids(part))) for part in PARTS)
        seed = str(saved.made.get("seed", ""))
        table.add_row(name, *counts, rules, seed, saved.digest[:8], saved.created[:10])
    console.print(table)
