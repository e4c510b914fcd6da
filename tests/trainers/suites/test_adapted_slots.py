"""Adapted slots: one adapter per slot and fold, applied to each step of a sequence, text left as it is."""

from pathlib import Path

import numpy as np
import pytest

from feature_repo.errors import UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store
from tests.trainers.planted_sequences import FACES, TOKENS, VOICE, planted_sequences
from trainers.experiments.experiment import Experiment
from trainers.fusion.config import GatedFusionConfig
from trainers.models import trained_model
from trainers.runs.run import finished_runs
from trainers.suites.adapted_slots import with_adapted_slots
from trainers.train import train

FACE = Recipe("face", "mean", 1, "text", "pooled", 5)
ASKED = Experiment(
    "mine",
    "mine",
    "gated",
    ("text_steps", "speaker", "face_steps"),
    corpora=("toy",),
    protocol="speaker-folds",
    folds=3,
    seeds=(4, 5),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """With a pooled face beside the frames: their mean."""
    store = planted_sequences(tmp_path_factory.mktemp("sequences"))
    frames = store.pull([FACES.view])
    means = {name: frames.steps["face_steps"].row(row).mean(0) for row, name in enumerate(frames.ids)}

    def compute(missing):  # type: ignore[no-untyped-def]
        for view, names in missing.items():
            for name in names:
                there = name in means
                yield view, name, Features(means.get(name), None if there else "no face")

    fill(store, [FACE], compute)
    store.catalog.set("default", {"face": FACE.view})
    return store


def test_each_slot_but_texts_is_adapted_in_each_fold(store: Store) -> None:
    told: list[str] = []
    made = with_adapted_slots(store, ASKED, "mlp", on_training=lambda what, config: told.append(what))  # type: ignore[func-returns-value]
    assert told == ["mlp over speaker", "mlp over face_steps"]
    views = dict(slot.split("=") for slot in made.slots)
    assert list(views) == ["text_steps", "speaker", "face_steps"]
    assert views["text_steps"] == TOKENS.view
    assert (made.model, made.seeds, made.protocol) == ("gated", (4, 5), "speaker-folds")
    recipes = {name: store.recipe(view) for name, view in views.items()}
    assert (recipes["speaker"].layout, recipes["speaker"].inputs) == ("pooled", (VOICE.fingerprint,))
    assert (recipes["face_steps"].layout, recipes["face_steps"].inputs) == ("steps", (FACES.fingerprint,))
    assert {recipe.width for name, recipe in recipes.items() if name != "text_steps"} == {128}
    runs = finished_runs(store.files)
    # Two slots, three folds, the first seed alone.
    assert sorted((run.record["slots"][0], run.record["fold"], run.record["seed"]) for run in runs) == [
        (slot, fold, 4) for slot in ("face", "speaker") for fold in range(3)
    ]
    # The first fold's adapter on the first frame, by hand.
    (run,) = [run for run in runs if run.record["slots"] == ["face"] and run.record["fold"] == 0]
    frames, adapted = store.pull([FACES.view]), store.pull([views["face_steps"]])
    import torch

    with torch.no_grad():
        expected = trained_model(run).hidden(torch.from_numpy(np.array(frames.steps["face_steps"].row(0))))
    np.testing.assert_allclose(adapted.steps["face_steps"].row(0), expected.numpy(), rtol=2e-3, atol=2e-3)


def test_each_fold_of_a_fusion_reads_what_its_own_fold_learned(store: Store) -> None:
    made = with_adapted_slots(store, ASKED, "mlp")
    done = train(store, made.slots, config=GatedFusionConfig(max_epochs=1), protocol="speaker-folds", folds=3)
    for run in done.runs:
        for name in ("speaker", "face_steps"):
            assert store.recipe(run.record["views"][name]).settings["fold"] == run.record["fold"]
    before = len(finished_runs(store.files))
    assert with_adapted_slots(store, ASKED, "mlp") == made
    assert len(finished_runs(store.files)) == before


def test_frames_without_a_pooled_view_are_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="slot or view 'face'"):
        with_adapted_slots(planted_sequences(tmp_path), ASKED.changed({"slots": ["face_steps"]}), "mlp")
