"""The extractor of a view, made again from what the store tells of it."""

from pathlib import Path

import polars as pl
import pytest

from extractors.extraction import extract
from extractors.quality.offset_search import OffsetSearch, around, around_recipe
from extractors.recorded import recorded
from extractors.registry import create
from feature_repo.errors import BadInputError
from feature_repo.fill import fill
from feature_repo.records import live_rows
from feature_repo.store import Store, init_store


@pytest.fixture
def store(tmp_path: Path, samples: Path) -> Store:
    """A clip in which somebody leaves, every frame described by HOG."""
    store = init_store(str(tmp_path / "store"))
    clip = str(samples / "data" / "clips" / "single_face.mp4")
    store.write_manifest("c", pl.DataFrame({"utterance_id": ["c/0", "c/1"], "media_uri": [clip, clip]}))
    extract(store, [create("hog", {"size": "32", "min_score": "0.7"})], profile="default")
    return store


def view(store: Store) -> str:
    return store.catalog.slots("default")["faces_steps"]


def test_the_extractor_looks_around_as_it_looked(store: Store) -> None:
    again = recorded(store, view(store))
    assert [recipe.view for recipe in again.recipes().values()] == [view(store)]
    near = around(store, view(store))
    (recipe,) = near.recipes().values()
    assert recipe == around_recipe(store.recipe(view(store)))
    assert (recipe.slot, recipe.settings["sampling"]) == ("offsets_steps", "offsets")


def test_only_the_frames_around_are_seen_and_only_of_those_asked_for(store: Store) -> None:
    search = OffsetSearch(around(store, view(store)), "cpu")
    recipes = search.recipes()
    fill(store, list(recipes.values()), lambda missing: search.compute(store, missing), ids=["c/1"])
    rows = live_rows(store, recipes["offsets_steps"].view)
    assert rows["utterance_id"].to_list() == ["c/1"]
    times = rows["frame_times"][0].to_list()
    assert times[:8] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    base = live_rows(store, view(store), ["c/1"])["frame_times"][0].to_list()
    assert not {round(time, 3) for time in times} & {round(time, 3) for time in base}
    told = search.provenance()
    assert '"size": "32"' in told["settings"]


def test_other_settings_than_the_views_are_refused(store: Store) -> None:
    with pytest.raises(BadInputError, match="hog as it is set now does not give faces_hog"):
        around(store, view(store), {"size": "64"})


def test_a_view_that_tells_no_settings(store: Store) -> None:
    recipe = store.recipe(view(store))
    other = init_store(store.root + "-other")
    other.ensure_table(recipe, {"device": "cpu"})
    with pytest.raises(BadInputError, match="does not tell the settings"):
        around(other, recipe.view)
    made = around(other, recipe.view, {"size": "32", "min_score": "0.7"})
    assert around_recipe(recipe) in made.recipes().values()


@pytest.mark.parametrize(("name", "detector", "pointless"), [("hog", "whole", True), ("hog", "yunet", False)])
def test_where_every_frame_is_one_face_nobody_is_looked_for(
    name: str, detector: str, pointless: bool
) -> None:
    assert OffsetSearch(create(name, {"detector": detector})).pointless == pointless
