"""New clips go through the chain that stored ones went through: same bytes, same numbers; one decode for everybody."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import extractors.recorded
from extractors.extraction import extract
from extractors.quality.derivation import derive
from extractors.recompute import compute_views
from extractors.registry import create
from extractors.settings import parse_settings
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.quality_config import load_quality_config
from feature_repo.records import live_rows, live_values
from feature_repo.scratch import copy_live_rows, scratch_store
from feature_repo.store import Store, init_store
from tests.extractors.conftest import MINILM
from tests.extractors.planted_extractors import opened
from tests.extractors.quality.conftest import SAME
from tests.extractors.quality.planted_faces import PlantedFaces, PlantedSettings, manifest, planted_store


@pytest.fixture
def store(tmp_path: Path, voice: Callable[..., np.ndarray], write_wav: Callable[..., str]) -> Store:
    """Three voices with words, by hashing, MFCC and level."""
    store = init_store(str(tmp_path / "store"))
    rows = {
        "utterance_id": ["c/0", "c/1", "c/2"],
        "media_uri": [write_wav(voice(1.0 + seed / 2, seed), name=f"{seed}.wav") for seed in range(3)],
        "text": ["so very happy", "leave me alone", None],
    }
    store.write_manifest("c", pl.DataFrame(rows))
    extractors = [create("hashing", {"width": "64"}), create("mfcc"), create("waveform")]
    extract(store, extractors, profile="default", device="cpu")
    return store


def copies(store: Store) -> pl.DataFrame:
    rows = store.manifest().select("utterance_id", "media_uri", "text", "speaker_id")
    return rows.with_columns(pl.col("utterance_id").str.replace("c/", "new/"))


def test_copies_of_clips_get_the_stored_numbers_and_are_decoded_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = store.catalog.slots("default")
    assert set(slots) == {"text", "speech", "audio_steps"}
    totals, done = [], []
    with scratch_store(store, list(slots.values())) as scratch:
        scratch.write_manifest("new", copies(store))
        counts = opened(monkeypatch)
        compute_views(
            scratch, list(slots.values()), device="cpu", on_total=totals.append, on_progress=done.append
        )
        assert set(counts.values()) == {1}
        assert len(counts) == 3
        for view in slots.values():
            stored = live_values(store, view, ["c/0", "c/1", "c/2"])
            computed = live_values(scratch, view, ["new/0", "new/1", "new/2"])
            assert len(stored) == (2 if view == slots["text"] else 3)
            assert {name.replace("new/", "c/") for name in computed} == set(stored)
            for name, value in computed.items():
                np.testing.assert_array_equal(value, stored[name.replace("new/", "c/")])
    assert sum(totals) == sum(done) == 8


def test_what_fails_is_filed_and_the_others_go_on(store: Store, write_wav: Callable[..., str]) -> None:
    slots = store.catalog.slots("default")
    broken = Path(write_wav(np.zeros(0), name="broken.wav"))
    broken.write_bytes(b"no sound")
    with scratch_store(store, list(slots.values())) as scratch:
        rows = copies(store).with_columns(
            media_uri=pl.when(pl.col("utterance_id") == "new/1")
            .then(pl.lit(str(broken)))
            .otherwise("media_uri")
        )
        scratch.write_manifest("new", rows)
        compute_views(scratch, list(slots.values()), device="cpu")
        assert scratch.faults.entries(slots["speech"])["utterance_id"].to_list() == ["new/1"]
        assert set(live_values(scratch, slots["speech"], ["new/0", "new/1", "new/2"])) == {"new/0", "new/2"}
        assert set(live_values(scratch, slots["text"], ["new/1"])) == {"new/1"}


def test_nothing_is_loaded_for_what_no_clip_has(store: Store) -> None:
    slots = store.catalog.slots("default")
    loaded: list[str] = []
    with scratch_store(store, list(slots.values())) as scratch:
        scratch.write_manifest("new", pl.DataFrame({"utterance_id": ["new/a"], "text": ["hello"]}))
        compute_views(scratch, list(slots.values()), device="cpu", on_load=loaded.append)
    assert loaded == ["hashing"]


def test_one_pass_gives_sentences_and_tokens(tmp_path: Path) -> None:
    store = init_store(str(tmp_path / "store"))
    store.write_manifest("c", pl.DataFrame({"utterance_id": ["c/0"], "text": ["so very happy"]}))
    extract(store, [create("sentence", {"model": MINILM})], profile="default", device="cpu")
    views = list(store.catalog.slots("default").values())
    assert len(views) == 2
    loaded: list[str] = []
    with scratch_store(store, views) as scratch:
        scratch.write_manifest("new", pl.DataFrame({"utterance_id": ["new/a"], "text": ["so very happy"]}))
        compute_views(scratch, views, device="cpu", on_load=loaded.append)
        assert loaded == ["sentence"]
        for view in views:
            stored, computed = (
                live_values(store, view, ["c/0"])["c/0"],
                live_values(scratch, view, ["new/a"])["new/a"],
            )
            np.testing.assert_array_equal(computed, stored)


def test_other_settings_are_refused_with_both_names_and_the_way_out(store: Store) -> None:
    text = store.catalog.slots("default")["text"]
    other = create("hashing", {"width": "32"}).recipes()["text"].view
    with scratch_store(store, [text]) as scratch:
        scratch.write_manifest("new", pl.DataFrame({"utterance_id": ["new/a"], "text": ["hello"]}))
        with pytest.raises(BadInputError, match="--set hashing.model=FOLDER") as told:
            compute_views(scratch, [text], settings={"hashing": {"width": "32"}}, device="cpu")
        assert text in str(told.value)
        assert other in str(told.value)
        with pytest.raises(UnknownNameError, match="mfcc"):
            compute_views(scratch, [text], settings={"mfcc": {"n_mfcc": "3"}}, device="cpu")


def test_weights_that_have_moved_are_named_anew(tmp_path: Path) -> None:
    import shutil

    from extractors.weights import locate

    old, new = tmp_path / "old", tmp_path / "new"
    shutil.copytree(locate(MINILM), old)
    store = init_store(str(tmp_path / "store"))
    store.write_manifest("c", pl.DataFrame({"utterance_id": ["c/0"], "text": ["so very happy"]}))
    extract(store, [create("sentence", {"model": str(old), "tokens": "no"})], profile="default", device="cpu")
    view = store.catalog.slots("default")["text"]
    old.rename(new)
    with scratch_store(store, [view]) as scratch:
        scratch.write_manifest("new", pl.DataFrame({"utterance_id": ["new/a"], "text": ["so very happy"]}))
        with pytest.raises(BadInputError, match="--set sentence.model=FOLDER"):
            compute_views(scratch, [view], device="cpu")
        compute_views(scratch, [view], settings={"sentence": {"model": str(new)}}, device="cpu")
        stored, computed = (
            live_values(store, view, ["c/0"])["c/0"],
            live_values(scratch, view, ["new/a"])["new/a"],
        )
        np.testing.assert_array_equal(computed, stored)


FACES: dict[str, tuple[str | None, str]] = {
    "c/a0": ("ann", "A@0.5 B@0.5 A@1.5"),
    "c/a1": ("ann", "A@0.5"),
    "c/a2": ("ann", "C@0.5 | A0.8@0.6 C@0.6"),
    "c/a3": ("ann", "-@0.5 | B@0.6"),
    "c/b0": ("bob", "B@0.5 | B@0.6"),
    "c/x0": (None, "B@0.5"),
}


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Faces that texts spell out; whose is whose is known, and one speaker is found around the sampled frames only."""

    def planted(name: str, settings: Mapping[str, str] | None = None) -> PlantedFaces:
        return PlantedFaces(parse_settings(PlantedSettings, settings or {}, name))

    monkeypatch.setattr(extractors.recorded, "create", planted)
    store = planted_store(tmp_path, FACES)
    derive(store, config=load_quality_config(overrides=[f"face.planted.similarity={SAME}"]))
    return store


