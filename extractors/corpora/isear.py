"""ISEAR: students in 37 countries tell when they felt each of seven emotions (CORPORA: text corpora)."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from extractors.corpora.delimited import require_columns
from extractors.corpora.reader import no_files
from extractors.corpora.registry import register_reader
from extractors.corpora.text_repair import decode_lenient
from feature_repo.errors import BadInputError
from feature_repo.label_bridge import bridge_labels
from feature_repo.label_rules import RULES

FILES = ("isear.csv", "Isear.csv", "ISEAR.csv")
CODES = {code: name for code, name in RULES["isear"].codes.items() if code.isdigit()}
# An answer that is none: "[ No response.]", "NO RESPONSE".
_NO_RESPONSE = re.compile(r"\W*no response\W*", re.IGNORECASE)
# The published file was written in Latin-1 and read in the table of DOS: a no-break space, which stands at every line
# break of the questionnaire, became this letter, and "ö" became "÷".
_BREAK = "\u00e1"
_DOS = {bytes([byte]).decode("cp437"): bytes([byte]).decode("latin-1") for byte in range(0xA0, 0x100)}


@dataclass(frozen=True)
class IsearOptions:
    """The ISEAR reader has no options: shame and guilt keep no emotion, and say so."""


@dataclass(frozen=True)
class _Answer:
    """One line of the file: the fields before the answer's words, and the words."""

    line: int
    fields: dict[str, str]
    text: str


@register_reader(
    "isear",
    layout="isear.csv: fields between '|', the header with ID, EMOT, MYKEY and SIT among them",
    licence="research; CC BY-NC-SA 3.0",
    redistributable=True,
    options=IsearOptions,
)
def read_isear(folder: Path, corpus: str, options: IsearOptions) -> pl.DataFrame:
    """One row per answer: 7,666 in the published file, all in split ``all``.

    The words may hold the separator, so they are what is left between the fields before and after them. Line breaks
    and quotes that the file spoiled are put right. Labels go by the code in ``EMOT``. Where somebody did not answer
    the row stays without text and emotion, and says so. ``speaker_id`` is the respondent, who was asked for all seven.

    Raises:
        BadInputError: the file is missing, a row has too few fields or a code that does not exist.
        UnknownNameError: the header lacks a column.
    """
    places = [folder] if folder.is_file() else [folder / name for name in FILES]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise no_files("ISEAR", places)
    text = decode_lenient(path)
    answers = list(_answers(path, text))
    dos = f" {_BREAK} " in text
    said = [_words(answer.text, dos=dos) for answer in answers]
    answered = [_NO_RESPONSE.fullmatch(words) is None and bool(words) for words in said]
    labels = [_label(path, answer) for answer in answers]
    bridged = bridge_labels("isear", labels)
    people = [answer.fields["ID"].strip() for answer in answers]
    return pl.DataFrame(
        {
            "utterance_id": _ids(corpus, [answer.fields["MYKEY"].strip() for answer in answers]),
            "split": ["all"] * len(answers),
            "speaker_id": [f"{corpus}/{person}" for person in people],
            "speaker_raw": people,
            "text": [words if kept else None for words, kept in zip(said, answered, strict=True)],
            "language": ["en"] * len(answers),
            "label_raw": labels,
            "emotion": _where(answered, bridged.emotion, None),
            "label_note": _where(answered, bridged.label_note, "no response, dropped"),
        },
        schema_overrides=dict.fromkeys(
            ("utterance_id", "split", "speaker_id", "speaker_raw", "text", "language", "label_raw"), pl.String
        ),
    )


def _answers(path: Path, text: str) -> Iterator[_Answer]:
    lines = text.split("\n")
    names = [name.strip() for name in lines[0].rstrip("\r").split("|")]
    require_columns(path, names, ("ID", "EMOT", "MYKEY", "SIT"))
    before = names.index("SIT")
    after = len(names) - before - 1
    number = 1
    while number < len(lines):
        start, row = number, lines[number].rstrip("\r")
        number += 1
        if not row.strip():
            continue
        # Some copies keep the line breaks within the words.
        while row.count("|") < before + after and number < len(lines):
            if lines[number].count("|") >= before + after:
                break  # this is a row of its own, and the one before it is short
            row = f"{row} {lines[number].rstrip(chr(13))}"
            number += 1
        if row.count("|") < before + after:
            raise BadInputError(
                f"{path}: line {start + 1}: {row.count('|') + 1} fields, expected at least {len(names)}: "
                f"{', '.join(names)}"
            )
        *fields, rest = row.split("|", before)
        words = rest.rsplit("|", after)[0] if after else rest
        yield _Answer(start + 1, dict(zip(names, fields, strict=False)), words)


def _words(text: str, *, dos: bool) -> str:
    r"""The answer as it was given: ``waited \big envelope\" (a document for á|C.U.H.K`` had quotes and a line break."""
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1].replace('""', ""):
        text = text[1:-1].replace('""', '"')
    if "\\" in text:
        # The export escaped the quotes, of which the opening ones were lost, and closed the field with one of its own.
        text = text.removesuffix('"').replace('\\"', '"').replace("\\", '"')
    text = text.replace(f"{_BREAK}|", f"{_BREAK} ")
    if dos:
        text = "".join(_DOS.get(letter, letter) for letter in text)
    return " ".join(text.split())


def _label(path: Path, answer: _Answer) -> str:
    code = answer.fields["EMOT"].strip()
    if code not in CODES:
        raise BadInputError(
            f"{path}: line {answer.line}: EMOT {code!r}; expected "
            f"{', '.join(f'{known} {name}' for known, name in CODES.items())}"
        )
    return CODES[code]


def _ids(corpus: str, keys: list[str]) -> list[str]:
    """Utterance ids; a key that was given to several answers is counted on."""
    seen: Counter[str] = Counter()
    ids = []
    for key in keys:
        seen[key] += 1
        ids.append(f"{corpus}/{key}" if seen[key] == 1 else f"{corpus}/{key}_{seen[key]}")
    return ids


def _where(chosen: list[bool], values: pl.Series, otherwise: str | None) -> pl.Series:
    return pl.Series(
        [value if kept else otherwise for value, kept in zip(values, chosen, strict=True)], dtype=pl.String
    )
