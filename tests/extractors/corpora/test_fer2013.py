"""FER2013: the real sample's folders, generated folders, and the csv whose pictures become files."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.manifest import conform

# In the order of the challenge's codes 0 to 6.
EMOTIONS = ["anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral"]


def pixels(seed: int) -> "np.ndarray":
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


def line(code: int | str, seed: int = 0, usage: str = "Training") -> str:
    return f"{code},{' '.join(map(str, pixels(seed).ravel()))},{usage}"


def table(folder: Path, *lines: str, header: str = "emotion,pixels,Usage", name: str = "fer2013.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"face")
    return folder


def test_the_real_sample(samples: Path) -> None:
    rows = conform(reader("fer2013").read(samples / "data" / "fer2013"), "fer2013")
    assert Counter(rows["split"]) == {"train": 2100, "test": 656}
    train = rows.filter(split="train")
    assert Counter(train["emotion"]) == dict.fromkeys(EMOTIONS, 300)
    assert Counter(rows.filter(split="test")["emotion"])["disgust"] == 56
    assert all(Path(uri).is_file() for uri in rows["media_uri"])
    by_name = reader("fer2013").read(samples / "data" / "fer2013", splits="usage")
    assert Counter(by_name["split"]) == {"train": 2100, "dev": 656}


def test_folders(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "train/angry/Training_1.jpg",
        "train/happy/Training_2.jpg",
        "train/happy/._Training_2.jpg",
        "validation/sad/x3.png",
        "test/neutral/PrivateTest_4.jpg",
        "test/.cache/a.jpg",
        "other/fear/5.jpg",
    )
    rows = conform(reader("fer2013").read(tmp_path), "fer2013")
    found = {row["utterance_id"]: row for row in rows.iter_rows(named=True)}
    assert {name: (row["split"], row["emotion"]) for name, row in found.items()} == {
        "fer2013/Training_1": ("train", "anger"),
        "fer2013/Training_2": ("train", "joy"),
        "fer2013/x3": ("dev", "sadness"),
        "fer2013/PrivateTest_4": ("test", "neutral"),
    }
    assert found["fer2013/x3"]["media_uri"] == str(tmp_path / "validation/sad/x3.png")
    assert rows["speaker_id"].null_count() == rows["text"].null_count() == 4
    with pytest.raises(BadInputError, match=r"x3\.png: splits=usage needs names"):
        reader("fer2013").read(tmp_path, splits="usage")


def test_folders_with_unknown_labels_or_repeated_names_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'contempt'"):
        reader("fer2013").read(tree(tmp_path / "a", "train/contempt/1.jpg"))
    with pytest.raises(BadInputError, match="two pictures of one name"):
        reader("fer2013").read(tree(tmp_path / "b", "train/angry/1.jpg", "train/happy/1.jpg"))


def test_the_csv_becomes_pictures_with_the_same_pixels(tmp_path: Path) -> None:
    usages = ["Training", "PublicTest", "PrivateTest"]
    table(tmp_path, *(line(code, code, usages[code % 3]) for code in range(7)))
    rows = reader("fer2013").read(tmp_path)
    assert rows["emotion"].to_list() == EMOTIONS
    assert rows["label_raw"].to_list()[3] == "happy"
    assert rows["split"].to_list() == ["train", "dev", "test"] * 2 + ["train"]
    assert rows["utterance_id"].to_list()[1] == "fer2013/PublicTest_00001"
    assert rows["media_uri"].to_list()[1] == str(tmp_path / "fer2013_images" / "PublicTest_00001.png")
    for seed, uri in enumerate(rows["media_uri"]):
        with Image.open(uri) as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), pixels(seed))


def test_pictures_are_written_once_and_again_when_they_changed(tmp_path: Path) -> None:
    path = table(tmp_path / "csv", line(0, 1), line(1, 2))
    images = tmp_path / "images"
    uris = reader("fer2013").read(path, images=str(images))["media_uri"].to_list()
    assert uris == [str(images / "Training_00000.png"), str(images / "Training_00001.png")]
    assert not (tmp_path / "csv" / "fer2013_images").exists()
    for uri in uris:
        os.utime(uri, ns=(1, 1))
    Path(uris[1]).write_bytes(b"half a picture")
    reader("fer2013").read(path, images=str(images))
    assert Path(uris[0]).stat().st_mtime_ns == 1
    with Image.open(uris[1]) as image:
        assert np.array_equal(np.asarray(image), pixels(2))


def test_the_copy_with_blanks_in_its_header_and_another_order(tmp_path: Path) -> None:
    code, values, usage = line(6, 3, "PrivateTest").split(",")
    table(tmp_path, f"{code}, {usage},{values}", header="emotion, Usage, pixels", name="icml_face_data.csv")
    (row,) = reader("fer2013").read(tmp_path).iter_rows(named=True)
    assert (row["split"], row["emotion"]) == ("test", "neutral")
    assert row["media_uri"] == str(tmp_path / "icml_face_data_images" / "PrivateTest_00000.png")


def test_broken_rows_are_named_by_line(tmp_path: Path) -> None:
    good = line(0)
    cases = {
        line(7): (UnknownNameError, r"emotion in .*line 3 .7.; allowed: 0, 1"),
        line(0, usage="Test"): (UnknownNameError, r"Usage in .*line 3 'Test'"),
        "0,1 2 3,Training": (BadInputError, "line 3: 3 pixels; expected 2304"),
        good.replace("0,", "0,x ", 1): (BadInputError, "line 3: a pixel is not a whole number"),
        good.replace("0,", "0,256 ", 1): (BadInputError, "line 3: 2305 pixels"),
        "0,,Training": (BadInputError, "line 3: 0 pixels"),
        f"0,{' '.join(['256'] * 2304)},Training": (BadInputError, "line 3.*from 0 to 255"),
        f"0,{' '.join(['-1'] * 2304)},Training": (BadInputError, "line 3.*from 0 to 255"),
        "0,Training": (BadInputError, "line 3: 2 fields where the columns are emotion, pixels, Usage"),
        '0,"1 2,Training': (BadInputError, "line 3: unexpected end of data"),
    }
    for number, (broken, (error, said)) in enumerate(cases.items()):
        path = table(tmp_path / str(number), good, broken)
        with pytest.raises(error, match=said):
            reader("fer2013").read(path)


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'Usage'; allowed: emotion, pixels"):
        reader("fer2013").read(table(tmp_path / "a", "0,1", header="emotion,pixels"))
    with pytest.raises(UnknownNameError, match="'emotion'"):
        reader("fer2013").read(table(tmp_path / "b", header=""))
    (tmp_path / "c").mkdir()
    with pytest.raises(BadInputError, match=r"train/angry.*fer2013\.csv"):
        reader("fer2013").read(tmp_path / "c")


def test_pictures_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    path = table(tmp_path, line(0))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadInputError, match="can't be written here.*--option images=FOLDER"):
        reader("fer2013").read(path, images=str(tmp_path / "file" / "images"))
