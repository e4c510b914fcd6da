"""The command that writes slots for other stores and programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    VerdictOption,
    console,
    err,
)
from feature_repo.errors import BadInputError
from feature_repo.exchange.rows_bar import rows_bar


def export(
    slots: Annotated[
        list[str],
        typer.Argument(
            help="Slots such as text, speaker, text_steps, or names of views; ALIAS=VIEW names it otherwise."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file, or for hf the folder, to write.")],
    format_name: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            help="npz, safetensors, hf (Hugging Face datasets) or mmsa (MMSA's feature pickle).",
            show_default="by the ending",
        ),
    ] = None,
    corpus: CorpusOption = None,
    split: SplitOption = None,
    emotion: EmotionOption = None,
    speaker: SpeakerOption = None,
    selection: SelectionOption = None,
    part: PartOption = None,
    ids: IdsOption = None,
    verdict: VerdictOption = None,
    join: JoinOption = "outer",
    labels: SchemeOption = "seven",
    text: Annotated[bool, typer.Option("--text/--no-text", help="Whether what was said goes along.")] = True,
    profile: ProfileOption = None,
    root: RootOption = None,
) -> None:
    """Write slots for others: values, masks, labels, recipes and licences, whole enough to be imported elsewhere.

    [cyan]affectstore import[/cyan] makes the very same views of it in another store, under the same fingerprints. For
    aligned arrays alone there is [cyan]affectstore pull -o[/cyan].

    Example: [cyan]affectstore export text speaker -c meld -o meld.npz[/cyan]

    For MMSA: [cyan]affectstore export text_steps speech_steps face_steps -c meld -f mmsa -o meld.pkl[/cyan]
    """
    from feature_repo.exchange.exporting import bundle_of, licence_warnings, write_export
    from feature_repo.exchange.registry import format_to_write
    from feature_repo.id_file import ids_in
    from feature_repo.pull_command import print_coverage
    from feature_repo.selection import Selection
    from feature_repo.store import open_store

    kind = format_to_write(output, format_name)
    asked = ids_in(ids) if ids is not None else None
    where = Selection.of_options(corpus, split, emotion, speaker, selection, part)
    bundle, pulled = bundle_of(
        open_store(root),
        slots,
        ids=asked,
        where=where,
        join=join,
        labels=labels,
        profile=profile,
        verdict=verdict,
        text=text,
    )
    print_coverage(pulled, join)
    if not len(bundle):
        raise BadInputError("no utterance was chosen; nothing was written")
    for line in licence_warnings(bundle.licences):
        err.print(f"[yellow]licence[/yellow] {line}", highlight=False, soft_wrap=True)
    for line in kind.remarks(bundle):
        err.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)
    with rows_bar(f"writing {output.name}", len(bundle) * len(bundle.slots)) as on_rows:
        written = write_export(kind, bundle, output, on_rows)
    for path in written:
        console.print(f"wrote [bold]{path}[/bold] ({_size(path)})", soft_wrap=True, highlight=False)


def _size(path: Path) -> str:
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]
    size = sum(each.stat().st_size for each in files)
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size:,} bytes"
