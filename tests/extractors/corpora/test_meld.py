"""MELD: the official files, generated copies with the known traps, and the layout of MELD.Raw."""

import csv
import io
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform

HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
)
ROW = '{n},"{text}",{speaker},{emotion},{sentiment},{d},{u},8,21,"00:16:16,059","00:16:21,731"'


def row(
    text: str = "Hi",
    *,
    emotion: str = "joy",
    sentiment: str = "positive",
    d: int = 0,
    u: int = 0,
    speaker: str = "Ross",
) -> str:
    return ROW.format(n=1, text=text, speaker=speaker, emotion=emotion, sentiment=sentiment, d=d, u=u)


def write(folder: Path, encoding: str = "utf-8", **splits: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev", "test"):
        text = "\n".join([HEADER, *splits.get(split, [row()])]) + "\n"
        (folder / f"{split}_sent_emo.csv").write_bytes(text.encode(encoding))
    return folder


def clips(media: Path, **splits: list[str]) -> Path:
    for place in ("train/train_splits", "dev/dev_splits_complete", "test/output_repeated_splits_test"):
        (media / place).mkdir(parents=True, exist_ok=True)
        for name in splits.get(place.split("/")[0], []):
            (media / place / name).write_bytes(b"mp4")
    return media


def test_official_files_have_the_published_counts(samples: Path) -> None:
    rows = conform(reader("meld").read(samples / "data" / "meld"), "meld")
    assert Counter(rows["split"]) == {"train": 9989, "dev": 1109, "test": 2610}
    assert rows["utterance_id"].n_unique() == 13708
    dialogues = rows.group_by("split").agg(pl.col("dialogue_id").n_unique())
    assert dict(dialogues.iter_rows()) == {"train": 1038, "dev": 114, "test": 280}
    test = rows.filter(split="test")
    # 48.1 % neutral is the published majority baseline.
    assert Counter(test["emotion"])["neutral"] == 1256
    assert "meld/train/dia60_utt0" not in set(rows["utterance_id"])
    assert rows["media_uri"].null_count() == rows["start_s"].null_count() == 13708
    assert rows["speaker_raw"].n_unique() == 304


def test_official_rows_say_what_the_csv_says(samples: Path) -> None:
    rows = reader("meld").read(samples / "data" / "meld")
    found = {r["utterance_id"]: r for r in rows.iter_rows(named=True)}
    for split in ("train", "dev", "test"):
        text = (samples / "data" / "meld" / f"{split}_sent_emo.csv").read_text("utf-8")
        for line in csv.DictReader(io.StringIO(text, newline="")):
            got = found[f"meld/{split}/dia{line['Dialogue_ID']}_utt{line['Utterance_ID']}"]
            assert got["text"] == line["Utterance"]
            assert got["emotion"] == line["Emotion"] == got["label_raw"]
            assert got["sentiment"] == line["Sentiment"]
            assert got["turn"] == int(line["Utterance_ID"])


@pytest.mark.parametrize("place", [".", "data/MELD", "MELD.Raw"])
def test_annotations_are_found_in_the_repositorys_and_the_archives_layout(tmp_path: Path, place: str) -> None:
    write(tmp_path / place)
    rows = reader("meld").read(tmp_path)
    assert rows["utterance_id"].to_list() == [f"meld/{split}/dia0_utt0" for split in ("train", "dev", "test")]
    assert rows["dialogue_id"].to_list() == [f"meld/{split}/dia0" for split in ("train", "dev", "test")]
    assert rows["media_uri"].to_list() == [None] * 3


@pytest.mark.parametrize("damage", ["cp1252", "controls", "twice"])
def test_older_copies_with_broken_apostrophes_are_repaired_or_refused(tmp_path: Path, damage: str) -> None:
    meant = "You must’ve had “that”…"
    if damage == "cp1252":
        write(tmp_path, encoding="cp1252", train=[row(meant)])
    else:
        encoded = meant.encode("cp1252") if damage == "controls" else meant.encode()
        write(tmp_path, train=[row(encoded.decode("latin-1"))])
    assert reader("meld").read(tmp_path)["text"][0] == meant
    with pytest.raises(BadInputError, match="train_sent_emo"):
        reader("meld").read(tmp_path, encoding="refuse")


def test_clips_are_looked_up_and_missing_ones_keep_their_place(tmp_path: Path) -> None:
    folder = write(tmp_path / "csv", train=[row(u=0), row(u=1)])
    media = clips(tmp_path / "MELD.Raw", train=["dia0_utt0.mp4"], test=["dia0_utt0.mp4"])
    rows = reader("meld").read(folder, media=str(media))
    uris = dict(zip(rows["utterance_id"], rows["media_uri"], strict=True))
    assert uris["meld/train/dia0_utt0"] == str(media / "train/train_splits/dia0_utt0.mp4")
    assert uris["meld/train/dia0_utt1"] == str(media / "train/train_splits/dia0_utt1.mp4")
    assert uris["meld/dev/dia0_utt0"] == str(media / "dev/dev_splits_complete/dia0_utt0.mp4")
    assert not Path(uris["meld/dev/dia0_utt0"]).exists()
    assert (
        reader("meld").read(folder, media=str(tmp_path))["media_uri"].to_list() == rows["media_uri"].to_list()
    )


def test_recut_test_clips_are_preferred_or_dropped(tmp_path: Path) -> None:
    folder = write(tmp_path, test=[row(u=0), row(u=1), row(u=2)])
    names = [
        "dia0_utt0.mp4",
        "final_videos_testdia0_utt0.mp4",
        "dia0_utt1.mp4",
        "final_videos_testdia0_utt2.mp4",
    ]
    media = clips(tmp_path / "MELD.Raw", test=[*names, "._dia0_utt1.mp4", "final_videos_testdia9_utt9.mp4"])

    def used(**options: str) -> list[str]:
        rows = reader("meld").read(folder, media=str(media), **options).filter(split="test")
        return [Path(uri).name for uri in rows["media_uri"]]

    assert used() == ["final_videos_testdia0_utt0.mp4", "dia0_utt1.mp4", "final_videos_testdia0_utt2.mp4"]
    assert used(recuts="drop") == ["dia0_utt0.mp4", "dia0_utt1.mp4", "dia0_utt2.mp4"]


def test_clips_beside_the_annotations_are_used_unless_told_otherwise(tmp_path: Path) -> None:
    write(tmp_path)
    clips(tmp_path, train=["dia0_utt0.mp4"])
    assert reader("meld").read(tmp_path)["media_uri"].null_count() == 0
    assert reader("meld").read(tmp_path, media="none")["media_uri"].null_count() == 3


def test_missing_splits_and_clip_folders_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "csv")
    (folder / "dev_sent_emo.csv").unlink()
    with pytest.raises(BadInputError, match="'dev'.*splits="):
        reader("meld").read(folder)
    assert reader("meld").read(folder, splits="train,test")["split"].to_list() == ["train", "test"]
    with pytest.raises(BadInputError, match="train_splits"):
        reader("meld").read(folder, splits="train", media=str(tmp_path))
    with pytest.raises(UnknownNameError, match="dev, test, train"):
        reader("meld").read(folder, splits="train,valid")


