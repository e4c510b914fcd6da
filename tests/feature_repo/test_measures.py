"""Measures as one frame: what is stored, whatever its state, and nothing of vectors."""

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import AmbiguousViewError, UnknownNameError
from feature_repo.feature_table import FeatureTable
from feature_repo.fill import fill
from feature_repo.measures import MANIFEST_COLUMNS, read_measures
from feature_repo.outcome import Fault, Features
from feature_repo.quality_config import load_quality_config
from feature_repo.recipe import Recipe
from feature_repo.verdict import judge
from tests.feature_repo.planted_measures import (
    FACES,
    LEVEL,
    MATCH,
    OFFSETMATCH,
    RECIPES,
    REFERENCE,
    TRANSCRIPT,
    PlantedStore,
    good,
)

CONFIG = load_quality_config(None, None, ["face.MobileFaceNet.similarity=0.3"])
EMPTY = {"note": "empty transcript", "text": ""}
NEAR = {"frames": 8, "faces": 1, "reference": 1, "similarity": 0.6, "similarities": [0.6]}
PLANTED = {
    "c/good": good(),
    "c/unheard": good(transcript=EMPTY, alignment={"note": "empty transcript", "cosine": None}),
    "c/silent": good(level={"peak_db": -100.0}),
    "c/broken": good(level="faulted", match="missing", faces="faulted"),
    "c/new": good(level="missing", transcript="missing", match="missing", alignment="missing"),
    "c/off": good(match={"similarity": 0.1}, offsetmatch=NEAR),
    "c/two": good() | {"speaker_id": None, "speaker_raw": "Joey and Chandler", "split": "test"},
}


@pytest.fixture
def planted(tmp_path) -> PlantedStore:
    return PlantedStore(tmp_path, PLANTED)


def by_id(frame: pl.DataFrame) -> dict:
    return {row["utterance_id"]: row for row in frame.to_dicts()}


def test_every_stored_measure_stands_beside_its_utterance(planted):
    found = read_measures(planted.store)
    manifest = planted.store.manifest()
    assert found.frame["utterance_id"].to_list() == manifest["utterance_id"].to_list()
    assert found.frame.select(MANIFEST_COLUMNS).equals(manifest.select(MANIFEST_COLUMNS))
    rows = by_id(found.frame)
    assert rows["c/good"]["level_peak_db"] == -6.0
    assert rows["c/good"]["transcript_text"] == "what was heard"
    assert rows["c/good"]["match_similarity"] == pytest.approx(0.8)
    assert rows["c/good"]["match_similarities"] == pytest.approx([0.8, 0.1])
    assert rows["c/off"]["offsetmatch_similarity"] == pytest.approx(0.6)
    states = ("level", "transcript", "match", "offsetmatch", "alignment")
    assert [rows["c/good"][f"{slot}_state"] for slot in states] == ["present"] * 3 + [
        "inapplicable",  # nobody had to look around
        "present",
    ]
    assert (rows["c/unheard"]["transcript_state"], rows["c/unheard"]["transcript_note"]) == (
        "nothing",
        "empty transcript",
    )
    assert [rows["c/new"][f"{slot}_state"] for slot in states if slot != "offsetmatch"] == ["missing"] * 4
    assert found.views == {recipe.slot: recipe.view for recipe in RECIPES}
    assert (found.embedder, found.encoder) == ("MobileFaceNet", "all-mpnet-base-v2")


def test_a_fault_is_told_also_of_what_is_derived_from_it(planted):
    broken = by_id(read_measures(planted.store).frame)["c/broken"]
    assert (broken["level_state"], broken["level_note"]) == ("faulted", "c/broken can't be decoded")
    assert (broken["match_state"], broken["match_note"]) == ("faulted", "c/broken can't be decoded")
    judged = by_id(judge(read_measures(planted.store), CONFIG))["c/broken"]
    assert judged["reasons"] == [
        "no sound to decode: c/broken can't be decoded",
        "no picture to decode: c/broken can't be decoded",
    ]


def test_the_verdict_over_a_store(planted):
    judged = by_id(judge(read_measures(planted.store), CONFIG))
    assert {name: row["reason"] for name, row in judged.items()} == {
        "c/good": None,
        "c/unheard": "empty_transcript",
        "c/silent": "silent",
        "c/broken": "undecodable",
        "c/new": "unmeasured",
        "c/off": None,
        "c/two": "composite",
    }
    assert judged["c/new"]["unmeasured"] == ["audio", "transcript", "alignment", "face"]


