"""Recipes: what moves a fingerprint, what doesn't, and fingerprints that never may."""

import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.errors import BadInputError
from feature_repo.recipe import Recipe, canonical_json, digest, identity_settings

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
HEX = st.text("0123456789abcdef", min_size=4, max_size=16)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
COLUMNS = st.dictionaries(
    st.sampled_from(["time_s", "words", "x"]), st.sampled_from(["float", "int", "text", "floats", "texts"])
)
FIELDS = {
    "modality": st.sampled_from(["text", "speaker", "speech", "face", "audio"]),
    "extractor": NAMES,
    "code_version": st.integers(0, 99),
    "reads": st.sampled_from(["text", "media"]),
    "layout": st.sampled_from(["pooled", "steps"]),
    "width": st.integers(1, 4096),
    "dtype": st.sampled_from(["float32", "float16", "int16"]),
    "weights": HEX,
    "compute_dtype": st.sampled_from(["float32", "bfloat16"]),
    "languages": st.lists(st.sampled_from(["en", "de", "fr", "zh"]), unique=True).map(tuple),
    "settings": st.dictionaries(st.text(min_size=1), PLAIN, max_size=4),
    "manifest_columns": st.lists(st.sampled_from(["text", "picture"]), unique=True).map(tuple),
    "columns": COLUMNS,
}
RECIPES = st.fixed_dictionaries(FIELDS).map(lambda data: Recipe(**data))

# These were printed once and never change: a change here loses every stored feature of every user.
GOLDEN = {
    "f662886e2ae642c003673fb06a5fbd3dcf6f39f200a204fb0f77410164130898": Recipe(
        "text", "letters", 1, "text", "pooled", 4
    ),
    "343af0369b0bf516d5bc327baf42520ae715514fd314d6964703dfa5c0f44766": Recipe(
        "text", "sentence", 1, "text", "pooled", 768, weights="5e1f", languages=("en",)
    ),
    "1663a2b96e1eeb19324e744e9562f31a4386dd8d46b95e9d0ee3145cd66546fa": Recipe(
        "text", "sentence", 2, "text", "steps", 768, dtype="float16", settings={"layer": -1, "norm": True}
    ),
    "6855ac8ec343668c7f20c408b2db29e7ebaa40d7824b5954f4ca6b1a877bdcf0": Recipe(
        "speaker", "resemblyzer", 1, "media", "pooled", 256, settings={"channel": {"of": 6, "take": 2}}
    ),
    "bee50ee35b00dedfa4a77163b2f325e14f5e15cbea00b6495d6e99fb2c1c9cf9": Recipe(
        "audio", "waveform", 1, "media", "steps", 1, dtype="int16"
    ),
    "6c375e76b157221acbf82d122bed5755b3a64f3845fb4d19f73042b28cb675ba": Recipe(
        "face",
        "facenet",
        7,
        "media",
        "pooled",
        512,
        weights="aa",
        compute_dtype="bfloat16",
        settings={"é": [0.1, None]},
    ),
    "caa6edd3c5c132b416721594eeaed0aa078680a49d9dfad5e68f7ea0c0c1e55b": Recipe(
        "text", "adapter", 1, "rows", "pooled", 128, inputs=("00ff", "11ee")
    ),
    "be1fc7c947ea380dbaf1627a96753a2a7da6fc20119e8d772399b489f099abf2": Recipe(
        "match",
        "cosine",
        1,
        "rows",
        "record",
        0,
        inputs=("00ff", "11ee"),
        manifest_columns=("picture",),
        columns={"similarity": "float", "faces": "int"},
    ),
    "2970003732e92ab38c032a97e88319a6a01c2cea883125cb9f1539578a275afe": Recipe(
        "reference",
        "mean",
        1,
        "speaker",
        "pooled",
        512,
        settings={"clips": 3},
        inputs=("00ff",),
        columns={"used_utterance": "texts"},
        entity="speaker",
    ),
}


def test_every_field_is_in_these_tests():
    assert {item.name for item in dataclasses.fields(Recipe)} == {*FIELDS, "inputs", "entity"}