def test_wrong_labels_numbers_and_columns_name_the_place(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'happy'"):
        reader("meld").read(write(tmp_path / "a", train=[row(emotion="happy")]))
    with pytest.raises(UnknownNameError, match="'mixed'.*negative, neutral, positive"):
        reader("meld").read(write(tmp_path / "b", train=[row(sentiment="mixed")]))
    wrong = row().replace(",0,0,8,", ",zero,0,8,")
    with pytest.raises(BadInputError, match=r"train_sent_emo\.csv: line 2.*'zero'"):
        reader("meld").read(write(tmp_path / "c", train=[wrong]))
    folder = write(tmp_path / "d")
    path = folder / "test_sent_emo.csv"
    path.write_text(path.read_text("utf-8").replace("Speaker", "Who"), "utf-8")
    with pytest.raises(UnknownNameError, match="'Speaker'.*Who"):
        reader("meld").read(folder)


def test_a_repeated_utterance_is_refused_by_the_manifest(tmp_path: Path) -> None:
    rows = reader("meld").read(write(tmp_path, train=[row(), row()]))
    with pytest.raises(BadInputError, match="meld/train/dia0_utt0"):
        conform(rows, "meld")


def test_speakers_are_people_or_labels(tmp_path: Path) -> None:
    names = ("Ross", "Woman", "Ross and Chandler", "")
    folder = write(tmp_path, train=[row(u=turn, speaker=name) for turn, name in enumerate(names)])
    rows = reader("meld").read(folder, splits="train")
    assert rows["speaker_raw"].to_list() == ["Ross", "Woman", "Ross and Chandler", None]
    assert rows["speaker_id"].to_list() == ["meld/ross", "meld/train/dia0/woman", None, None]
    labels = reader("meld").read(folder, splits="train", speakers="names")["speaker_id"].to_list()
    assert labels == ["meld/ross", "meld/woman", "meld/ross_and_chandler", None]


def test_another_name_starts_every_id(tmp_path: Path) -> None:
    rows = conform(reader("meld").read(write(tmp_path), name="mine"), "mine")
    assert set(rows["speaker_id"]) == {"mine/ross"}
    assert rows["utterance_id"].str.starts_with("mine/").all()