def test_what_was_measured_of_another_text_is_not_used(planted):
    planted.planted["c/good"]["text"] = "other words"
    planted.write_manifest()
    row = by_id(read_measures(planted.store).frame)["c/good"]
    # These recipes read the text: the faces are outdated, and with them a match whose own key is as it was.
    assert [row[f"{slot}_state"] for slot in ("level", "transcript", "match")] == ["stale"] * 3
    assert row["alignment_state"] == "stale"
    assert [row[name] for name in ("level_peak_db", "match_similarity", "alignment_cosine")] == [None] * 3
    judged = by_id(judge(read_measures(planted.store), CONFIG))["c/good"]
    assert (judged["reason"], judged["unmeasured"]) == (
        "unmeasured",
        ["audio", "transcript", "alignment", "face"],
    )
    planted.fill()
    assert by_id(judge(read_measures(planted.store), CONFIG))["c/good"]["passed"]


def test_a_reviewer_s_word_on_the_utterance_counts_and_on_a_face_does_not(planted):
    planted.store.reviews.add(
        pl.DataFrame(
            {
                "utterance_id": ["c/good", "c/off", "c/silent"],
                "view": [None, FACES.view, None],
                "face": [None, 0, None],
                "decision": ["offscreen", "reject", "keep"],
            },
            schema_overrides={"face": pl.Int32, "view": pl.String},
        )
    )
    rows = by_id(read_measures(planted.store).frame)
    assert {name: row["review"] for name, row in rows.items() if row["review"]} == {"c/good": "offscreen"}
    assert by_id(judge(read_measures(planted.store), CONFIG))["c/good"]["reason"] == "offscreen"


def test_a_profile_that_lacks_slots_and_one_that_does_not_exist(tmp_path):
    store = PlantedStore(tmp_path, PLANTED, [LEVEL, TRANSCRIPT]).store
    found = read_measures(store)
    assert set(found.views) == {"level", "transcript"}
    assert not [name for name in found.frame.columns if name.startswith("match")]
    assert (found.embedder, found.encoder) == (None, None)
    with pytest.raises(UnknownNameError, match="unknown profile 'paper'; allowed: default"):
        read_measures(store, "paper")
    with pytest.raises(UnknownNameError, match="unknown corpus 'meld'; allowed: c"):
        read_measures(store, None, ["meld"])
    other = LEVEL.__class__(**{**LEVEL.identity(), "code_version": 2})
    store.ensure_table(other)
    store.catalog.set("one", {"level": LEVEL.view})
    store.catalog.set("two", {"level": other.view})
    assert read_measures(store).views["level"] == LEVEL.view, "the profile default settles it"
    assert read_measures(store, "two").views == {"level": other.view}
    store.files.remove("catalog/default.json")
    with pytest.raises(AmbiguousViewError, match="'level' could be"):
        read_measures(store)


def test_only_the_corpora_that_are_named(tmp_path):
    store = PlantedStore(tmp_path, {"c/1": good(), "d/1": good(), "d/2": good()}).store
    assert read_measures(store, None, ["d"]).frame["utterance_id"].to_list() == ["d/1", "d/2"]


def test_pictures_that_were_taken_for_a_face_are_told(planted):
    whole = Recipe("faces", "hog", 1, "text", "steps", 4, columns={"whole": "int"})
    step = np.ones((1, 4), np.float32)

    def faces(missing):
        for name in missing[whole.view]:
            if name != "c/broken":
                yield whole.view, name, Features(step, columns={"whole": int(name == "c/good")})
            else:
                yield whole.view, name, Fault("decode", "Undecodable", "no picture")

    fill(planted.store, [whole], faces)
    assert "faces_whole" not in read_measures(planted.store).frame.columns  # those faces do not say
    planted.store.catalog.set("default", {"faces_steps": whole.view})
    rows = by_id(read_measures(planted.store).frame)
    assert [rows[name]["faces_whole"] for name in ("c/good", "c/new", "c/broken")] == [1, 0, None]


def test_no_vector_is_read(planted, monkeypatch):
    read = []
    original = FeatureTable.read_part

    def watch(table, name, columns=None):
        read.append((table.view, tuple(columns) if columns is not None else None))
        return original(table, name, columns)

    monkeypatch.setattr(FeatureTable, "read_part", watch)
    read_measures(planted.store)
    assert {view for view, _ in read} >= {LEVEL.view, TRANSCRIPT.view, MATCH.view, OFFSETMATCH.view}
    assert not {view for view, _ in read} & {FACES.view, REFERENCE.view}
    assert all(columns is not None and "faces_steps" not in columns for _, columns in read)
