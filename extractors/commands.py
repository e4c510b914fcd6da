"""The commands that compute: ``extract`` and ``extractors``."""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feature_repo.console import CorpusOption, DeviceOption, RootOption, Table, console, err
from feature_repo.errors import AffectStoreError, BadInputError

if TYPE_CHECKING:
    from extractors.engines.ray_cluster import RayPlace
    from extractors.protocol import Extractor
    from feature_repo.fill import FillReport, ViewPlan
    from feature_repo.store import Store

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands to the command line."""
    from extractors.corpora import commands as corpora_commands
    from extractors.quality import derive_commands, quality_command, review_command

    corpora_commands.add_commands(app)
    app.command()(extract)
    app.command("extractors")(list_extractors)
    for module in (derive_commands, quality_command, review_command):
        module.add_commands(app)


def extract(
    root: RootOption = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", "-p", help="Named set of extractors: classic, wheels, ssl, checked or paper."
        ),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option("--extractor", "-e", help="One extractor; see [cyan]affectstore extractors[/cyan]."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "-s",
            help="A setting, [cyan]key=value[/cyan]; with a profile [cyan]extractor.key=value[/cyan].",
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="Let this profile of the store mean the new views, not the one of the set's name.",
            show_default="the set's; default for one extractor",
        ),
    ] = None,
    corpus: CorpusOption = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only tell what would be computed, and its cost.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option("--shard", help="One part of the utterances, such as [cyan]2/8[/cyan].")
    ] = None,
    retry_faults: Annotated[
        bool, typer.Option("--retry-faults", help="Try again what failed before with the same content.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Utterances per pass; changes no number.", min=1)
    ] = None,
    device: DeviceOption = "auto",
    download: Annotated[
        bool, typer.Option("--download", help="Allow models that are not at hand to be downloaded.")
    ] = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option("--engine", help="Where to compute: in this process, or on Ray's workers."),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            help="Worker processes.",
            min=1,
            show_default="one a core",
            rich_help_panel="Ray",
        ),
    ] = None,
    ray_address: Annotated[
        str,
        typer.Option(
            "--ray-address",
            help="A cluster that this machine belongs to: [cyan]auto[/cyan] or [cyan]host:port[/cyan]. Media must lie "
            "at the same paths on all its machines.",
            show_default="a Ray of this run's own",
            rich_help_panel="Ray",
        ),
    ] = "local",
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-worker",
            help="Share of a GPU for each worker, such as [cyan]0.5[/cyan].",
            min=0,
            show_default="1 where there are GPUs",
            rich_help_panel="Ray",
        ),
    ] = None,
) -> None:
    """Compute the embeddings that the store lacks. Interrupt it at will: what is finished stays, a rerun goes on.

    Examples: [cyan]affectstore extract --profile wheels[/cyan],
    [cyan]affectstore extract -e sentence -s model=/models/mpnet -c meld --plan[/cyan],
    [cyan]affectstore extract -e hashing -s context=7 -s prefix=yes --as context-7[/cyan],
    [cyan]affectstore extract --profile ssl --engine ray --ray-address auto --gpus-per-worker 1[/cyan]
    """
    from extractors.shard import Shard
    from extractors.transcript_source import reading_transcripts
    from feature_repo.store import open_store

    part = Shard.parse(shard) if shard else None
    place = _ray_place(engine, workers, ray_address, gpus_per_worker)
    chosen = _chosen(profile, extractor, settings or [], batch_size, download)
    store = open_store(root)
    manifest = store.manifest(corpus)
    if manifest.is_empty():
        raise BadInputError(f"{store.root} has no utterances; start with `affectstore ingest CORPUS FOLDER`")
    chosen = [reading_transcripts(store, each) for each in chosen]
    ids = [each for each in manifest["utterance_id"] if part.holds(each)] if part else None
    if plan:
        _tell_plan(store, chosen, corpus, ids, retry_faults, device)
        return
    name = into or profile or "default"
    store.catalog.set(name, {})  # a name that no profile can have is told before anything is computed
    meant = store.catalog.slots(name) if name in store.catalog.profiles() else {}
    report = _run(store, chosen, name, corpus, ids, retry_faults, device, place)
    slots = {recipe.view: recipe.slot for each in chosen for recipe in each.recipes().values()}
    _tell_report(report, name, slots, meant)
    if report.everything_failed:
        err.print("everything failed; the reasons are in `affectstore faults`", style="red")
        raise typer.Exit(1)


def list_extractors() -> None:
    """List the extractors with their settings, dimensions and weights, and the profiles.

    Example: [cyan]affectstore extractors[/cyan]
    """
    import dataclasses

    from extractors.profiles import PROFILES
    from extractors.registry import create, extractor_class, extractor_names
    from extractors.settings import ModelSettings

    table = Table("extractor", "reads", "gives", "weights", "settings (default)")
    for name in extractor_names():
        kind = extractor_class(name)
        made = create(name)
        try:
            gives = "\n".join(
                f"{r.slot}: {r.width} {r.dtype}" if r.width else f"{r.slot}: a record"
                for r in made.recipes().values()
            )
            weights = "at hand" if any(r.weights for r in made.recipes().values()) else "none needed"
        except AffectStoreError:
            gives, weights = kind.modality, "[yellow]not at hand[/yellow]"
        if isinstance(made.settings, ModelSettings):
            weights = f"{made.settings.model}\n{weights}" if made.settings.model else "any: --set model=FILE"
        elif hasattr(made.settings, "file"):
            weights = "any: --set file=FILE"
        options = [
            f"{f.name} ({_shown(getattr(made.settings, f.name))})" for f in dataclasses.fields(made.settings)
        ]
        hidden = ("model", "download", "batch_size")
        listed = ", ".join(option for option in options if not option.startswith(hidden))
        table.add_row(f"[bold]{name}[/bold]\n{kind.summary}", kind.needs, gives, weights, listed or "-")
        table.add_section()
    console.print(table)
    for name, specs in PROFILES.items():
        members = ", ".join(" ".join([spec.name, *spec.settings.values()]) for spec in specs)
        console.print(f"profile [bold]{name}[/bold]: {members}", highlight=False, soft_wrap=True)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    shown = ",".join(value) if isinstance(value, tuple) else str(value)
    return (shown if shown == shown.strip() else repr(shown)) or "none"


def _chosen(
    profile: str | None,
    extractor: str | None,
    settings: Sequence[str],
    batch_size: int | None,
    download: bool,
) -> list[Extractor]:
    """The extractors that the options name, models not loaded."""
    from extractors.profiles import PROFILES, profile_extractors
    from extractors.registry import create, extractor_class, extractor_names
    from extractors.settings import ModelSettings
    from feature_repo.errors import UnknownNameError

    if (profile is None) == (extractor is None):
        raise BadInputError(
            f"say what to compute: either --profile ({', '.join(PROFILES)}) "
            f"or --extractor ({', '.join(extractor_names())})"
        )
    given: dict[str, dict[str, str]] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        owner, dot, name = key.rpartition(".")
        if not equals or not name or (profile and not dot):
            form = "extractor.key=value" if profile else "key=value"
            raise BadInputError(f"--set {setting!r}: must be {form}")
        if extractor and owner not in ("", extractor):
            raise UnknownNameError("extractor of this run", owner, [extractor])
        given.setdefault(owner or str(extractor), {})[name] = value
    if profile is not None and profile not in PROFILES:
        raise UnknownNameError("profile", profile, PROFILES)
    names = [extractor] if extractor else [spec.name for spec in PROFILES[str(profile)]]
    for name in names:
        own = given.setdefault(name, {})
        if batch_size is not None:
            own["batch_size"] = str(batch_size)
        if download and issubclass(extractor_class(name).Settings, ModelSettings):
            own["download"] = "yes"
    return [create(extractor, given[extractor])] if extractor else profile_extractors(str(profile), given)


def _ray_place(
    engine: str, workers: int | None, address: str, gpus_per_worker: float | None
) -> RayPlace | None:
    """Where Ray's workers are; None for the engine of this process."""
    from extractors.engines.ray_cluster import RayPlace

    place = RayPlace(address, workers, gpus_per_worker)
    if engine == "ray":
        return place
    if place != RayPlace():
        raise BadInputError("--workers, --ray-address and --gpus-per-worker go with --engine ray")
    return None


