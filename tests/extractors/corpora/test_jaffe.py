"""JAFFE: the code in the file names."""

from pathlib import Path

import pytest

from extractors.corpora.registry import reader
from feature_repo.errors import BadInputError
from feature_repo.manifest import conform

SUBJECTS = ["KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM"]
EXPRESSIONS = {
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "joy",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"face")
    return folder


def test_ten_women_and_seven_expressions(tmp_path: Path) -> None:
    names = [
        f"{subject}.{code}1.{number}" for number, subject in enumerate(SUBJECTS, 1) for code in EXPRESSIONS
    ]
    tree(tmp_path, *(f"jaffedbase/{name}.tiff" for name in names), "jaffedbase/README", "._KA.AN1.1.tiff")
    rows = conform(reader("jaffe").read(tmp_path), "jaffe")
    assert rows.height == 70
    assert set(rows["speaker_id"]) == {f"jaffe/{subject}" for subject in SUBJECTS}
    for name, emotion, uri in rows.select("utterance_id", "emotion", "media_uri").iter_rows():
        assert emotion == EXPRESSIONS[name.split(".")[1][:2]]
        assert uri == str(tmp_path / "jaffedbase" / f"{name.removeprefix('jaffe/')}.tiff")


def test_a_name_of_the_corpus(tmp_path: Path) -> None:
    (found,) = reader("jaffe").read(tree(tmp_path, "KM.HA4.14.tiff")).iter_rows(named=True)
    assert (found["utterance_id"], found["speaker_raw"]) == ("jaffe/KM.HA4.14", "KM")
    assert (found["label_raw"], found["emotion"], found["split"]) == ("happiness", "joy", "all")


@pytest.mark.parametrize("name", ["KB.AN1.39", "KA.XX1.39", "KA.AN.39", "KA.AN1", "KA.AN1.39 copy"])
def test_a_name_outside_the_code_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="not a JAFFE name"):
        reader("jaffe").read(tree(tmp_path, f"{name}.tiff"))


def test_copies_are_one_picture_and_another_picture_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "KA.AN1.39.tiff", "again/KA.AN1.39.tiff")
    assert reader("jaffe").read(tmp_path)["media_uri"].to_list() == [str(tmp_path / "KA.AN1.39.tiff")]
    (tmp_path / "again/KA.AN1.39.tiff").write_bytes(b"FACE")
    with pytest.raises(BadInputError, match="different files of one name"):
        reader("jaffe").read(tmp_path)