def test_the_speakers_face_is_found_by_the_stored_reference(faces: Store) -> None:
    slots = faces.catalog.slots("default")
    reads = list(faces.inputs_of(faces.recipe(slots["face"])).values())
    assert len(reads) == 3
    chain = [reads[0], reads[2], slots["face"], slots["face_steps"]]
    with scratch_store(faces, [*reads, *chain]) as scratch:
        # The planted vectors depend on the ids, so that these are the same.
        again = dict(FACES)
        # What a clip of ann shows is not her: nothing is learned of her from new clips.
        again["c/z"] = ("ann", "B@0.5 B@1.5 B@2.5 B@3.5")
        again["c/stranger"] = ("eve", "A@0.5")
        rows = manifest(again)
        scratch.write_manifest("c", rows)
        assert copy_live_rows(faces, scratch, slots["reference"], ["ann", "bob", "eve"]) == 2
        PlantedFaces.asked.clear()
        compute_views(scratch, chain, device="cpu")
        searched = [name for slot, name in PlantedFaces.asked if slot == "offsets_steps"]
        assert sorted(searched) == ["c/a2", "c/a3", "c/z"]
        for view in (slots["face"], slots["face_steps"]):
            stored, computed = live_values(faces, view, list(FACES)), live_values(scratch, view, list(again))
            assert set(stored) == set(computed)
            for name, value in stored.items():
                np.testing.assert_array_equal(computed[name], value)
        notes = dict(live_rows(scratch, slots["face"]).select("utterance_id", "note").iter_rows())
        assert notes["c/a3"] == "no face in any frame"
        assert notes["c/z"] == "no face matches the speaker's reference"
        assert notes["c/stranger"] == "no reference of the speaker"


def test_a_derivation_of_another_kind_is_refused(faces: Store) -> None:
    slots = faces.catalog.slots("default")
    with scratch_store(faces, [slots["faces_steps"], slots["reference"], slots["match"]]) as scratch:
        scratch.write_manifest("new", manifest({"new/a": ("ann", "A@0.5")}))
        with pytest.raises(BadInputError, match="match_planted_.* not known for new clips"):
            compute_views(scratch, [slots["faces_steps"], slots["match"]], device="cpu")
