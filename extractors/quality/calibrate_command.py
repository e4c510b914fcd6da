"""The command ``calibrate``: thresholds for a corpus's own embedder and encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feature_repo.console import DeviceOption, ProfileOption, RootOption, Table, console
from feature_repo.errors import BadInputError, UnknownNameError

if TYPE_CHECKING:
    from extractors.quality.calibration import Pairs
    from feature_repo.store import Store

# Where the distributions overlap. An utterance is judged by its best face, of nine looks a second with the offset
# search, so a stranger must be rarer among faces than among texts, each of which is compared once.
FACE_FAR, TEXT_FAR = 0.001, 0.01
FEW_PAIRS = 50  # on either side: below, one odd pair moves the threshold (assumed)
# Cosine at which calibration begins to tell people apart; a second pass uses what the first found.
START = 0.4


def add_commands(app: typer.Typer) -> None:
    """Add this module's command to the command line."""
    app.command()(calibrate)


def calibrate(
    what: Annotated[
        str | None,
        typer.Argument(
            help="[cyan]face[/cyan], [cyan]text[/cyan], or a view of faces; by default what the profile has.",
            show_default=False,
        ),
    ] = None,
    root: RootOption = None,
    profile: ProfileOption = None,
    start: Annotated[
        float,
        typer.Option(
            "--start",
            help="Cosine from which faces count as one person's while the speakers are looked for.",
            min=-1,
            max=1,
        ),
    ] = START,
    write: Annotated[
        bool, typer.Option("--write", help="Put what is recommended into the store's quality.toml.")
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    """Read thresholds for a face embedder or text encoder off pairs that belong together and pairs that do not.

    Faces: a speaker's faces in one clip against those in their other clips, and against other speakers'.

    Text: transcripts against their own text, and against other texts.

    Examples: [cyan]affectstore calibrate[/cyan], [cyan]affectstore calibrate face --write[/cyan]
    """
    from extractors.quality.derivation import FACES, TEXT, TRANSCRIPT, source_profile
    from feature_repo.store import open_store

    store = open_store(root)
    name = source_profile(store, profile)
    slots = store.catalog.slots(name)
    if what in store.views():
        slots, what = {**slots, FACES: str(what)}, "face"
    if what not in (None, "face", "text"):
        raise UnknownNameError("thing to calibrate", str(what), ["face", "text", *store.views()])
    lacking = []
    if what in (None, "face"):
        if FACES in slots:
            _calibrate_faces(store, slots[FACES], start, write)
        else:
            lacking.append("faces: `affectstore extract -e facenet512`")
    if what in (None, "text"):
        if TRANSCRIPT in slots and TEXT in slots:
            _calibrate_text(store, slots[TRANSCRIPT], slots[TEXT], write, device)
        else:
            lacking.append(
                "transcripts and texts: `affectstore extract -e fasterwhisper`, `affectstore extract -e sentence`"
            )
    for missing in lacking:
        message = f"profile {name!r} has no {missing}"
        if what is not None:
            raise BadInputError(message)
        console.print(message, style="dim", highlight=False, soft_wrap=True)


def _calibrate_faces(store: Store, view: str, start: float, write: bool) -> None:
    from extractors.quality.calibration import calibrated
    from extractors.quality.genuine_pairs import face_pairs
    from feature_repo.quality_config import space_name

    embedder = space_name(store, view)
    # Twice: who the speakers are depends on the threshold a little.
    first = calibrated(face_pairs(store, view, start), FACE_FAR).recommended
    pairs = face_pairs(store, view, first)
    recommended = _tell_pairs(f"faces of {embedder}", pairs, FACE_FAR)
    _recommend(store, "face", embedder, recommended, pairs, write)


def _calibrate_text(store: Store, transcript: str, text: str, write: bool, device: str) -> None:
    from extractors.loading import load
    from extractors.quality.genuine_pairs import spelling_pairs, text_pairs
    from extractors.recorded import recorded
    from feature_repo.context import TextReading
    from feature_repo.quality_config import space_name

    if not TextReading.of(store.recipe(text)).plain:
        raise BadInputError(
            f"{text} reads more than an utterance's own words, which a transcript can't be compared with; allowed: a "
            "view without context and prefix (`affectstore use VIEW`)"
        )
    encoder = recorded(store, text)
    load(encoder, device)
    name = space_name(store, text)
    pairs = text_pairs(store, transcript, text, encoder)
    _recommend(
        store, "text", name, _tell_pairs(f"transcripts and texts of {name}", pairs, TEXT_FAR), pairs, write
    )
    _tell_pairs("spellings (Levenshtein)", spelling_pairs(store, transcript), TEXT_FAR)


def _tell_pairs(title: str, pairs: Pairs, far: float) -> float:
    """Print the two distributions and what they say of a threshold; the recommended one."""
    from extractors.quality.calibration import calibrated, histogram

    found = calibrated(pairs, far)
    console.print(f"[bold]{title}[/bold]", highlight=False)
    for line in histogram(pairs, found.recommended):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    table = Table("", "threshold", "belong together, refused", "do not, accepted")
    for label, cut in (
        ("equal error rate", found.eer_threshold),
        *((f"{rate:.1%} accepted", threshold) for rate, (threshold, _) in found.at_far.items()),
        ("[bold]recommended[/bold]", found.recommended),
    ):
        refused, accepted = (pairs.genuine < cut).mean(), (pairs.impostor >= cut).mean()
        table.add_row(label, f"{cut:.3f}", f"{refused:.2%}", f"{accepted:.2%}")
    console.print(table)
    console.print(
        f"{len(pairs.genuine):,} pairs belong together, {len(pairs.impostor):,} do not; "
        f"equal error rate {found.eer:.2%}",
        highlight=False,
    )
    if min(len(pairs.genuine), len(pairs.impostor)) < FEW_PAIRS:
        console.print("so few pairs say little: take the threshold as a first guess", style="yellow")
    if pairs.note:
        console.print(pairs.note, style="yellow", highlight=False)
    return found.recommended


def _recommend(
    store: Store, kind: Literal["face", "text"], name: str, value: float, pairs: Pairs, write: bool
) -> None:
    from feature_repo.quality_config import load_quality_config, write_threshold

    config = load_quality_config(store)
    known = (config.faces if kind == "face" else config.texts).get(name)
    if known is not None:
        console.print(f"now in force: {known.value:g} ({known.source})", highlight=False, markup=False)
    if write:
        pairs_told = f"{len(pairs.genuine)} pairs that belong together and {len(pairs.impostor)} that do not"
        write_threshold(store, kind, name, value, f"affectstore calibrate: {pairs_told}")
        console.print(f"written to the store's quality.toml: {kind}.{name} {value:g}", highlight=False)
    else:
        console.print(
            f"--write puts {value:g} for {name} into the store's quality.toml", style="dim", highlight=False
        )
