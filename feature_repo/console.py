"""The command line's consoles, its tables, and the options that several commands share."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import rich.table
import typer
from rich import box
from rich.console import Console, ConsoleDimensions

# Where no terminal tells its width (a pipe, a job's log), so that a table's rows stay whole for grep.
_PIPE_WIDTH = 160
# Columns of names that the next command is given: the last to be narrowed.
_NAMES = ("view", "slot", "service", "run", "corpus")


class _Console(Console):
    def __init__(self, *, width: int | None = None, **options: Any) -> None:
        super().__init__(width=width, **options)
        self._width = width  # rich keeps the COLUMNS of the moment of import; `size` looks again

    @property
    def size(self) -> ConsoleDimensions:
        found = super().size
        if self._width is None and not self.is_terminal and "COLUMNS" not in os.environ:
            return ConsoleDimensions(_PIPE_WIDTH, found.height)
        return found

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size


class Table(rich.table.Table):
    """A table in the house look that cuts no cell short, since names in it are typed again; arguments as rich's."""

    def __init__(self, *headers: Any, **options: Any) -> None:
        look: dict[str, Any] = {
            "box": box.SIMPLE_HEAD,
            "padding": (0, 1, 0, 0),
            "show_edge": False,
            "title_justify": "left",
            "title_style": "bold",
        }
        super().__init__(*headers, **(look | options))

    def add_column(self, header: Any = "", *arguments: Any, **options: Any) -> None:
        """Add a column; arguments as rich's."""
        kept: dict[str, Any] = {"overflow": "fold", "no_wrap": str(header) in _NAMES}
        super().add_column(header, *arguments, **(kept | options))


console = _Console()  # answers: tables, counts, paths
err = _Console(stderr=True)  # warnings, progress and errors, so that standard output stays usable in a pipe

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
SplitOption = Annotated[
    list[str] | None,
    typer.Option("--split", help="Only this published split: train, dev, test or all.", show_default="all"),
]
EmotionOption = Annotated[
    list[str] | None, typer.Option("--emotion", help="Only this emotion.", show_default="all")
]
SpeakerOption = Annotated[
    list[str] | None, typer.Option("--speaker", help="Only this speaker.", show_default="all")
]
SelectionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--selection",
        help="Only the utterances of this saved selection, see [cyan]affectstore select[/cyan].",
        show_default=False,
    ),
]
IdsOption = Annotated[
    Path | None,
    typer.Option(
        "--ids", help="Only the ids in this text file, one a line, in its order.", show_default=False
    ),
]
PartOption = Annotated[
    list[str] | None,
    typer.Option(
        "--part",
        help="Only this part of a split that [cyan]affectstore split[/cyan] saved: [cyan]audio-text/test[/cyan].",
        show_default=False,
    ),
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
VerdictOption = Annotated[
    str | None,
    typer.Option(
        "--verdict",
        help="Only the utterances that passed this verdict, as [cyan]affectstore quality --save[/cyan] named it.",
        show_default=False,
    ),
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