def _tell_plan(
    store: Store,
    chosen: Sequence[Extractor],
    corpora: Sequence[str] | None,
    ids: Collection[str] | None,
    retry_faults: bool,
    device: str,
) -> None:
    from extractors.estimate import estimate, free_bytes
    from feature_repo.fill import plan

    recipes = {recipe.view: recipe for each in chosen for recipe in each.recipes().values()}
    plans = plan(store, list(recipes.values()), corpora=corpora, ids=ids, retry_faults=retry_faults)
    estimates = estimate(plans, chosen, store.manifest(corpora), device)
    table = Table("slot", "view", "to compute", "to copy", "failed before", "up to date", "size", "time")
    for each in estimates:
        counts = (each.to_compute, each.to_copy, each.faulted, each.up_to_date)
        size = "unknown" if each.size is None else _bytes(each.size)
        seconds = "unknown" if each.seconds is None else _duration(each.seconds)
        table.add_row(each.slot, each.view, *(f"{count:,}" for count in counts), size, seconds)
    console.print(table)
    if any(each.seconds is None for each in estimates):
        console.print("time is unknown until an extractor has run on this machine and device", style="dim")
    needed, free = sum(each.size or 0 for each in estimates), free_bytes(store.root)
    if free is not None:
        fits = "the disk holds it" if needed < free else "[red]the disk does not hold it[/red]"
        console.print(f"to be written: about {_bytes(needed)}; free: {_bytes(free)}; {fits}", highlight=False)


