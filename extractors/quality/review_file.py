"""``review.csv`` read back: a person's decisions, each checked against what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from extractors.corpora.delimited import Delimited, parse_delimited, require_columns
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.records import live_rows
from feature_repo.reviews import FACE_DECISIONS, REVIEWS_SCHEMA, UTTERANCE_DECISIONS

if TYPE_CHECKING:
    from feature_repo.store import Store

_REQUIRED = ("utterance_id", "view", "face", "decision")


def read_review(store: Store, path: Path) -> pl.DataFrame:
    """The decisions in a file that ``review --out`` wrote and a person filled in.

    Rows without a decision say nothing. Spreadsheets' semicolons and byte order marks are understood, and columns
    that nobody reads may be absent.

    Args:
        store: where the utterances and faces are.
        path: the file.

    Returns:
        ``utterance_id, view, face, decision, comment``, as ``Store.reviews`` takes them.

    Raises:
        UnknownNameError: an utterance, view, decision or column that does not exist.
        BadInputError: no such file, or a face that its utterance does not have; the message names the line.
    """
    table = _parsed(path)
    rows = [
        (row, {name: (value or "").strip() for name, value in values.items()})
        for row, values in enumerate(table.frame.iter_rows(named=True))
    ]
    decided = [(row, values) for row, values in rows if values["decision"]]
    known = set(store.manifest()["utterance_id"])
    faces = _face_counts(store, {values["view"] for _, values in decided if values["face"]}, table, decided)
    found = []
    for row, values in decided:
        where, utterance = table.where(row), values["utterance_id"]
        if utterance not in known:
            raise UnknownNameError(f"utterance at {where}", utterance, [*sorted(known)[:3], "..."])
        decision = values["decision"].lower()
        allowed = FACE_DECISIONS if values["face"] else UTTERANCE_DECISIONS
        if decision not in allowed:
            thing = "a face" if values["face"] else "an utterance"
            raise UnknownNameError(f"decision on {thing} at {where}", values["decision"], allowed)
        view = values["view"] if values["face"] else None
        face = None
        if view is not None:
            face = _face(values["face"], where)
            count = faces[view].get(utterance, 0)
            if not 0 <= face < count:
                raise BadInputError(
                    f"{where}: face {face} of {utterance!r}: {view} has {count} faces of it, counted from 0;"
                    " if it was extracted again since, write the review again"
                )
        found.append((utterance, view, face, decision, values.get("comment") or None))
    return pl.DataFrame(found, schema=REVIEWS_SCHEMA, orient="row")


def _parsed(path: Path) -> Delimited:
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise BadInputError(f"{path}: no such file; `affectstore review --out FOLDER` writes one") from None
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 ({error}); save it as CSV in UTF-8") from error
    first = text.partition("\n")[0]
    table = parse_delimited(path, text, delimiter=";" if first.count(";") > first.count(",") else ",")
    require_columns(path, table.frame.columns, _REQUIRED)
    return table


def _face_counts(
    store: Store, views: set[str], table: Delimited, decided: list[tuple[int, dict[str, str]]]
) -> dict[str, dict[str, int]]:
    """View to utterance to how many faces its row has."""
    known = [view for view in store.views() if store.recipe(view).slot in ("faces_steps", "offsets_steps")]
    for view in views - set(known):
        row = next(row for row, values in decided if values["face"] and values["view"] == view)
        raise UnknownNameError(f"view of faces at {table.where(row)}", view, known)
    counts = {}
    for view in views:
        rows = live_rows(store, view, columns=[])
        counts[view] = dict(rows.select("utterance_id", "n").iter_rows())
    return counts


def _face(value: str, where: str) -> int:
    try:
        number = float(value)  # pandas writes whole numbers with a point where a column has gaps
    except ValueError:
        number = float("nan")
    if not number.is_integer():
        raise BadInputError(f"{where}: face {value!r} is not a whole number")
    return int(number)
