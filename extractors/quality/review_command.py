"""The command ``review``: sheets of faces for a person to look at, and the decisions read back."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from feature_repo.console import CorpusOption, ProfileOption, RootOption, console, err
from feature_repo.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from feature_repo.store import Store

_OPTIONAL = ("offsets_steps", "offsetmatch")


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    app.command()(review)


def review(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write sheets and review.csv into this folder.", show_default=False),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option("--apply", "-a", help="Take in the decisions of this review.csv.", show_default=False),
    ] = None,
    corpus: CorpusOption = None,
    speaker: Annotated[
        list[str] | None,
        typer.Option(
            "--speaker", "-s", help="Only this speaker; may be given several times.", show_default="all"
        ),
    ] = None,
    profile: ProfileOption = None,
    root: RootOption = None,
) -> None:
    """Let a person decide which faces are the speaker's, and which utterances show or say something else.

    First [cyan]affectstore review --out sheets[/cyan]; then look, fill in the column [bold]decision[/bold] of
    sheets/review.csv (keep or reject a face; offscreen, misaligned or keep an utterance); then
    [cyan]affectstore review --apply sheets/review.csv[/cyan] and [cyan]affectstore derive[/cyan].
    """
    from feature_repo.store import open_store

    if (out is None) == (apply is None):
        raise BadInputError(
            "say either --out FOLDER (write sheets) or --apply review.csv (take decisions in)"
        )
    store = open_store(root)
    if apply is not None:
        if corpus or speaker:
            raise BadInputError("--apply takes the whole file: --corpus and --speaker belong to --out")
        _apply(store, apply, profile)
    elif out is not None:
        _write(store, out, profile, _speakers(store, corpus, speaker))


def _apply(store: Store, path: Path, profile: str | None) -> None:
    from extractors.quality.review_file import read_review

    if profile is not None:
        store.catalog.slots(profile)  # a slip is told before anything is stored
    decisions = read_review(store, path)
    changed = store.reviews.add(decisions)
    console.print(f"{decisions.height:,} decisions in {escape(str(path))}, {changed:,} of them new")
    try:
        view = store.resolve("reference", profile)
    except UnknownNameError:
        return  # no references were made yet, so none is out of date
    outdated = _outdated(store, view)
    if outdated:
        console.print(f"{outdated:,} references are out of date: run [cyan]affectstore derive[/cyan]")
    else:
        console.print("every reference is up to date")


def _outdated(store: Store, reference: str) -> int:
    """How many speakers' references are made of other clips or faces than the decisions say."""
    from feature_repo.coverage import utterance_states  # resolves keys of every utterance

    states = utterance_states(store, reference, store.manifest())["state"]
    return int(states.is_in(["stale", "missing"]).sum())


def _write(store: Store, folder: Path, profile: str | None, speakers: list[str] | None) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from extractors.quality.review_candidates import doubtful_utterances, face_candidates
    from extractors.quality.review_sheet import write_review
    from feature_repo.quality_config import load_quality_config, space_name

    reference = store.resolve("reference", profile)
    (faces_view,) = store.inputs_of(store.recipe(reference)).values()
    views = {"reference": reference, "faces_steps": faces_view}
    views["match"] = store.resolve("match", profile)
    for slot in _OPTIONAL:
        with contextlib.suppress(UnknownNameError):  # a store without an offset search has none
            views[slot] = store.resolve(slot, profile)
    matches = [views[slot] for slot in ("match", "offsetmatch") if slot in views]
    similarity_at = load_quality_config(store).face_similarity(space_name(store, faces_view))
    faces = face_candidates(store, reference, speakers)
    doubtful = doubtful_utterances(store, matches, similarity_at, speakers)
    count = len({*faces["speaker_id"], *doubtful["speaker_id"]})
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("speakers", total=count)
        written = write_review(
            store, folder, faces, doubtful, views, similarity_at, lambda done: progress.advance(task, done)
        )
    console.print(
        f"{len(written) - 1:,} sheets with {faces.height:,} faces; {doubtful.height:,} utterances to look at"
    )
    console.print(f"fill in the column [bold]decision[/bold] of {escape(str(written[0]))}, then")
    console.print(f"[cyan]affectstore review --apply {escape(str(written[0]))}[/cyan]")
    err.print("Faces are biometric data: keep the sheets as you keep the clips.")


def _speakers(store: Store, corpora: list[str] | None, named: list[str] | None) -> list[str] | None:
    """The speakers that are wanted; None is everybody."""
    if not corpora and not named:
        return None
    known = store.manifest(corpora)["speaker_id"].drop_nulls().unique().to_list()
    for name in named or ():
        if name not in known:
            raise UnknownNameError("speaker", name, known)
    return sorted(named or known)
