"""Where a model errs: its test rows by emotion shift, place in the dialogue, length, and what training had seen."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from feature_repo.errors import BadInputError
from feature_repo.labels import scheme
from trainers.runs.comparison import intervals
from trainers.runs.predictions import Predictions, predictions_of
from trainers.runs.run import Run

SCORES = ("accuracy", "weighted_f1", "uar")
# Below this many rows a bootstrap draws the same few rows again and again: its interval is narrower than the truth.
_FEWEST = 10
# Upper bounds; what is longer is in the last slice.
_TURNS = (1, 3, 6, 10)
_WORDS = (2, 5, 10, 20)
_SECONDS = (1, 2, 4, 8)
_SHIFT = {True: "shift", False: "the same"}
_SEEN = {True: "also in train", False: "not in train"}


@dataclass(frozen=True)
class Slice:
    """Some of the test rows.

    Attributes:
        what: by what they are told apart.
        name: which they are.
        rows: how many.
        scores: mean over the seeds by score.
        deviations: sample deviation over the seeds by score; None of one seed.
        intervals: 95 % bootstrap interval of the mean by score; None of fewer than ten rows.
    """

    what: str
    name: str
    rows: int
    scores: Mapping[str, float]
    deviations: Mapping[str, float | None]
    intervals: Mapping[str, tuple[float, float]] | None


def slices(runs: Sequence[Run], manifest: pl.DataFrame) -> list[Slice]:
    """Score the test rows slice by slice, from the runs' predictions and the manifest alone.

    - *emotion shift*: whether the row's emotion is another than that of the same speaker's turn before in the
      dialogue, and than that of anybody's turn before; rows without such a turn, or with one that has no label, by
      themselves.
    - *turn*: place in the dialogue, from 1; rows that are dialogues of one are left out.
    - *words*, *seconds*: length of the text, and of the span where the manifest has one.
    - *speaker*, *text*: whether training had rows of the speaker, or the very same text. Of several folds each row is
      held against the training rows of its own fold.

    Scores are means over the classes that a slice has, so that UAR and F1 of slices with other classes are not alike.

    Args:
        runs: one per seed and fold, of one setting.
        manifest: rows of the runs' corpora.

    Raises:
        BadInputError: runs that are not of one setting's seeds and folds, or whose rows left the manifest.
    """
    found = predictions_of(runs, "runs")
    rows, names = _told(runs, manifest, found)
    made = []
    for what, ordered in names.items():
        present = set(rows[what].drop_nulls())
        if len(present) < 2:
            continue  # all rows are alike in this, as where nobody answers anybody
        for name in [each for each in ordered if each in present]:
            which = np.flatnonzero((rows[what] == name).fill_null(False))
            made.append(_scored(what, name, found.only(which)))
    return made


def _scored(what: str, name: str, rows: Predictions) -> Slice:
    by_seed = [each.summary() for each in rows.scores()]
    reached = {score: [one[score] for one in by_seed] for score in SCORES}
    own = intervals(rows) if len(rows.ids) >= _FEWEST else None
    return Slice(
        what,
        name,
        len(rows.ids),
        {score: statistics.fmean(each) for score, each in reached.items()},
        {score: statistics.stdev(each) if len(each) > 1 else None for score, each in reached.items()},
        None if own is None else {score: own[score] for score in SCORES},
    )


def _told(
    runs: Sequence[Run], manifest: pl.DataFrame, found: Predictions
) -> tuple[pl.DataFrame, dict[str, list[str]]]:
    """Per test row in the predictions' order the slice of each kind or null; and each kind's slices in order."""
    tested = pl.DataFrame({"utterance_id": found.ids})
    lost = tested.join(manifest, on="utterance_id", how="anti")["utterance_id"]
    if len(lost):
        raise BadInputError(
            f"{len(lost)} test rows are no longer in the manifest, the first is {lost[0]!r}; ingest their corpus again"
        )
    rows = tested.join(
        _in_dialogues(manifest, runs[0].record["labels"]),
        on="utterance_id",
        how="left",
        maintain_order="left",
    )
    rows = rows.join(_seen_in_training(runs, manifest), on="utterance_id", how="left", maintain_order="left")
    words = pl.col("text").str.strip_chars().str.split(" ").list.eval(pl.element().filter(pl.element() != ""))
    kinds = {
        "emotion of the same speaker's turn before": _shift("own_before", "label_before_own"),
        "emotion of the turn before": _shift("before", "label_before"),
        "turn of the dialogue": _binned(pl.when(pl.col("size") > 1).then(pl.col("place") + 1), _TURNS),
        "words": _binned(words.list.len().cast(pl.Float64), _WORDS, "no text"),
        "seconds": _binned(pl.col("end_s") - pl.col("start_s"), _SECONDS, whole=False),
        "speaker": _seen("speaker_seen", "nobody named"),
        "text": _seen("text_seen", "no text"),
    }
    told = rows.select(**{what: expression for what, (expression, _) in kinds.items()})
    return told, {what: names for what, (_, names) in kinds.items()}


def _in_dialogues(manifest: pl.DataFrame, labels: str) -> pl.DataFrame:
    """Rows with their place in the dialogue, and the emotions of the turn before and of the speaker's own before."""
    rows = manifest.select(
        "utterance_id",
        "corpus",
        "dialogue_id",
        "text",
        "start_s",
        "end_s",
        person=pl.coalesce("speaker_id", "speaker_raw"),
        order=pl.coalesce(pl.col("turn").cast(pl.Float64), pl.col("start_s")),
        label=scheme(labels).map(manifest),
    )
    dialogue = ["corpus", "dialogue_id"]
    rows = rows.sort(*dialogue, "order", "utterance_id")
    # Of a dialogue whose order nobody knows no turn comes before another.
    known = pl.col("order").is_not_null().all().over(dialogue)
    rows = rows.with_columns(
        size=pl.when(known).then(pl.len().over(dialogue)).otherwise(1),
        place=pl.int_range(pl.len()).over(dialogue),
    )
    several = pl.col("size") > 1
    person = pl.col("person")
    nth = pl.int_range(pl.len()).over([*dialogue, "person"])
    return rows.with_columns(
        before=several & (pl.col("place") > 0),
        label_before=pl.when(several).then(pl.col("label").shift(1).over(dialogue)),
        own_before=several & person.is_not_null() & (nth > 0),
        label_before_own=pl.when(several & person.is_not_null()).then(
            pl.col("label").shift(1).over([*dialogue, "person"])
        ),
    )


