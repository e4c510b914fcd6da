"""Manifests in the store: one Parquet file per corpus, replaced whole, with a generation number."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from feature_repo.content import with_content_keys
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.files import FileLayer
from feature_repo.manifest import MANIFEST_SCHEMA, conform, read_rows
from feature_repo.media_digest import with_media
from feature_repo.terms import Terms

MANIFEST = "manifest"
_GENERATION = b"affectstore.generation"
_TERMS = b"affectstore.terms"
_FORGOTTEN = "forgotten.parquet"


@dataclass(frozen=True)
class IngestReport:
    """What ``ingest`` changed: counts of utterances, and the manifest's new generation."""

    corpus: str
    total: int
    added: int
    changed: int
    removed: int
    missing_media: int
    forgotten: int
    generation: int


class ManifestStore:
    """The manifests below ``manifest/``."""

    def __init__(self, files: FileLayer) -> None:
        self.files = files

    def corpora(self) -> list[str]:
        """Names of the corpora that were ingested."""
        return [
            name.removesuffix(".parquet")
            for name in self.files.list_files(MANIFEST)
            if name.endswith(".parquet")
        ]

    def read(self, corpora: Sequence[str] | None = None) -> pl.DataFrame:
        """The rows of the named corpora, of all by default, in the manifest's schema.

        Raises:
            UnknownNameError: a corpus that was not ingested.
            BadInputError: its file is damaged.
        """
        known = self.corpora()
        frames = []
        for corpus in known if corpora is None else dict.fromkeys(corpora):
            if corpus not in known:
                raise UnknownNameError("corpus", corpus, known)
            frames.append(read_rows(self._read_table(self._path(corpus))))
        return pl.concat(frames) if frames else pl.DataFrame(schema=MANIFEST_SCHEMA)

    def generation(self, corpus: str) -> int:
        """How many times the corpus's manifest was replaced; 0 before the first time."""
        return int(self._facts(corpus).get(_GENERATION, b"0"))

    def terms(self, corpus: str) -> Terms:
        """The corpus's licence as its ingest recorded it; a manifest of before that was done says so."""
        try:
            return Terms.from_data(json.loads(self._facts(corpus).get(_TERMS, b"null")))
        except ValueError:
            return Terms()

    def replace(
        self,
        corpus: str,
        rows: pl.DataFrame,
        on_file: Callable[[int], None] | None = None,
        terms: Terms | None = None,
    ) -> IngestReport:
        """Make these rows the corpus's manifest; media are hashed where size or time changed.

        Utterances that were forgotten stay out.

        Args:
            corpus: its name.
            rows: its rows.
            on_file: told 1 after each media file.
            terms: its licence; None keeps what was recorded before.

        Raises:
            BadInputError: rows that no manifest could hold (see :func:`~feature_repo.manifest.conform`).
            StoreWriteError: the write failed; the manifest is as it was.
        """
        frame = conform(rows, corpus)
        with self.files.lock(f"manifest-{corpus}"):
            before = self.read([corpus]) if corpus in self.corpora() else pl.DataFrame(schema=MANIFEST_SCHEMA)
            total = frame.height
            frame = frame.filter(~pl.col("utterance_id").is_in(self.forgotten()))
            forgotten = total - frame.height
            frame = with_content_keys(with_media(frame, before, on_file))
            generation, known = self.generation(corpus), self.terms(corpus)
            if not frame.equals(before) or generation == 0 or terms not in (None, known):
                generation += 1
                self._write(corpus, frame, generation, terms or known)
        old, new = before.select("utterance_id"), frame.select("utterance_id")
        both = frame.join(old, on="utterance_id", how="semi")
        same = both.join(before, on=list(MANIFEST_SCHEMA), how="semi", nulls_equal=True)
        return IngestReport(
            corpus,
            frame.height,
            frame.height - both.height,
            both.height - same.height,
            old.join(new, on="utterance_id", how="anti").height,
            frame.filter(pl.col("media_uri").is_not_null() & pl.col("media_digest").is_null()).height,
            forgotten,
            generation,
        )

    def restore(self, corpus: str, rows: pl.DataFrame, terms: Terms | None = None) -> int:
        """Make a corpus of rows that another store exported; what it says of media and their content is kept.

        Utterances that were forgotten here stay out.

        Args:
            corpus: a name that no corpus here has.
            rows: rows with the manifest's columns, content keys included.
            terms: the corpus's licence.

        Returns:
            How many utterances it has.

        Raises:
            BadInputError: the corpus is here already, or rows that no manifest could hold.
            StoreWriteError: the write failed.
        """
        frame = conform(rows, corpus)
        with self.files.lock(f"manifest-{corpus}"):
            if corpus in self.corpora():
                raise BadInputError(f"corpus {corpus!r} is here already; its manifest stays as it is")
            frame = frame.filter(~pl.col("utterance_id").is_in(self.forgotten()))
            self._write(corpus, frame, 1, terms or Terms())
        return frame.height

    def forgotten(self) -> list[str]:
        """Ids of the utterances that were forgotten on purpose; no ingest brings them back."""
        try:
            return self._read_table(_FORGOTTEN)["utterance_id"].to_list()
        except FileNotFoundError:
            return []

    def forget(self, utterance_ids: Sequence[str]) -> None:
        """Take the utterances out of their manifests, for good."""
        with self.files.lock("forgotten"):
            kept = sorted({*self.forgotten(), *utterance_ids})
            sink = io.BytesIO()
            pl.DataFrame({"utterance_id": kept}, schema={"utterance_id": pl.String}).write_parquet(sink)
            self.files.write(_FORGOTTEN, sink.getvalue())
        for corpus in self.corpora():
            with self.files.lock(f"manifest-{corpus}"):
                before = self.read([corpus])
                frame = before.filter(~pl.col("utterance_id").is_in(list(utterance_ids)))
                if frame.height < before.height:
                    self._write(corpus, frame, self.generation(corpus) + 1, self.terms(corpus))

    def _read_table(self, path: str) -> pl.DataFrame:
        data = self.files.read(path)
        try:
            return pl.read_parquet(io.BytesIO(data))
        except pl.exceptions.PolarsError as error:
            raise BadInputError(
                f"{self.files.url(path)} is damaged ({error}); move it away and ingest again: no feature is lost"
            ) from error

    def _facts(self, corpus: str) -> dict[bytes, bytes]:
        """What the corpus's file says of itself; nothing when there is none."""
        try:
            data = self.files.read(self._path(corpus))
        except FileNotFoundError:
            return {}
        return dict(pq.read_metadata(io.BytesIO(data)).metadata or {})

    def _write(self, corpus: str, frame: pl.DataFrame, generation: int, terms: Terms) -> None:
        sink = io.BytesIO()
        facts = {_GENERATION: str(generation), _TERMS: json.dumps(terms.as_data(), sort_keys=True)}
        frame.write_parquet(sink, metadata={name.decode(): value for name, value in facts.items()})
        self.files.write(self._path(corpus), sink.getvalue())

    def _path(self, corpus: str) -> str:
        return f"{MANIFEST}/{corpus}.parquet"
