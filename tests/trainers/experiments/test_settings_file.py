"""Settings files: what they hold, and which file and key an error names."""

from pathlib import Path

import pytest

from feature_repo.errors import BadInputError
from trainers.experiments.settings_file import read_settings_file, unknown_key, unknown_value


def _file(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_lists_and_nothing(tmp_path: Path) -> None:
    path = _file(
        tmp_path, "lr: 1e-5\nslots: [text, face=face_hog_12345678]\nverdict:\nsettings: {depth: 2}\n"
    )
    told = read_settings_file(path)
    assert told == {
        "lr": 0.00001,
        "slots": ["text", "face=face_hog_12345678"],
        "verdict": None,
        "settings": {"depth": 2},
    }
    assert type(told["slots"]) is list


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert read_settings_file(_file(tmp_path, "# nothing yet\n")) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title: a\ntitle: b\n", "mine.yaml is no YAML.*duplicate key title"),
        ("slots: [text\n", "mine.yaml is no YAML"),
        ("- text\n", "mine.yaml: a mapping"),
        ("on: 1\n", "mine.yaml: a mapping of names"),  # YAML reads `on` as a truth value
        ("lr: ${nowhere}\n", "mine.yaml is no YAML.*nowhere"),
    ],
)
def test_what_is_no_mapping_is_told_with_its_file(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        read_settings_file(_file(tmp_path, text))


def test_a_file_that_is_not_there_or_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="none.yaml can't be read: No such file"):
        read_settings_file(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("title: café".encode("latin-1"))
    with pytest.raises(BadInputError, match="latin.yaml can't be read"):
        read_settings_file(tmp_path / "latin.yaml")


def test_slips_are_answered_with_the_nearest_name() -> None:
    assert (
        str(unknown_key("a.yaml", "sedes", ["slots", "seeds"]))
        == "a.yaml: unknown key 'sedes'; did you mean 'seeds'? allowed: seeds, slots"
    )
    assert str(unknown_key("a.yaml", "x", ["slots"])) == "a.yaml: unknown key 'x'; allowed: slots"
    assert (
        str(unknown_value("a.yaml", "model", "mambo", ["mamba", "mlp"]))
        == "a.yaml: key 'model' is 'mambo'; did you mean 'mamba'? allowed: mamba, mlp"
    )
