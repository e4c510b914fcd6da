"""The command ``stand-in``: a made-up corpus in a real one's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feature_repo.console import console, err


def stand_in(
    corpus: Annotated[
        str,
        typer.Argument(help="Whose layout: cremad, emovdb, esd, iemocap, mead, ravdess, savee or tess."),
    ],
    folder: Annotated[Path, typer.Argument(help="Where to put it; made if absent.")],
    speakers: Annotated[
        int | None,
        typer.Option("--speakers", help="How many speakers.", show_default="4, or all where there are fewer"),
    ] = None,
    per_emotion: Annotated[
        int, typer.Option("--per-emotion", help="Utterances of each emotion by each speaker.")
    ] = 4,
    seed: Annotated[int, typer.Option("--seed", help="Decides voices and takes.")] = 0,
) -> None:
    """Write a made-up corpus in a real one's layout, to try things without its licence. Stop it and run it again.

    Voices are synthetic, emotions audible to some degree: scores on it say nothing about the real corpus.

    In a store its name ends with -standin, and so in every table.

    Example: [cyan]affectstore stand-in cremad /tmp/cremad --speakers 6[/cyan]
    """
    from rich.progress import Progress

    from extractors.corpora.stand_ins.layouts import LAYOUTS
    from extractors.corpora.stand_ins.stand_in import make_stand_in

    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("clips", total=None)
        made = make_stand_in(
            corpus,
            folder,
            speakers=speakers,
            per_emotion=per_emotion,
            seed=seed,
            on_clip=lambda done, total: progress.update(task, completed=done, total=total),
        )
    there = "" if made.made else " (was there already)"
    console.print(f"{made.clips:,} made-up clips in {folder}{there}", highlight=False, soft_wrap=True)
    options = f" {LAYOUTS[corpus].options}" if LAYOUTS[corpus].options else ""
    console.print(
        f"next: affectstore ingest {corpus} {folder}{options}  (is named {made.name})",
        highlight=False,
        soft_wrap=True,
    )
