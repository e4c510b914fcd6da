"""The command ``quality``: judge what is stored, show what is left, keep and exchange verdicts. Computes no feature."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from feature_repo.console import CorpusOption, JsonOption, ProfileOption, RootOption, err
from feature_repo.errors import BadInputError, StoreWriteError

if TYPE_CHECKING:
    import polars as pl

    from feature_repo.measures import Measures
    from feature_repo.named_verdicts import NamedVerdict
    from feature_repo.quality_config import QualityConfig
    from feature_repo.store import Store

_SHOWN = 3  # unknown ids that are named


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    app.command()(quality)


def quality(
    corpus: CorpusOption = None,
    profile: ProfileOption = None,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", help="A TOML file of thresholds, over the store's.", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A threshold, such as [cyan]face.facenet512.similarity=0.35[/cyan].",
        ),
    ] = None,
    checks: Annotated[
        str | None,
        typer.Option(
            help="Only these checks, by commas: speaker, review, audio, transcript, alignment, face.",
            show_default="the config's",
        ),
    ] = None,
    save: Annotated[
        str | None, typer.Option("--save", help="Keep the verdict under this name.", show_default=False)
    ] = None,
    export_to: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="Write the verified ids with their thresholds as JSON; with --name, those of a kept verdict.",
            show_default=False,
        ),
    ] = None,
    import_from: Annotated[
        Path | None,
        typer.Option(
            "--import", help="Keep a list of verified ids, JSON or one id a line.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of the imported list, or of the verdict to export.", show_default=False
        ),
    ] = None,
    list_to: Annotated[
        Path | None,
        typer.Option("--list", help="Write every utterance with its reasons as CSV.", show_default=False),
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", help="Write the figures into this folder.", show_default=False)
    ] = None,
    sheets: Annotated[
        Path | None,
        typer.Option(
            "--sheets",
            help="Write contact sheets, examples of each reason with their frames and faces, into this folder.",
            show_default=False,
        ),
    ] = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge what is stored by thresholds, and show what is left. Computes nothing: change a threshold as you like.

    Examples: [cyan]affectstore quality -c meld[/cyan], [cyan]affectstore quality --set audio.peak_db=-50[/cyan],
    [cyan]affectstore quality --save paper[/cyan], then [cyan]affectstore train --slots text --verdict paper[/cyan]
    """
    from extractors.quality.composition import compositions
    from extractors.quality.quality_tables import as_json as told_as_json
    from extractors.quality.quality_tables import print_quality
    from feature_repo.measures import read_measures
    from feature_repo.named_verdicts import name_verdict
    from feature_repo.quality_config import load_quality_config
    from feature_repo.store import open_store
    from feature_repo.verdict import judge

    if import_from is not None and export_to is not None:
        raise BadInputError("--import and --export: one at a time")
    if name is not None and import_from is None and export_to is None:
        raise BadInputError("--name belongs to --import or --export; --save NAME keeps the verdict")
    store = open_store(root)
    if import_from is not None:
        _import(store, import_from, name)
        return
    if export_to is not None and name is not None:
        _export(store.verdicts.load(name), export_to)
        return
    config = load_quality_config(store, config_file, tuple(settings or ()))
    if checks is not None:
        config = config.with_checks([one.strip() for one in checks.split(",") if one.strip()])
    measures = read_measures(store, profile, corpus)
    if not measures.frame.height:
        raise BadInputError(f"{store.root} has no utterances: `affectstore ingest` a corpus first")
    judged = judge(measures, config)
    found = compositions(measures, judged, config)
    if as_json:
        typer.echo(json.dumps(told_as_json(found, measures, config)))
    else:
        print_quality(found, measures, config)
    if any("face" in one.checks for one in found):
        _tell_other_faces(store, measures, config)
    if save is not None or export_to is not None:
        verdict = name_verdict(
            store, save or str(export_to.stem if export_to else ""), measures, judged, config
        )
        if save is not None:
            store.verdicts.save(verdict)
            _tell(
                f"kept as [bold]{escape(save)}[/bold]: [cyan]affectstore pull ... --verdict {escape(save)}[/cyan]"
            )
        if export_to is not None:
            _export(verdict, export_to)
    if list_to is not None:
        _write(list_to, _listing(measures, judged).write_csv())
        _tell(f"wrote {judged.height:,} utterances to [bold]{escape(str(list_to))}[/bold]")
    if figures is not None:
        from extractors.quality.figures import write_figures  # draws with matplotlib

        _tell_written("figures", figures, write_figures(figures, measures, judged, config))
    if sheets is not None:
        from extractors.quality.contact_sheet import write_contact_sheets  # decodes frames, draws with Pillow

        _tell_written("contact sheets", sheets, write_contact_sheets(store, sheets, measures, judged, config))


def _tell_written(what: str, folder: Path, paths: Sequence[Path]) -> None:
    names = ", ".join(escape(name) for name in sorted({path.stem for path in paths}))
    _tell(f"wrote {what} into [bold]{escape(str(folder))}[/bold]: {names or 'none was called for'}")


def _tell_other_faces(store: Store, measures: Measures, config: QualityConfig) -> None:
    """Tell when the speakers' faces that are stored were chosen by another threshold than the verdict's."""
    view = measures.views.get("face")
    chosen = None if view is None else store.recipe(view).settings.get("min_similarity")
    asked = config.faces.get(measures.embedder or "")
    if chosen is None or asked is None or chosen == asked.value:
        return
    _tell(
        f"[yellow]{escape(str(view))} holds the speakers' faces from {chosen:g} on, not from {asked.value:g}: "
        "[cyan]affectstore derive[/cyan], with the same --set, chooses them anew[/yellow]"
    )


def _import(store: Store, path: Path, name: str | None) -> None:
    from feature_repo.verified_list import import_list

    read = import_list(store, path, name)
    store.verdicts.save(read.verdict)
    _tell(
        f"kept as [bold]{escape(read.verdict.name)}[/bold]: {len(read.verdict.ids):,} of "
        f"{read.verdict.rows.height:,} utterances verified"
    )
    if read.unknown:
        shown = ", ".join(read.unknown[:_SHOWN])
        more = f" and {len(read.unknown) - _SHOWN:,} more" if len(read.unknown) > _SHOWN else ""
        err.print(
            f"{len(read.unknown):,} ids of the list are in no manifest and were left out: {shown}{more}",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _export(verdict: NamedVerdict, path: Path) -> None:
    from feature_repo.verified_list import export_list

    _write(path, export_list(verdict))
    _tell(f"wrote {len(verdict.ids):,} verified ids to [bold]{escape(str(path))}[/bold]")


def _listing(measures: Measures, judged: pl.DataFrame) -> pl.DataFrame:
    """One row an utterance: who and what, whether it passed, and every reason in words."""
    import polars as pl

    told = judged.select("utterance_id", "passed", "reason", pl.col("reasons").list.join("; "))
    columns = ("utterance_id", "corpus", "split", "speaker_id", "emotion")
    return measures.frame.select(columns).join(told, on="utterance_id", maintain_order="left")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreWriteError(f"cannot write {path}: {error.strerror or error}") from error


def _tell(text: str) -> None:
    # Beside the answer, so that --json stays JSON.
    err.print(text, highlight=False, soft_wrap=True)
