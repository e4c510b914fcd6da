"""What a reviewer looks at: per speaker a sheet of numbered faces, and one file of decisions for all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from extractors.media import MediaError
from extractors.quality.contact_sheet import utterance_panel
from extractors.quality.review_candidates import COLUMNS
from extractors.quality.seen_faces import SAME_TIME_S, Sighting, frames_of, seen_faces
from extractors.quality.sheet_drawing import Box, Key, Mark, Panel, Shown, crop, draw_sheet, save_sheet

if TYPE_CHECKING:
    from feature_repo.store import Store

REVIEW_FILE = "review.csv"
_CROP = 128  # pixels of a face on the sheet
_FACES = 150  # candidates that a sheet shows, spread over all: an hour that was cut wrongly has thousands
_UTTERANCES = 8  # doubtful utterances that a sheet shows; the file has them all


def write_review(
    store: Store,
    folder: Path,
    faces: pl.DataFrame,
    doubtful: pl.DataFrame,
    views: Mapping[str, str],
    similarity_at: float,
    on_speaker: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write ``review.csv`` and a sheet for each speaker; returns the files, the CSV first.

    Args:
        store: the store.
        folder: made if absent.
        faces: of :func:`extractors.quality.review_candidates.face_candidates`.
        doubtful: of :func:`extractors.quality.review_candidates.doubtful_utterances`.
        views: slot to view of faces, matches and references.
        similarity_at: cosine from which a face is the speaker's.
        on_speaker: told 1 after each speaker.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = pl.concat([faces.select(list(COLUMNS)), doubtful.select(list(COLUMNS))])
    rows = rows.with_columns(pl.col("time_s", "similarity").cast(pl.Float64).round(3))
    rows.sort("speaker_id", maintain_order=True).write_csv(folder / REVIEW_FILE)
    written = [folder / REVIEW_FILE]
    shown = doubtful.filter(pl.int_range(pl.len()).over("speaker_id") < _UTTERANCES)["utterance_id"]
    # Read once for everybody: parts are read whole.
    seen = seen_faces(store, views, shown.to_list())
    manifest = store.manifest().filter(pl.col("utterance_id").is_in(shown.implode()))
    known = {row["utterance_id"]: row for row in manifest.iter_rows(named=True)}
    for speaker in sorted({*faces["speaker_id"], *doubtful["speaker_id"]}):
        own, unsure = faces.filter(speaker_id=speaker), doubtful.filter(speaker_id=speaker)
        panels = [candidate_panel(own), *_doubtful_panels(unsure, known, seen, similarity_at)]
        words = [
            Key(
                "good",
                f"candidates: used in the reference or kept; utterances: similarity {similarity_at:g} or more",
            ),
            Key("other", "candidates: not used; utterances: another face"),
            Key("bad", "candidates: rejected by a reviewer; utterances: no face in the frame"),
        ]
        sheet = draw_sheet(f"{speaker}: whose face is it?", panels, words, _CROP)
        written.append(save_sheet(sheet, folder / f"{sheet_name(speaker)}.png"))
        if on_speaker:
            on_speaker(1)
    return written


def sheet_name(speaker: str) -> str:
    """The speaker's id as a file name."""
    return re.sub(r"[^\w.-]+", "__", speaker)


def candidate_panel(faces: pl.DataFrame) -> Panel:
    """One speaker's faces, numbered as in the file; clips that can't be read are told."""
    used = faces.filter(used="yes").height
    clips = faces["utterance_id"].n_unique()
    lines = [f"Fill in the column “decision” of {REVIEW_FILE}: keep or reject a face by its number."]
    few = faces.gather_every(-(-faces.height // _FACES)) if faces.height > _FACES else faces
    if few.height < faces.height:
        lines.append(f"{few.height} of them are shown, {REVIEW_FILE} has them all.")
    shown: list[Shown] = []
    for _, rows in few.group_by("utterance_id", maintain_order=True):
        try:
            shown.extend(_crops(rows))
        except MediaError as error:
            lines.append(f"not shown: {error}")
    missing = "" if shown else "No face in any of the sampled clips"
    title = f"Candidates: {faces.height} faces of {clips} clips, {used} used"
    return Panel(title, tuple(lines), tuple(shown), missing, wide=True)


def _crops(rows: pl.DataFrame) -> Iterator[Shown]:
    """The faces of one clip."""
    frames = frames_of(rows.row(0, named=True), rows["time_s"].to_list())
    for row in rows.iter_rows(named=True):
        at = [frame for frame in frames if frame.still or abs(frame.time_s - row["time_s"]) < SAME_TIME_S]
        if at:
            box = Box(row["x"], row["y"], row["width"], row["height"])
            yield Shown(crop(at[0].image, box), _caption(row), (), _mark(row))


def _caption(row: Mapping[str, Any]) -> str:
    similarity = "" if row["similarity"] is None else f"  {row['similarity']:.2f}"
    said = "" if row["decision"] is None else f"  {row['decision']}"
    where = row["utterance_id"].rpartition("/")[2]
    return f"{row['number']}{similarity}{said}\n{where}\n{row['time_s']:.1f} s"


def _mark(row: Mapping[str, Any]) -> Mark:
    if row["decision"] is not None:
        return "good" if row["decision"] == "keep" else "bad"
    return "good" if row["used"] == "yes" else "other"


def _doubtful_panels(
    rows: pl.DataFrame,
    known: Mapping[str, Mapping[str, Any]],
    seen: Mapping[str, Sighting],
    similarity_at: float,
) -> Iterator[Panel]:
    """The utterances in which the speaker was not found."""
    shown = rows.head(_UTTERANCES)
    if not shown.height:
        return
    more = f", {shown.height} shown" if rows.height > shown.height else ""
    yield Panel(
        f"Not found in {rows.height} utterances{more}",
        ("Decide on an utterance in its row without a face: offscreen, misaligned, or keep.",),
        wide=True,
    )
    for utterance, said in shown.select("utterance_id", "decision").iter_rows():
        row = {**known[utterance], "reasons": [f"reviewed: {said}" if said else "not reviewed"]}
        yield utterance_panel(row, seen.get(utterance), similarity_at)
