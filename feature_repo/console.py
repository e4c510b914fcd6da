"""The command line's consoles and the options that several commands share."""

from typing import Annotated, Literal

import typer
from rich.console import Console

console = Console()  # answers: tables, counts, paths
err = Console(stderr=True)  # warnings, progress and errors, so that standard output stays usable in a pipe

RootOption = Annotated[
    str | None,
    typer.Option(
        "--root",
        "-r",
        envvar="AFFECTSTORE_ROOT",
        help="The store: a folder or an fsspec URL such as [cyan]s3://bucket/store[/cyan].",
        show_default=False,
        rich_help_panel="Store",
    ),
]
CorpusOption = Annotated[
    list[str] | None,
    typer.Option("--corpus", "-c", help="Only this corpus; may be given several times.", show_default="all"),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile", "-p", help="Catalogue profile that names one view per modality.", show_default=False
    ),
]
SchemeOption = Annotated[
    str,
    typer.Option("--labels", help="Label scheme: seven, iemocap4, iemocap6 or sentiment3."),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", help="Where models run: [cyan]auto[/cyan], [cyan]cpu[/cyan] or [cyan]cuda[/cyan]."
    ),
]
JoinOption = Annotated[
    Literal["inner", "outer"],
    typer.Option(
        "--join", help="inner: utterances that have every slot; outer: all of them, with presence masks."
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
