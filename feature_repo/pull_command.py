"""The command that pulls features out of a store into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feature_repo.console import (
    CorpusOption,
    EmotionOption,
    IdsOption,
    JoinOption,
    PartOption,
    ProfileOption,
    RootOption,
    SchemeOption,
    SelectionOption,
    SpeakerOption,
    SplitOption,
    Table,
    VerdictOption,
    console,
)
from feature_repo.errors import UnknownNameError

if TYPE_CHECKING:
    from feature_repo.conversations import Dialogues
    from feature_repo.training_set import AppliedVerdict, TrainingSet

_PULL_SUFFIXES = (".npz", ".parquet", ".arrow")


def pull(
    slots: Annotated[
        list[str],
        typer.Argument(
            help="Slots such as text, speaker, text_steps, or names of views; ALIAS=VIEW names it otherwise."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write to .npz, .parquet or .arrow.", show_default="only counts"),
    ] = None,
    corpus: CorpusOption = None,
    split: SplitOption = None,
    emotion: EmotionOption = None,
    speaker: SpeakerOption = None,
    selection: SelectionOption = None,
    part: PartOption = None,
    ids: IdsOption = None,
    verdict: VerdictOption = None,
    by: Annotated[
        Literal["utterance", "dialogue"],
        typer.Option(
            "--by",
            help="dialogue: also who says what in which turn; --verdict then keeps the others as context.",
        ),
    ] = "utterance",
    join: JoinOption = "inner",
    labels: SchemeOption = "seven",
    profile: ProfileOption = None,
    root: RootOption = None,
) -> None:
    """Pull aligned features of any combination of slots; nothing is computed, and nothing is left out in silence.

    Example: [cyan]affectstore pull text speaker --corpus meld --split train -o train.npz[/cyan]

    What others made lists of: [cyan]affectstore pull text --part audio-text/test --selection unseen[/cyan]

    Whole, with recipes and licences, for another store or program: [cyan]affectstore export[/cyan]

    Two views of one slot: [cyan]affectstore pull raw=text_sentence_1a2b3c4d adapted=text_mlp_5e6f7a8b[/cyan]
    """
    from feature_repo.conversations import Dialogues
    from feature_repo.id_file import ids_in
    from feature_repo.pull import pull as pull_features
    from feature_repo.selection import Selection
    from feature_repo.store import open_store

    if output is not None and output.suffix not in _PULL_SUFFIXES:
        raise UnknownNameError("output format", output.suffix, _PULL_SUFFIXES)
    asked = ids_in(ids) if ids is not None else None
    where = Selection.of_options(corpus, split, emotion, speaker, selection, part)
    found = pull_features(
        open_store(root),
        slots,
        ids=asked,
        where=where,
        join=join,
        labels=labels,
        profile=profile,
        verdict=verdict,
        by=by,
    )
    if isinstance(found, Dialogues):
        print_coverage(found.training_set, join)
        print_dialogues(found)
    else:
        print_coverage(found, join)
    if output is not None:
        save(found, output)
        console.print(
            f"wrote [bold]{output}[/bold] ({output.stat().st_size / 2**20:.1f} MiB)", soft_wrap=True
        )


def print_coverage(found: TrainingSet, join: str) -> None:
    """Tell how many of the asked utterances each slot has, and why the others lack it."""
    if found.verdict is not None:
        print_verdict(found.verdict)
    table = Table(
        "slot", "view", title=f"{len(found.ids):,} utterances pulled ({join} join)", title_justify="left"
    )
    states = ("asked", "present", "nothing", "stale", "faulted", "missing", "inapplicable")
    for state in states:
        table.add_column(state, justify="right")
    for slot, counts in found.coverage.items():
        table.add_row(slot, found.views[slot], *(f"{getattr(counts, state):,}" for state in states))
    console.print(table)


def print_verdict(applied: AppliedVerdict) -> None:
    """Tell how many of the asked utterances a named verdict let through, and why it removed the others."""
    removed = sum(applied.removed.values())
    told = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in applied.removed.items())
    console.print(
        f"verdict [bold]{applied.name}[/bold]: {applied.passed:,} of {applied.passed + removed:,} asked utterances "
        f"passed{f'; removed: {told}' if told else ''}",
        soft_wrap=True,
    )


def print_dialogues(found: Dialogues) -> None:
    """Tell how many dialogues there are, how long, and how many of their turns are targets."""
    turns, targets = int(found.lengths.sum()), int(found.targets.sum())
    console.print(
        f"{len(found):,} dialogues, the longest of {found.lengths.max(initial=0):,} turns; {targets:,} turns are "
        f"targets, {turns - targets:,} are context alone",
        soft_wrap=True,
    )


def save(found: TrainingSet | Dialogues, output: Path) -> None:
    """Write a pulled set in the format that the file's suffix names."""
    if output.suffix == ".npz":
        found.save_npz(output)
    elif output.suffix == ".parquet":
        found.to_polars().write_parquet(output)
    else:
        found.to_polars().write_ipc(output)
