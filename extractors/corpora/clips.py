"""Single clips and tables of them as manifest rows, for whoever asks about new clips and ingests nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from extractors.corpora.registry import reader
from extractors.corpora.table_file import TABLE_ENDINGS
from feature_repo.errors import BadInputError
from feature_repo.manifest import MANIFEST_SCHEMA

_WORDS = "text"  # what words without a clip are called


def read_clips(
    given: Sequence[str],
    corpus: str,
    *,
    text: str | None = None,
    speaker: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Manifest rows of clips, of tables of them, or of words alone.

    Args:
        given: audio, video or picture files or URLs, one utterance each, and tables (``.csv``, ``.tsv``, ``.jsonl``,
            ``.parquet``) as the reader ``table`` takes them; what they say of emotions is not read.
        corpus: what the utterance ids begin with; a clip's id ends with its file name.
        text: the words of the one clip that is given, or of none.
        speaker: who says them.
        columns: of tables, manifest column to the table's.

    Raises:
        BadInputError: nothing is given, a file that is not there, words or a speaker of several clips, two utterances
            of one id, or a table that can't be read.
        UnknownNameError: a column that does not exist.
    """
    tables = [name for name in given if Path(name).suffix.lower() in TABLE_ENDINGS]
    clips = [name for name in given if name not in tables]
    if columns and not tables:
        raise BadInputError("columns are mapped but no table is given")
    if (text is not None or speaker is not None) and (tables or len(clips) > 1):
        raise BadInputError(
            "the words and the speaker of several utterances go into a table: columns utterance_id, text,"
            " speaker_id, media_uri"
        )
    frames = [
        reader("table").read(name, name=corpus, map=dict(columns or {}), unlabelled=True) for name in tables
    ]
    if clips or text is not None:
        frames.append(_clip_rows(clips, corpus, text, speaker))
    if not frames:
        raise BadInputError("nothing to read: name clips or tables of them, or give a text")
    rows = pl.concat(frames, how="diagonal")
    twice = rows.filter(pl.col("utterance_id").is_duplicated())["utterance_id"]
    if len(twice):
        raise BadInputError(f"utterance id {twice[0].removeprefix(f'{corpus}/')!r} is given twice")
    return rows


def _clip_rows(clips: Sequence[str], corpus: str, text: str | None, speaker: str | None) -> pl.DataFrame:
    for clip in clips:
        if "://" not in clip and not Path(clip).expanduser().is_file():
            what = (
                "is a folder; name the clips in it" if Path(clip).expanduser().is_dir() else "does not exist"
            )
            raise BadInputError(f"{clip} {what}")
    repeated = Counter(Path(clip).name for clip in clips)
    # Two clips of one name are told apart by the folders that they were given with.
    names = [Path(clip).name if repeated[Path(clip).name] == 1 else clip.lstrip("/") for clip in clips]
    places: list[str | None] = [
        clip if "://" in clip else str(Path(clip).expanduser().absolute()) for clip in clips
    ]
    if not clips:
        names, places = [_WORDS], [None]
    rows = {
        "utterance_id": [f"{corpus}/{name}" for name in names],
        "media_uri": places,
        "text": [text] * len(names),
        "speaker_id": [None if speaker is None else f"{corpus}/{speaker}"] * len(names),
        "speaker_raw": [speaker] * len(names),
    }
    return pl.DataFrame(rows, schema={name: MANIFEST_SCHEMA[name] for name in rows})