@given(RECIPES, st.data())
def test_every_field_moves_the_fingerprint(recipe, data):
    name = data.draw(st.sampled_from(sorted(FIELDS)))
    value = data.draw(FIELDS[name])
    other = dataclasses.replace(recipe, **{name: value})
    same = getattr(other, name) == getattr(recipe, name)
    if name == "settings":  # 1, 1.0 and True are equal to Python and are different data
        same = json.dumps(other.settings, sort_keys=True) == json.dumps(recipe.settings, sort_keys=True)
    assert (other.fingerprint == recipe.fingerprint) == same


@given(st.lists(HEX, min_size=1, max_size=3, unique=True))
def test_inputs_and_their_order_move_it(inputs):
    def derived(inputs):
        return Recipe("text", "adapter", 1, "rows", "pooled", 4, inputs=tuple(inputs))

    assert derived(inputs).fingerprint != derived([*inputs, "feed"]).fingerprint
    if len(inputs) > 1:
        assert derived(inputs).fingerprint != derived(inputs[::-1]).fingerprint


def test_what_a_row_is_about_moves_it():
    fields = {"modality": "reference", "extractor": "x", "code_version": 1, "layout": "pooled", "width": 4}
    of_speakers = Recipe(**fields, reads="speaker", entity="speaker", inputs=("ab",))
    assert of_speakers.identity()["entity"] == "speaker"
    assert of_speakers.fingerprint != Recipe(**fields, reads="rows", inputs=("ab",)).fingerprint
    assert Recipe.from_identity(of_speakers.identity()) == of_speakers


def test_the_order_of_columns_is_no_difference():
    first = Recipe("x", "x", 1, "text", "record", 0, columns={"b": "int", "a": "text"})
    second = Recipe("x", "x", 1, "text", "record", 0, columns={"a": "text", "b": "int"})
    assert first.fingerprint == second.fingerprint
    assert list(first.columns) == list(second.columns)


@given(RECIPES)
def test_reading_back_and_the_order_of_keys_do_not_move_it(recipe):
    written = json.dumps(recipe.identity())
    again = Recipe.from_identity(json.loads(written))
    assert again == recipe
    assert again.fingerprint == recipe.fingerprint
    backwards = dict(reversed(list(recipe.settings.items())))
    assert dataclasses.replace(recipe, settings=backwards).fingerprint == recipe.fingerprint
    assert dataclasses.replace(recipe, languages=recipe.languages[::-1]).fingerprint == recipe.fingerprint


def test_tuples_and_lists_are_the_same_data():
    one = Recipe("text", "x", 1, "text", "pooled", 4, settings={"layers": (1, 2)}, languages=("en",))
    two = Recipe("text", "x", 1, "text", "pooled", 4, settings={"layers": [1, 2]}, languages=["en"])  # type: ignore[arg-type]
    assert one == two
    assert one.fingerprint == two.fingerprint


def test_another_process_with_another_hash_seed_agrees():
    code = """
import json, sys
from feature_repo.recipe import Recipe
recipe = Recipe("text", "sentence", 3, "text", "pooled", 768, weights="ab12", languages=("en", "de"),
                settings={"b": {"z": 1, "a": [1.5, None]}, "a": {"é": True}})
print(recipe.fingerprint)
"""
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(found) == 1


@pytest.mark.parametrize("expected", GOLDEN)
def test_golden_fingerprints(expected):
    assert GOLDEN[expected].fingerprint == expected


@pytest.mark.parametrize("expected", GOLDEN)
def test_a_new_field_with_a_default_moves_no_fingerprint(expected):
    @dataclass(frozen=True)
    class Later(Recipe):
        normalise: bool = False
        layers: tuple[int, ...] = ()
        policy: dict[str, int] = field(default_factory=dict)

    data = {item.name: getattr(GOLDEN[expected], item.name) for item in dataclasses.fields(Recipe)}
    assert Later(**data).fingerprint == expected
    assert Later(**data, normalise=True).fingerprint != expected
    assert Later(**data, layers=(1,)).fingerprint != expected
    assert Later(**data, policy={"a": 1}).fingerprint != expected


