from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from extractors.settings import ModelSettings, Settings, parse_settings, runtime, settings_as_texts
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.recipe import identity_settings


@dataclass(frozen=True)
class Example(ModelSettings):
    depth: int = 3
    scale: float = 1.0
    trim: bool = True
    mode: Literal["fast", "slow"] = "fast"
    languages: tuple[str, ...] = ("en",)
    place: str = runtime("")


def test_texts_become_the_fields_types():
    given = {"depth": "5", "scale": "0.5", "trim": "no", "mode": "slow", "languages": "en, de", "place": "/x"}
    parsed = parse_settings(Example, given, "example")
    assert parsed == Example(depth=5, scale=0.5, trim=False, mode="slow", languages=("en", "de"), place="/x")
    assert parse_settings(Example, {"languages": ""}, "example").languages == ()


def test_settings_become_the_texts_that_make_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    chosen = Example(depth=5, trim=False, languages=("en", "de"), place="model", batch_size=4, download=True)
    texts = settings_as_texts(chosen)
    assert texts == {"depth": "5", "trim": "no", "languages": "en,de", "place": "model"}
    assert parse_settings(Example, {**texts, "batch_size": "4", "download": "yes"}, "example") == chosen
    (tmp_path / "weights").write_bytes(b"w")
    monkeypatch.chdir(tmp_path)
    assert settings_as_texts(Example(model="weights")) == {"model": str(tmp_path / "weights")}
    assert settings_as_texts(Example(model="org/name")) == {"model": "org/name"}


def test_an_unknown_setting_lists_the_known_ones():
    with pytest.raises(
        UnknownNameError, match=r"unknown setting of extractor example 'deep'; allowed: .*depth"
    ):
        parse_settings(Example, {"deep": "1"}, "example")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": "many"}, "depth='many': must be a whole number"),
        ({"scale": "wide"}, "must be a number"),
        ({"trim": "perhaps"}, "allowed: no, yes"),
        ({"mode": "medium"}, "allowed: fast, slow"),
        ({"batch_size": "0"}, "must be at least 1"),
    ],
)
def test_bad_values_say_what_is_allowed(given, message):
    with pytest.raises((BadInputError, UnknownNameError), match=message):
        parse_settings(Example, given, "example")


def test_places_and_batch_sizes_are_no_identity():
    assert identity_settings(Example(batch_size=7, model="x", download=True, place="/y")) == {}
    assert identity_settings(Example(depth=4)) == {"depth": 4}
    assert Settings().batch_size == 32