def _seen_in_training(runs: Sequence[Run], manifest: pl.DataFrame) -> pl.DataFrame:
    """Per test row, whether its speaker and its text are in its own fold's training rows."""
    known = manifest.select("utterance_id", "speaker_id", "text")
    frames = {}
    for run in runs:
        if run.record["fold"] in frames:
            continue
        parts = run.parts().select("utterance_id", "part").join(known, on="utterance_id", how="left")
        train, test = parts.filter(part="train"), parts.filter(part="test")
        frames[run.record["fold"]] = test.select(
            "utterance_id",
            speaker_seen=_among(test["speaker_id"], train["speaker_id"]),
            text_seen=_among(test["text"], train["text"]),
        )
    return pl.concat(frames.values())


def _among(values: pl.Series, seen: pl.Series) -> pl.Series:
    return values.is_in(seen.drop_nulls().unique().implode())


_Kind = tuple[pl.Expr, list[str]]


def _shift(before: str, label: str) -> _Kind:
    names = [*_SHIFT.values(), "no label before", "no turn before"]
    expression = (
        pl.when(~pl.col(before))
        .then(pl.lit(names[3]))
        .when(pl.col(label).is_null() | pl.col("label").is_null())
        .then(pl.lit(names[2]))
        .when(pl.col(label) != pl.col("label"))
        .then(pl.lit(names[0]))
        .otherwise(pl.lit(names[1]))
    )
    return expression, names


def _seen(column: str, unknown: str) -> _Kind:
    expression = pl.when(pl.col(column)).then(pl.lit(_SEEN[True])).when(~pl.col(column))
    return expression.then(pl.lit(_SEEN[False])).otherwise(pl.lit(unknown)), [*_SEEN.values(), unknown]


def _binned(value: pl.Expr, bounds: Sequence[int], unknown: str | None = None, whole: bool = True) -> _Kind:
    """The value's range: of whole numbers ``up to 3`` is ``2–3``, of others ``1–2`` is above 1 and up to 2."""
    lows = [1 if whole else 0, *(bound + 1 if whole else bound for bound in bounds[:-1])]
    names = [f"{low}–{high}" if low != high else f"{low}" for low, high in zip(lows, bounds, strict=True)]
    names.append(f"{bounds[-1] + 1} or more" if whole else f"above {bounds[-1]}")
    expression = pl.lit(names[-1])
    for bound, name in zip(reversed(bounds), reversed(names[:-1]), strict=True):
        expression = pl.when(value <= bound).then(pl.lit(name)).otherwise(expression)
    nothing = value.is_null() | (value == 0) if whole else value.is_null()
    return pl.when(nothing).then(pl.lit(unknown)).otherwise(expression), [
        *names,
        *([unknown] if unknown else []),
    ]
