"""What people decided when they looked: one small table of decisions on utterances and on single faces."""

import hashlib
import io
from collections.abc import Sequence

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.files import FileLayer
from feature_repo.manifest_store import ManifestStore

REVIEWS = "quality/reviews.parquet"
FACE_DECISIONS = ("keep", "reject")
UTTERANCE_DECISIONS = ("keep", "offscreen", "misaligned")
REVIEWS_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "utterance_id": pl.String,
    "view": pl.String,
    "face": pl.Int32,
    "decision": pl.String,
    "comment": pl.String,
}
_KEY = ["utterance_id", "view", "face"]


class Reviews:
    """The decisions below ``quality/``; of several on one thing the newest counts.

    A decision is on an utterance (``view`` and ``face`` null: ``offscreen``, ``misaligned``, or ``keep``, which takes
    either back) or on one face (``face`` is its place in the utterance's row of the faces view: ``keep``, ``reject``).

    Args:
        files: the store's file layer.
        manifests: says which utterances there are.
    """

    def __init__(self, files: FileLayer, manifests: ManifestStore) -> None:
        self.files = files
        self.manifests = manifests

    def read(self) -> pl.DataFrame:
        """All decisions, sorted: utterance_id, view, face, decision, comment.

        Raises:
            BadInputError: the file is damaged.
        """
        data = self._data()
        if not data:
            return pl.DataFrame(schema=REVIEWS_SCHEMA)
        try:
            return pl.read_parquet(io.BytesIO(data)).select(list(REVIEWS_SCHEMA))
        except pl.exceptions.PolarsError as error:
            raise BadInputError(
                f"{self.files.url(REVIEWS)} is damaged ({error}); move it away and import the review again"
            ) from error

    def stamp(self) -> str:
        """Changes whenever the decisions do; empty without any."""
        data = self._data()
        return hashlib.blake2b(data, digest_size=16).hexdigest() if data else ""

    def add(self, decisions: pl.DataFrame) -> int:
        """Take the decisions in; returns how many of them are new or say something else than before.

        Args:
            decisions: the columns of :meth:`read`; ``view``, ``face`` and ``comment`` may lack. Of two on one thing
                the later counts.

        Raises:
            UnknownNameError: a column, or an utterance, that does not exist.
            BadInputError: a decision that is not one, or a face without its view.
            StoreWriteError: the write failed; the decisions are as they were.
        """
        rows = _conformed(decisions)
        known = self.manifests.read()["utterance_id"]
        unknown = rows.filter(~pl.col("utterance_id").is_in(known.implode()))["utterance_id"]
        if len(unknown):
            raise UnknownNameError("utterance", unknown[0], [*known.sort().head(3), "..."])
        with self.files.lock("reviews"):
            before = self.read()
            # Under the lock: an utterance that is forgotten meanwhile stays out.
            rows = rows.filter(~pl.col("utterance_id").is_in(self.manifests.forgotten()))
            after = pl.concat([before, rows]).unique(_KEY, keep="last").sort(_KEY, nulls_last=False)
            changed = after.join(before, on=list(REVIEWS_SCHEMA), how="anti", nulls_equal=True)
            if changed.height:
                self._write(after)
        return changed.height

    def erase(self, utterance_ids: Sequence[str]) -> None:
        """Take out everything that was decided on these utterances."""
        with self.files.lock("reviews"):
            before = self.read()
            kept = before.filter(~pl.col("utterance_id").is_in(list(utterance_ids)))
            if kept.height < before.height:
                self._write(kept)

    def _data(self) -> bytes:
        try:
            return self.files.read(REVIEWS)
        except FileNotFoundError:
            return b""

    def _write(self, rows: pl.DataFrame) -> None:
        sink = io.BytesIO()
        rows.write_parquet(sink)
        self.files.write(REVIEWS, sink.getvalue())


def _conformed(decisions: pl.DataFrame) -> pl.DataFrame:
    for name in decisions.columns:
        if name not in REVIEWS_SCHEMA:
            raise UnknownNameError("review column", name, REVIEWS_SCHEMA)
    for name in ("utterance_id", "decision"):
        if name not in decisions.columns:
            raise BadInputError(f"the review has no column {name!r}")
    try:
        rows = decisions.select(
            (pl.col(name) if name in decisions.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in REVIEWS_SCHEMA.items()
        )
    except pl.exceptions.PolarsError as error:
        raise BadInputError(f"the review has values of the wrong type: {error}") from error
    for row in rows.iter_rows(named=True):
        of_face = row["face"] is not None
        if of_face != (row["view"] is not None) or (of_face and row["face"] < 0):
            raise BadInputError(
                f"review of {row['utterance_id']!r}: face {row['face']} of view {row['view']!r}: a face is a number "
                "from 0 in a view, and an utterance has neither"
            )
        allowed = FACE_DECISIONS if of_face else UTTERANCE_DECISIONS
        if row["decision"] not in allowed:
            thing = f"face {row['face']}" if of_face else "utterance"
            raise BadInputError(
                f"review of {row['utterance_id']!r}: decision {row['decision']!r} on the {thing}; "
                f"allowed: {', '.join(allowed)}"
            )
    return rows
