"""Where a fine-tuned encoder lies: below the store's root or where the caller says, and never half written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from extractors.encoders.sentence_folder import SentenceFolder
from feature_repo.errors import BadInputError
from trainers.runs.learned_weights import MODELS
from trainers.runs.run import Run

if TYPE_CHECKING:
    from feature_repo.store import Store


def encoder_folder(store: Store, key: str, output: Path | None = None) -> Path:
    """The folder that a run's encoder goes to.

    Args:
        store: the store.
        key: the run's key.
        output: the caller's folder; None is ``models/<key>`` below the store's root.

    Raises:
        BadInputError: an object store without an output, or an output that holds something else.
    """
    local = store.files.local_path(f"{MODELS}/{key}")
    if output is None:
        if local is None:
            raise BadInputError(
                f"{store.root} is no local folder: name one for the encoder with --output FOLDER"
            )
        return local
    folder = output.expanduser().resolve()
    holds_a_model = (folder / "modules.json").is_file()
    if folder.exists() and not holds_a_model and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInputError(f"--output {folder}: it holds something else; name a new folder")
    return folder


def place_of(store: Store, folder: Path) -> str:
    """The folder as a record names it: relative to the store's root where it is below it, else absolute."""
    root = store.files.local_path("")
    if root is not None and folder.is_relative_to(root):
        return folder.relative_to(root).as_posix()
    return str(folder)


def found_encoder(store: Store, run: Run, wanted: Path) -> Path:
    """The encoder of a finished run, copied to where it is wanted if that is elsewhere.

    Raises:
        BadInputError: it is gone, or not what the run ended with.
    """
    stated = str(run.record["encoder"])
    below_root = None if Path(stated).is_absolute() else store.files.local_path(stated)
    there = below_root or Path(stated)
    for place in (wanted, there):
        if place.is_dir() and SentenceFolder.find(str(place)).digest == run.record["weights"]:
            if place != wanted:
                replace_folder(wanted, lambda target: shutil.copytree(there, target))
            return wanted
    raise BadInputError(
        f"run {run.key} is finished, but its encoder {there} is gone or changed; remove runs/{run.key} to train"
        " it again"
    )


def replace_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Write a folder beside its place, then move it there: what stands there is whole."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(parents=True, exist_ok=True)
    write(part)
    if folder.exists():
        shutil.rmtree(folder)
    part.replace(folder)
