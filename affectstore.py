"""affectstore: embeddings for emotion recognition in conversation, computed once and pulled anywhere.

In Python, ``from affectstore import open_store``; on the command line, ``affectstore --help``.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

    from feature_repo.selection import Selection
    from feature_repo.store import open_store

__all__ = ["Selection", "__version__", "main", "open_store"]
__version__ = "0.1.0"

_EPILOG = """[bold]Quick start[/bold]

[cyan]affectstore demo[/cyan]: the whole way on a small made-up corpus.

[cyan]export AFFECTSTORE_ROOT=~/affect; affectstore init[/cyan]

[cyan]affectstore ingest meld /data/MELD --media /data/MELD.Raw[/cyan]: one manifest row per utterance.

[cyan]affectstore extract --profile wheels[/cyan]: what is missing, no more; stop it and run it again as you like.

[cyan]affectstore train --slots text,speaker --corpus meld[/cyan]: from what is stored.
"""

# Packages that computing, serving or learning needs, and the extra that installs each.
_EXTRAS = {
    "av": "media",
    "cv2": "face",
    "datasets": "exchange",
    "feast": "feast",
    "librosa": "speech",
    "matplotlib": "quality",
    "omegaconf": "train",
    "psycopg": "postgres",
    "rapidfuzz": "quality",
    "ray": "ray",
    "redis": "redis",
    "resemblyzer": "speaker",
    "s3fs": "s3",
    "safetensors": "exchange",
    "sentence_transformers": "text",
    "sklearn": "text",
    "soxr": "media",
    "torch": "train",
    "transformers": "speech",
    "typeguard": "feast",
    "yaml": "train",
}


def __getattr__(name: str) -> object:
    """Resolve the public names when they are first asked for: help needs no store and no polars."""
    if name == "open_store":
        from feature_repo.store import open_store

        return open_store
    if name == "Selection":
        from feature_repo.selection import Selection

        return Selection
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def command_line() -> "typer.Typer":
    """The ``affectstore`` command with every room's commands mounted."""
    from typing import Annotated

    import typer

    import extractors.commands
    import feature_repo.commands
    import trainers.commands
    import trainers.prediction.command

    app = typer.Typer(
        name="affectstore",
        epilog=_EPILOG,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,  # a local variable may hold a whole corpus
    )

    def print_version(asked: bool) -> None:
        if asked:
            typer.echo(f"affectstore {__version__}")
            raise typer.Exit

    @app.callback()
    def affectstore(
        version: Annotated[
            bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        """Compute the embeddings of a conversation [bold]once[/bold], pull any combination, train on it."""

    for panel, room in (
        ("How it is computed", extractors.commands),
        ("What is stored", feature_repo.commands),
        ("What is learned", trainers.commands),
    ):
        already = len(app.registered_commands)
        room.add_commands(app)
        for command in app.registered_commands[already:]:
            command.rich_help_panel = panel
    trainers.prediction.command.add_commands(app, _read_clips, _compute_views)
    app.registered_commands[-1].rich_help_panel = "What is learned"
    return app


def _read_clips(*arguments: Any, **options: Any) -> Any:
    """The extractors' reading of clips, for a command of the trainers, who don't know the extractors."""
    from extractors.corpora.clips import read_clips  # polars

    return read_clips(*arguments, **options)


def _compute_views(*arguments: Any, **options: Any) -> Any:
    """The extractors' computing, for the same."""
    from extractors.recompute import compute_views  # polars

    return compute_views(*arguments, **options)


def main() -> None:
    """Run the command line; an error that is an answer to the user is one red line and exit code 1."""
    import os
    import warnings

    # Before OpenMP is loaded: threads that wait by spinning steal the cores from whoever shares them. On a loaded
    # machine a training step of a small model took four times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from feature_repo.console import err
    from feature_repo.errors import AffectStoreError

    def show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, UserWarning):  # deprecations are for whoever programs, not for whoever types
            err.print(f"warning: {message}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    warnings.showwarning = show_warning
    try:
        command_line()(prog_name="affectstore")  # ends with SystemExit, whatever the command returned
    except AffectStoreError as error:
        answer = str(error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        answer = f"{package} is not installed: pip install 'affectstore[{_EXTRAS[package]}]'"
    err.print(f"error: {answer}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