def _run(
    store: Store,
    chosen: Sequence[Extractor],
    profile: str,
    corpora: Sequence[str] | None,
    ids: Collection[str] | None,
    retry_faults: bool,
    device: str,
    place: RayPlace | None,
) -> FillReport:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from extractors.extraction import extract as run_extraction
    from feature_repo.fill import plan

    missing: dict[str, int] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=err, transient=True)
    task = progress.add_task("computing", total=None, visible=False)

    def show_plan(plans: Mapping[str, ViewPlan]) -> None:
        missing.update({view: len(todo.keys) for view, todo in plans.items()})
        total = sum(missing.values())
        progress.update(task, total=total, visible=total > 0)

    try:
        with ending_like_ctrl_c(), progress:
            report, _ = run_extraction(
                store,
                chosen,
                profile=profile,
                corpora=corpora,
                ids=ids,
                retry_faults=retry_faults,
                device=device,
                ray=place,
                on_plan=show_plan,
                on_progress=lambda count: progress.advance(task, count),
                on_load=lambda name: progress.update(task, description=f"computing ({name})"),
            )
    except KeyboardInterrupt:
        recipes = {recipe.view: recipe for each in chosen for recipe in each.recipes().values()}
        left = plan(store, list(recipes.values()), corpora=corpora, ids=ids)
        kept = {view: count - len(left[view].keys) for view, count in missing.items()}
        told = ", ".join(
            f"{count:,} of {missing[view]:,} in {view}" for view, count in kept.items() if missing[view]
        )
        err.print(
            f"interrupted; kept: {told or 'nothing was missing'}; the same command goes on from here",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    return report


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """A job that is told to end (a cluster's time limit) keeps its finished work as after Ctrl-C."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread: whoever runs us there has its own way to end us
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell_report(
    report: FillReport, profile: str, slots: Mapping[str, str], meant: Mapping[str, str]
) -> None:
    """Print the counts, and what the profile meant by these slots before."""
    tried = report.computed + sum(view.faulted for view in report.views.values())
    table = Table("slot", "view", "computed", "copied", "removed", "failed", "failed before", "up to date")
    for view, counts in report.views.items():
        numbers = (
            counts.computed,
            counts.copied,
            counts.buried,
            counts.faulted,
            counts.skipped_faults,
            counts.up_to_date,
        )
        table.add_row(slots[view], view, *(f"{number:,}" if number else "-" for number in numbers))
    console.print(table)
    for reason, count in report.faults_by_reason.most_common():
        console.print(f"  {count:,} failed with {reason}", style="yellow", highlight=False)
    for reason, count in report.nothings_by_reason.most_common():
        console.print(f"  {count:,} stored as nothing: {reason}", highlight=False)
    if not tried:
        console.print("nothing to do: 0 utterances computed, no model was loaded")
    skipped = sum(view.skipped_faults for view in report.views.values())
    if skipped:
        console.print(
            f"{skipped:,} rows failed before and were left alone; --retry-faults tries them again",
            style="dim",
        )
    if not report.everything_failed:
        console.print(f"profile [bold]{profile}[/bold] means these views", highlight=False)
        for view, slot in slots.items():
            if meant.get(slot, view) != view:
                console.print(
                    f"  {slot} was {meant[slot]}; affectstore use {meant[slot]} -p {profile} means it again",
                    style="yellow",
                    highlight=False,
                    soft_wrap=True,
                )


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