def test_the_fingerprint_is_sha256_of_the_canonical_json():
    import hashlib

    recipe = Recipe("text", "letters", 1, "text", "pooled", 4, settings={"é": 1})
    plain = (
        '{"code_version":1,"extractor":"letters","layout":"pooled","modality":"text","reads":"text",'
        '"settings":{"\\u00e9":1},"width":4}'
    )
    assert canonical_json(recipe.identity()) == plain
    assert recipe.fingerprint == digest(recipe.identity()) == hashlib.sha256(plain.encode()).hexdigest()
    assert recipe.view == f"text_letters_{recipe.fingerprint[:8]}"


def test_slots_are_named_after_the_modality():
    assert Recipe("face", "x", 1, "media", "pooled", 4).slot == "face"
    assert Recipe("face", "x", 1, "media", "steps", 4).slot == "face_steps"


@dataclass(frozen=True)
class Settings:
    """An extractor's settings as its first version had them."""

    model: str
    batch_size: int = field(default=8, metadata={"identity": False})
    threshold: float = 0.5
    layers: tuple[int, ...] = ()


@dataclass(frozen=True)
class LaterSettings(Settings):
    """The same, one version later."""

    channel: str = "first"
    offsets: list[float] = field(default_factory=lambda: [0.1])


def test_settings_at_their_default_and_those_without_identity_are_left_out():
    assert identity_settings(Settings("m")) == {"model": "m"}
    assert identity_settings(Settings("m", batch_size=64)) == {"model": "m"}
    assert identity_settings(Settings("m", threshold=0.4, layers=(1,))) == {
        "model": "m",
        "threshold": 0.4,
        "layers": (1,),
    }


def test_a_new_setting_with_a_default_or_a_factory_moves_nothing():
    assert identity_settings(LaterSettings("m")) == identity_settings(Settings("m"))
    assert identity_settings(LaterSettings("m", offsets=[0.2])) == {"model": "m", "offsets": [0.2]}


def test_one_and_one_point_nought_are_one_threshold():
    whole, broken = (
        identity_settings(Settings("m", threshold=1)),
        identity_settings(Settings("m", threshold=1.0)),
    )
    assert canonical_json(whole) == canonical_json(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modality": "Text"}, "modality 'Text'"),
        ({"extractor": "my_net"}, "extractor 'my_net'"),
        ({"reads": "audio"}, "allowed: text, media, rows"),
        ({"layout": "flat"}, "allowed: pooled, steps"),
        ({"dtype": "float64"}, "allowed: float32, float16, int16"),
        ({"width": 0}, "at least 1"),
        ({"inputs": ("ab",)}, "exactly when it reads rows"),
        ({"reads": "rows"}, "exactly when it reads rows"),
        ({"width": 4, "layout": "record", "columns": {"a": "int"}}, "0 for a record"),
        ({"width": 0, "layout": "record"}, "a record is its columns"),
        ({"columns": {"a": "double"}}, "column 'a' of type 'double'; allowed types: float, int"),
        ({"columns": {"A": "int"}}, "column 'A'"),
        ({"columns": {"a": "step"}}, "only a sequence has steps"),
        ({"columns": {"n": "int"}}, "column 'n': every table has something of that name"),
        ({"entity": "person"}, "allowed: utterance, speaker"),
        ({"entity": "speaker"}, "exactly when it reads the rows of a speaker's clips"),
        ({"reads": "speaker", "inputs": ("ab",)}, "exactly when it reads the rows of a speaker's clips"),
        ({"reads": "speaker", "entity": "speaker", "inputs": ("ab", "cd")}, "rows of one input"),
        ({"settings": {"x": float("nan")}}, "not plain JSON"),
        ({"settings": {"x": object()}}, "not plain JSON"),
        ({"settings": {"x": {1, 2}}}, "not plain JSON"),
    ],
)
def test_what_no_table_could_carry_is_refused(change, message):
    good = {
        "modality": "text",
        "extractor": "x",
        "code_version": 1,
        "reads": "text",
        "layout": "pooled",
        "width": 4,
    }
    with pytest.raises(BadInputError, match=message):
        Recipe(**{**good, **change})


def test_a_recipe_of_a_later_version_is_refused_by_name():
    data = Recipe("text", "x", 1, "text", "pooled", 4).identity()
    with pytest.raises(BadInputError, match=r"unknown field 'normalise'; allowed: code_version"):
        Recipe.from_identity({**data, "normalise": True})
    del data["width"]
    with pytest.raises(BadInputError, match="incomplete"):
        Recipe.from_identity(data)
