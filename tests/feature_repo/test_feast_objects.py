"""How a recipe becomes a feature view; what Feast itself makes of it is tested through registration."""

import polars as pl
import pytest

from feature_repo.feast_import import import_feast
from feature_repo.feast_objects import make_readable, view_fields, view_tags
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store

DERIVED = Recipe(
    "text",
    "adapter",
    3,
    "rows",
    "steps",
    128,
    dtype="float16",
    languages=("de", "en"),
    settings={"dropout": 0.5, "name": "ü"},
    inputs=("f" * 64,),
)


@pytest.fixture
def store(tmp_path) -> Store:
    return init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))


def test_tags_tell_the_whole_recipe_and_its_provenance_as_text():
    assert view_tags(DERIVED, {"model": "mpnet"}) == {
        "modality": "text",
        "extractor": "adapter",
        "code_version": "3",
        "fingerprint": DERIVED.fingerprint,
        "reads": "rows",
        "layout": "steps",
        "width": "128",
        "dtype": "float16",
        "compute_dtype": "float32",
        "languages": "de,en",
        "settings": '{"dropout":0.5,"name":"\\u00fc"}',
        "inputs": "f" * 64,
        "provenance.model": "mpnet",
    }


@pytest.mark.parametrize(
    ("layout", "fields"),
    [
        ("pooled", {"utterance_id": "String", "face": "Array(Float32)"}),
        ("steps", {"utterance_id": "String", "face_steps": "Bytes", "face_n": "Int32"}),
    ],
)
def test_every_column_is_declared(layout, fields):
    import_feast()
    recipe = Recipe("face", "hog", 1, "media", layout, 4)
    assert {field.name: str(field.dtype) for field in view_fields(recipe)} == fields


def test_a_record_s_fields_have_the_columns_types_and_a_speaker_s_its_key():
    import_feast()
    kinds = {"a": "float", "b": "int", "c": "text", "d": "floats", "e": "texts"}
    record = Recipe("level", "x", 1, "media", "record", 0, columns=kinds)
    assert {field.name: str(field.dtype) for field in view_fields(record)} == {
        "utterance_id": "String",
        "level_a": "Float32",
        "level_b": "Int64",
        "level_c": "String",
        "level_d": "Array(Float32)",
        "level_e": "Array(String)",
    }
    faces = Recipe("faces", "x", 1, "media", "steps", 4, columns={"x": "step"})
    assert {field.name: str(field.dtype) for field in view_fields(faces)} == {
        "utterance_id": "String",
        "faces_steps": "Bytes",
        "faces_n": "Int32",
        "faces_x": "Array(Float32)",
    }
    person = Recipe("reference", "x", 1, "speaker", "pooled", 4, inputs=("ab",), entity="speaker")
    assert [field.name for field in view_fields(person)] == ["speaker_id", "reference"]
    tags = view_tags(record, {}), view_tags(person, {})
    assert tags[0]["columns"] == '{"a":"float","b":"int","c":"text","d":"floats","e":"texts"}'
    assert (tags[0].get("entity"), tags[1]["entity"]) == (None, "speaker")


def test_a_table_without_parts_gets_one_without_rows_and_no_second_one(store):
    table = store.ensure_table(Recipe("face", "hog", 1, "media", "pooled", 4))
    for _ in range(2):
        make_readable(table)
    (name,) = table.parts()
    part = pl.read_parquet(store.files.local_path(table.part_path(name)))
    assert part.height == 0
    assert part.schema["face"] == pl.List(pl.Float32)
    assert table.index().height == 0
