"""Transcripts that were made elsewhere, as a view whose recipe says so by the digest of their file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from extractors.asr.transcript import COLUMNS, EMPTY_TRANSCRIPT
from extractors.corpora.delimited import require_columns
from extractors.corpora.table_file import read_table_file
from extractors.protocol import Extractor, Item, Needs, Outputs
from extractors.registry import register
from extractors.settings import Settings, runtime
from extractors.weights import weights_digest
from feature_repo.errors import BadInputError
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe

CODE_VERSION = 1
_TOLD = 3  # ids that a message names


@dataclass(frozen=True)
class GivenTranscriptSettings(Settings):
    """Settings of transcripts that were made elsewhere.

    Attributes:
        file: CSV, TSV, JSON Lines or Parquet with the columns ``utterance_id`` and ``transcript``, and ``language``
            where it is known. Not identity: the digest of its content is.
    """

    file: str = runtime("")


@register
class GivenTranscript(Extractor):
    """Reads transcripts from a file; an empty one is a legitimate nothing, one that lacks a fault."""

    name: ClassVar[str] = "giventranscript"
    modality: ClassVar[str] = "transcript"
    needs: ClassVar[Needs] = "nothing"
    Settings: ClassVar[type[Settings]] = GivenTranscriptSettings
    uses_device: ClassVar[bool] = False
    summary: ClassVar[str] = "transcripts that were made elsewhere, from a file"
    settings: GivenTranscriptSettings

    def __init__(self, settings: GivenTranscriptSettings) -> None:
        super().__init__(settings)
        self._recipes: dict[str, Recipe] = {}
        self._given: dict[str, tuple[str | None, str | None]] = {}

    def recipes(self) -> Mapping[str, Recipe]:
        """One record.

        Raises:
            BadInputError: no file was named, or it is not there.
        """
        if not self._recipes:
            self._recipes["transcript"] = Recipe(
                "transcript",
                self.name,
                CODE_VERSION,
                "media",
                "record",
                0,
                weights=weights_digest(self._file()),
                columns=COLUMNS,
            )
        return self._recipes

    def remarks(self, known: Collection[str]) -> list[str]:
        """How many of the file's utterances the store does not know."""
        given = read_transcripts(self._file())
        unknown = sorted(given.keys() - set(known))
        if not unknown:
            return []
        return [
            f"{self.settings.file}: {len(unknown)} of {len(given)} utterances are in no manifest: {_some(unknown)}"
        ]

    def cost(self, item: Item) -> float:
        """The same for each."""
        return 1.0

    def load(self, device: str) -> None:
        """Read the file.

        Raises:
            UnknownNameError: another ending, or a column that is missing.
            BadInputError: an unreadable file, an id that stands twice, or what is not text.
        """
        self._given = read_transcripts(self._file())

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        """The outcome of each item, in the batch's order."""
        return [self._outcome(item.utterance_id) for item in batch]

    def _outcome(self, utterance_id: str) -> Outputs:
        text, language = self._given.get(utterance_id, (None, None))
        if text is None:
            return Fault(
                "extract",
                "NoTranscript",
                f"{utterance_id}: not among the {len(self._given)} transcripts of {self.settings.file}"
                + "".join(f", such as {known!r}" for known in list(self._given)[:1]),
            )
        if not text.strip():
            return {"transcript": Features(None, EMPTY_TRANSCRIPT)}
        unknown = dict.fromkeys(
            ("segment_start", "segment_end", "segment_logprob", "segment_no_speech", "segment_text"), ()
        )
        return {"transcript": Features(None, columns={"text": text, "language": language, **unknown})}

    def _file(self) -> Path:
        if not self.settings.file:
            raise BadInputError(
                "giventranscript: no file was named: --set file=FILE (.csv, .jsonl, .parquet)"
            )
        file = Path(self.settings.file).expanduser()
        if not file.is_file():
            raise BadInputError(f"giventranscript file={self.settings.file!r}: no such file")
        return file


def read_transcripts(file: Path) -> dict[str, tuple[str | None, str | None]]:
    """Utterance id to transcript and language, null where the file has none.

    Raises:
        UnknownNameError: another ending, or a column that is missing.
        BadInputError: an unreadable file, an id that stands twice, or what is not text.
    """
    table = read_table_file(file)
    require_columns(file, table.frame.columns, ("utterance_id", "transcript"))
    given: dict[str, tuple[str | None, str | None]] = {}
    languages = table.frame["language"] if "language" in table.frame.columns else [None] * len(table.frame)
    columns = (table.frame["utterance_id"], table.frame["transcript"], languages)
    for row, (utterance_id, text, language) in enumerate(zip(*columns, strict=True)):
        where = table.where(row)
        key = _text(utterance_id, "utterance_id", where)
        if not key:
            raise BadInputError(f"{where}: utterance_id is empty")
        if key in given:
            raise BadInputError(f"{where}: utterance_id {key!r} stands twice")
        given[key] = (_text(text, "transcript", where), _text(language, "language", where) or None)
    return given


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_TOLD]) + (", ..." if len(ids) > _TOLD else "")


def _text(value: object, column: str, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise BadInputError(f"{where}: {column} must be text, found {value!r:.60}")
