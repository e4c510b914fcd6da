from dataclasses import dataclass
from typing import Literal

import pytest

from extractors.settings import ModelSettings, Settings, parse_settings, runtime
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
