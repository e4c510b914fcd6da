"""MELD: the official annotation files, with or without the clips of MELD.Raw (CORPORA: MELD)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from extractors.corpora.delimited import Delimited, parse_delimited, require_columns
from extractors.corpora.reader import no_files, option
from extractors.corpora.registry import register_reader
from extractors.corpora.speakers import speaker_id
from extractors.corpora.text_repair import decode_lenient, repair_mojibake
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.label_bridge import bridge_labels

SPLITS = ("train", "dev", "test")
COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID")
SENTIMENTS = ("neutral", "positive", "negative")
# The archive's folders, one a split; some copies have them one level up.
CLIPS = {
    "train": ("train/train_splits", "train_splits"),
    "dev": ("dev/dev_splits_complete", "dev_splits_complete"),
    "test": ("test/output_repeated_splits_test", "output_repeated_splits_test"),
}
_RECUT = "final_videos_test"
_CLIP = re.compile(rf"({_RECUT})?dia(\d+)_utt(\d+)\.mp4")


@dataclass(frozen=True)
class MeldOptions:
    """What the MELD reader can be told."""

    media: str = option(
        "",
        "the MELD.Raw folder with the clips; by default the corpus folder if it holds any; none: text alone",
    )
    recuts: Literal["prefer", "drop"] = option(
        "prefer", "test clips that were cut again (final_videos_test*): use them, or ignore them"
    )
    encoding: Literal["repair", "refuse"] = option(
        "repair", "copies with broken apostrophes (itâ€™s, it\\x92s): put right, or refused"
    )
    splits: tuple[str, ...] = option(SPLITS, "the splits to read")
    speakers: Literal["people", "names"] = option(
        "people",
        "people: labels such as 'Woman' are one person a dialogue, 'Joey and Chandler' is nobody; names: as labelled",
    )


@register_reader(
    "meld",
    layout="{train,dev,test}_sent_emo.csv (also below data/MELD or MELD.Raw), clips as in MELD.Raw",
    licence="annotations GPL-3.0; video (c) of the series, research use",
    redistributable=False,
    options=MeldOptions,
)
def read_meld(folder: Path, corpus: str, options: MeldOptions) -> pl.DataFrame:
    """One row per annotated utterance: 9,989 / 1,109 / 2,610 in the official files.

    Start and end times in the files are positions in the episode, not in the clip, so the spans stay empty. A clip
    that is missing keeps its place in ``media_uri``, so that its extraction reports the fault. Clips that nobody
    annotated are ignored, as the authors advise (github declare-lab/MELD issue 22). ``speaker_raw`` is the label as
    annotated, ``speaker_id`` the person (:func:`~extractors.corpora.speakers.speaker_id`).

    Raises:
        BadInputError: annotation files or clip folders that are missing, a number that is none, or broken text
            with ``encoding=refuse``.
        UnknownNameError: a column, split, emotion or sentiment that MELD does not have.
    """
    frames = []
    media = _media_folder(folder, options)
    for split in options.splits:
        if split not in SPLITS:
            raise UnknownNameError("split of MELD", split, SPLITS)
        table = _annotations(folder, split, options)
        clips = _clips(media, split, options) if media else None
        frames.append(_rows(table, corpus, split, clips, options))
    return pl.concat(frames) if frames else pl.DataFrame()


def _annotations(folder: Path, split: str, options: MeldOptions) -> Delimited:
    name = f"{split}_sent_emo.csv"
    places = [folder / place / name for place in (".", "data/MELD", "MELD.Raw", "MELD", split)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise no_files(f"MELD annotations of split {split!r} (leave it out with --option splits=...)", places)
    table = parse_delimited(path, decode_lenient(path))
    require_columns(path, table.frame.columns, COLUMNS)
    repaired = table.frame.with_columns(
        pl.col("Utterance", "Speaker").map_elements(repair_mojibake, return_dtype=pl.String)
    )
    if options.encoding == "refuse":
        _refuse(table, repaired)
    return Delimited(path, repaired, table.lines)


def _refuse(table: Delimited, repaired: pl.DataFrame) -> None:
    try:
        table.path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{table.path}: not UTF-8 ({error}); --option encoding=repair") from error
    for row, (before, after) in enumerate(zip(table.frame["Utterance"], repaired["Utterance"], strict=True)):
        if before != after:
            raise BadInputError(
                f"{table.where(row)}: broken characters in {before!r}, meant {after!r}; --option encoding=repair"
            )


def _rows(
    table: Delimited, corpus: str, split: str, clips: "_Clips | None", options: MeldOptions
) -> pl.DataFrame:
    frame = table.frame
    numbers = [_numbers(table, row) for row in range(frame.height)]
    emotions = [label.strip().lower() for label in frame["Emotion"]]
    sentiments = [label.strip().lower() for label in frame["Sentiment"]]
    for sentiment in sentiments:
        if sentiment not in SENTIMENTS:
            raise UnknownNameError(f"sentiment in {table.path}", sentiment, SENTIMENTS)
    bridged = bridge_labels("meld", emotions)
    speakers = [name.strip() or None for name in frame["Speaker"]]
    dialogues = [f"{corpus}/{split}/dia{dialogue}" for dialogue, _ in numbers]
    return pl.DataFrame(
        {
            "utterance_id": [
                f"{dialogue}_utt{turn}" for dialogue, (_, turn) in zip(dialogues, numbers, strict=True)
            ],
            "split": [split] * frame.height,
            "dialogue_id": dialogues,
            "turn": [turn for _, turn in numbers],
            "speaker_id": [
                speaker_id(corpus, dialogue, name, options.speakers)
                for dialogue, name in zip(dialogues, speakers, strict=True)
            ],
            "speaker_raw": speakers,
            "text": frame["Utterance"],
            "language": ["en"] * frame.height,
            "label_raw": emotions,
            "emotion": bridged.emotion,
            "label_note": bridged.label_note,
            "sentiment": sentiments,
            "media_uri": [str(clips.path(*pair)) if clips else None for pair in numbers],
        },
        schema_overrides={"turn": pl.Int32, "media_uri": pl.String, "speaker_id": pl.String},
    )


def _numbers(table: Delimited, row: int) -> tuple[int, int]:
    texts = table.frame["Dialogue_ID"][row], table.frame["Utterance_ID"][row]
    try:
        return int(texts[0]), int(texts[1])
    except ValueError as error:
        raise BadInputError(
            f"{table.where(row)}: Dialogue_ID {texts[0]!r}, Utterance_ID {texts[1]!r}"
        ) from error


@dataclass(frozen=True)
class _Clips:
    """The clips of a split by (dialogue, utterance)."""

    folder: Path
    found: Mapping[tuple[int, int], Path]

    def path(self, dialogue: int, utterance: int) -> Path:
        """The clip, or where it should be."""
        plain = self.folder / f"dia{dialogue}_utt{utterance}.mp4"
        return self.found.get((dialogue, utterance), plain)


def _media_folder(folder: Path, options: MeldOptions) -> Path | None:
    if options.media == "none":
        return None
    if options.media:
        return Path(options.media).expanduser().absolute()
    # Someone who points at the unpacked archive means its clips too.
    beside = [place for split in SPLITS for place in _clip_folders(folder, split)]
    return folder if any(place.is_dir() for place in beside) else None


def _clip_folders(media: Path, split: str) -> list[Path]:
    return [media / base / place for base in (".", "MELD.Raw") for place in CLIPS[split]]


def _clips(media: Path, split: str, options: MeldOptions) -> _Clips:
    """Index of a split's clips: where one was cut again, the re-cut or the first cut by the reader's rule.

    The test folder holds 132 clips twice. Projects that listened to them report that the plain file is the wrong
    scene and that ``final_videos_testdiaX_uttY.mp4`` is what the annotation describes.
    """
    places = _clip_folders(media, split)
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise no_files(f"MELD clips of split {split!r} (text alone: --media none)", places)
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(folder.iterdir()):  # "dia..." sorts before "final...": a re-cut comes later and wins
        match = _CLIP.fullmatch(path.name)
        if match and not (match[1] and options.recuts == "drop"):
            found[int(match[2]), int(match[3])] = path
    return _Clips(folder, found)
