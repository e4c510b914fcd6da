"""The command ``derive``; with it ``calibrate`` is mounted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feature_repo.console import CorpusOption, DeviceOption, ProfileOption, RootOption, Table, console, err
from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    from extractors.quality.derivation import DeriveReport
    from feature_repo.fill import ViewPlan
    from feature_repo.quality_config import QualityConfig
    from feature_repo.store import Store

START = (
    0.4  # cosine at which calibration begins to tell people apart; a second pass uses what the first found
)
_MEANING = {
    "reference": "the face of each speaker",
    "match": "faces against their speaker's",
    "offsets": "faces of the frames around",
    "offsetmatch": "those against their speaker's",
    "face": "the speaker's own face",
    "alignment": "transcripts against texts",
}


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    from extractors.quality import calibrate_command

    app.command()(derive)
    calibrate_command.add_commands(app)


def derive(
    root: RootOption = None,
    profile: ProfileOption = None,
    corpus: CorpusOption = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="A TOML file of thresholds, over the store's.", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", help="A threshold, such as [cyan]face.facenet512.similarity=0.35[/cyan]."
        ),
    ] = None,
    faces: Annotated[
        list[str] | None,
        typer.Option(
            "--faces",
            help="A setting of the extractor of faces for the offset search, such as "
            "[cyan]detector_model=FILE[/cyan], where the recorded one holds no more.",
        ),
    ] = None,
    retry_faults: Annotated[
        bool, typer.Option("--retry-faults", help="Try again what failed before with the same content.")
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Find each speaker's face and match it, look around where it is not seen, compare transcripts with texts.

    It reads what `extract` stored and computes what is missing; interrupt it at will. [cyan]quality[/cyan] then judges.

    Examples: [cyan]affectstore derive[/cyan], [cyan]affectstore derive -p paper -c meld[/cyan]
    """
    from extractors.quality.derivation import source_profile
    from feature_repo.quality_config import load_quality_config
    from feature_repo.store import open_store

    store = open_store(root)
    chosen = load_quality_config(store, config, tuple(settings or ()))
    name = source_profile(store, profile)
    report = _run(store, name, corpus, chosen, _pairs(faces or []), retry_faults, device)
    _tell(report)
    if not report.fills:
        err.print("nothing could be derived", style="red")
        raise typer.Exit(1)
    if report.everything_failed:
        err.print("everything failed; the reasons are in `affectstore faults`", style="red")
        raise typer.Exit(1)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadInputError(f"--faces {text!r}: must be key=value")
        found[key] = value
    return found


def _run(
    store: Store,
    profile: str,
    corpora: Sequence[str] | None,
    config: QualityConfig,
    faces: Mapping[str, str],
    retry_faults: bool,
    device: str,
) -> DeriveReport:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from extractors.commands import INTERRUPTED, ending_like_ctrl_c
    from extractors.quality.derivation import Watch
    from extractors.quality.derivation import derive as run_derivations

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=err, transient=True)
    task = progress.add_task("", total=None, visible=False)
    step, kept = "", 0

    def show_step(name: str) -> None:
        nonlocal step
        step = name
        progress.reset(task, description=_MEANING.get(name, name), visible=False)

    def show_plan(plans: Mapping[str, ViewPlan]) -> None:
        total = sum(len(todo.keys) for todo in plans.values())
        progress.update(task, total=total, visible=total > 0)

    def advance(count: int) -> None:
        nonlocal kept
        kept += count
        progress.advance(task, count)

    watch = Watch(
        on_step=show_step,
        on_plan=show_plan,
        on_progress=advance,
        on_load=lambda name: progress.update(task, description=f"{_MEANING.get(step, step)} ({name})"),
    )
    try:
        with ending_like_ctrl_c(), progress:
            return run_derivations(
                store,
                profile,
                corpora=corpora,
                config=config,
                settings=faces,
                retry_faults=retry_faults,
                device=device,
                watch=watch,
            )
    except KeyboardInterrupt:
        err.print(
            f"interrupted at {step or 'the beginning'}; {kept:,} rows were finished and are kept; "
            "the same command goes on from here",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None


def _tell(report: DeriveReport) -> None:
    table = Table(
        "derivation", "slot", "view", "computed", "copied", "removed", "failed", "failed before", "up to date"
    )
    slots = {view: slot for slot, view in report.views.items()}
    for name, filled in report.fills.items():
        for view, counts in filled.views.items():
            numbers = (
                counts.computed,
                counts.copied,
                counts.buried,
                counts.faulted,
                counts.skipped_faults,
                counts.up_to_date,
            )
            cells = (f"{number:,}" if number else "-" for number in numbers)
            table.add_row(_MEANING.get(name, name), slots[view], view, *cells)
    if report.fills:
        console.print(table)
    for filled in report.fills.values():
        for reason, count in filled.faults_by_reason.most_common():
            console.print(f"  {count:,} failed with {reason}", style="yellow", highlight=False)
    by_reason: dict[str, list[str]] = {}
    for name, reason in report.skipped.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        console.print(
            f"skipped {', '.join(names)}: {reason}", style="yellow", highlight=False, soft_wrap=True
        )
    if report.fills and not report.tried:
        console.print("nothing to do: 0 rows computed, no model was loaded")
    if report.views and not report.everything_failed:
        console.print(f"profile [bold]{report.profile}[/bold] means these views", highlight=False)
