"""Contact sheets (papers/000 fig. 3): examples of each verdict with their frames, faces and words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from extractors.media import MediaError
from extractors.quality.seen_faces import Sighting, frames_of, seen_faces, spread
from extractors.quality.sheet_drawing import Box, Key, Mark, Panel, Shown, draw_sheet, save_sheet
from feature_repo.verdict import REASONS

if TYPE_CHECKING:
    from feature_repo.measures import Measures
    from feature_repo.quality_config import QualityConfig
    from feature_repo.store import Store

PER_REASON = 8  # examples on a sheet
_FRAMES = 4  # pictures of an example
_CLEAR = "passed"  # the sheet of those without a reason


def write_contact_sheets(
    store: Store,
    folder: Path,
    measures: Measures,
    judged: pl.DataFrame,
    config: QualityConfig,
    per_reason: int = PER_REASON,
    on_example: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write one sheet for each first reason that occurs, and one of those that passed; returns the files.

    The examples are a fixed sample, those with a file first. Media that can't be read are told on the sheet.

    Args:
        store: the store.
        folder: gets ``sheet_<reason>.png``; made if absent.
        measures: what was judged.
        judged: of ``feature_repo.verdict.judge``.
        config: the thresholds that it was judged by.
        per_reason: examples on a sheet.
        on_example: told 1 after each example.
    """
    threshold = config.faces.get(measures.embedder or "")
    similarity_at = None if threshold is None else threshold.value
    media = store.manifest().select("utterance_id", "media_uri", "start_s", "end_s")
    rows = measures.frame.join(media, on="utterance_id", how="left", maintain_order="left")
    rows = rows.join(
        judged.select("utterance_id", "reason", "reasons"),
        on="utterance_id",
        how="left",
        maintain_order="left",
    )
    written = []
    for reason, words in {**REASONS, _CLEAR: "passed"}.items():
        of_reason = rows.filter(_has(None if reason == _CLEAR else reason))
        if not of_reason.height:
            continue
        chosen = examples(of_reason, per_reason)
        seen = seen_faces(store, measures.views, chosen["utterance_id"].to_list())
        panels = []
        for row in chosen.iter_rows(named=True):
            panels.append(utterance_panel(row, seen.get(row["utterance_id"]), similarity_at))
            if on_example:
                on_example(1)
        title = f"{words[:1].upper()}{words[1:]}: {chosen.height} of {of_reason.height:,} utterances"
        sheet = draw_sheet(title, panels, keys(similarity_at))
        written.append(save_sheet(sheet, folder / f"sheet_{reason}.png"))
    return written


def examples(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """A fixed sample of so many utterances, those with a file first; sorted by id."""
    order = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in rows["utterance_id"]]
    found = rows.with_columns(pl.Series("_order", order, pl.Binary), _absent=pl.col("media_uri").is_null())
    return found.sort("_absent", "_order").head(count).drop("_absent", "_order").sort("utterance_id")


def utterance_panel(row: Mapping[str, Any], seen: Sighting | None, similarity_at: float | None) -> Panel:
    """An utterance's words, reasons and frames; why there are none, where its media can't be shown.

    Args:
        row: the manifest's and the measures' columns, and the verdict's ``reasons``, as far as they are there.
        seen: what was seen in it, None if it was never looked at.
        similarity_at: cosine from which a face is the speaker's; None where nobody knows.
    """
    title = f"{row['utterance_id']}   {row['speaker_raw'] or 'no speaker'}"
    if row.get("speaker_id") is None and row["speaker_raw"]:
        title += " (nobody in particular)"
    reasons = "; ".join(row.get("reasons") or ()) or "passed every check"
    lines = [reasons, f"text: {_quoted(row['text'])}"]
    if "transcript_text" in row:
        numbers = [
            f"{name} {row[column]:.2f}"
            for name, column in (("cosine", "alignment_cosine"), ("Levenshtein", "alignment_levenshtein"))
            if row.get(column) is not None
        ]
        told = f" ({', '.join(numbers)})" if numbers else ""
        lines.append(f"transcript: {_quoted(row['transcript_text'])}{told}")
    try:
        shown = _shown(row, seen, similarity_at)
    except MediaError as error:
        return Panel(title, tuple(lines), missing=f"No pictures: {error}")
    missing = (
        "" if shown else "No pictures: the utterance has no file" if not row["media_uri"] else "No pictures"
    )
    return Panel(title, tuple(lines), shown, missing)


def keys(similarity_at: float | None) -> list[Key]:
    """What the colours of boxes and borders mean."""
    known = []
    if similarity_at is not None:
        known = [
            Key("good", f"the speaker: similarity {similarity_at:g} or more"),
            Key("other", "another face"),
        ]
    return [
        *known,
        Key("plain", "a face of nobody known: the speaker has no reference"),
        Key("bad", "no face was detected in the frame"),
    ]


def face_box(face: Any, similarity_at: float | None) -> Box:
    """A stored face's box, coloured and labelled by its similarity to the speaker's reference."""
    mark: Mark = "plain"
    if face.similarity is not None and similarity_at is not None:
        mark = "good" if face.similarity >= similarity_at else "other"
    label = "" if face.similarity is None else f"{face.similarity:.2f}"
    return Box(face.x, face.y, face.width, face.height, label, mark)


def _has(reason: str | None) -> pl.Expr:
    return pl.col("reason").is_null() if reason is None else pl.col("reason") == reason


def _quoted(text: str | None) -> str:
    return "none" if not text else f"“{text}”"


def _shown(row: Mapping[str, Any], seen: Sighting | None, similarity_at: float | None) -> tuple[Shown, ...]:
    if not row["media_uri"]:
        return ()
    best = max(
        (face for face in (seen.faces if seen else ()) if face.similarity is not None),
        key=lambda face: face.similarity or -1.0,
        default=None,
    )
    # An utterance that nobody looked at still shows its first frame.
    times = spread(seen.times if seen else (0.5,), _FRAMES, () if best is None else (best.time_s,))
    shown = []
    for frame in frames_of(row, times):
        faces = seen.at(frame.time_s) if seen else []
        if frame.still and seen:
            faces = list(seen.faces)
        caption = "still image" if frame.still else f"{frame.time_s:.1f} s"
        if seen and not faces:
            caption += ": no face"
        # The likest last: its label lies on top of its neighbours'.
        faces.sort(key=lambda face: -2.0 if face.similarity is None else face.similarity)
        boxes = tuple(face_box(face, similarity_at) for face in faces)
        shown.append(Shown(frame.image, caption, boxes, "bad" if seen and not faces else None))
    return tuple(shown)
