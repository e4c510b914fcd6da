"""Fusion on a store: any slots, any of them missing, dialogues, folds with adapters of their own."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError
from feature_repo.store import Store
from tests.trainers.planted_sequences import FACES, TOKENS, VOICE, planted_sequences
from trainers.config import AdapterConfig, TrainingConfig
from trainers.embed import HiddenLayer, embed
from trainers.fusion.config import ConversationConfig, GatedFusionConfig, MambaFusionConfig
from trainers.models import model_config, model_names, model_reads, trained_model
from trainers.protocols.plan import LeakageError
from trainers.train import Trained, train

MAMBA = MambaFusionConfig(lr=2e-2, max_epochs=5, batch_size=16, d_state=4, label_smoothing=0.0)
GATED = GatedFusionConfig(max_epochs=3, latent=16)
CONVERSATION = ConversationConfig(max_epochs=3, width=16, d_state=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted_sequences(tmp_path_factory.mktemp("sequences"))


def _train(
    store: Store,
    slots: tuple[str, ...] = ("text_steps", "speaker"),
    config: TrainingConfig = MAMBA,
    **given: Any,
) -> Trained:
    return train(store, slots, **{"config": config, "protocol": "official", **given})


def test_tokens_are_learned_from_and_shuffled_labels_are_not(store: Store, tmp_path: Path) -> None:
    assert _train(store, ("text_steps",)).summary()["uar"][0] > 0.8
    rows = store.manifest().select(
        "utterance_id", "corpus", "split", "dialogue_id", "speaker_id", "text", "label_raw", "emotion"
    )
    shuffled = rows.with_columns(emotion=pl.col("emotion").shuffle(seed=4))
    other = planted_sequences(tmp_path, shuffled)
    assert _train(other, ("text_steps",)).summary()["uar"][0] < 0.55


@pytest.mark.parametrize("name", [name for name in model_names() if model_reads(name) == "utterances"])
def test_every_fusion_model_trains_is_rebuilt_and_embedded(store: Store, name: str) -> None:
    slots = ("text_steps", "speaker", "face_steps")
    config = dataclasses.replace(model_config(name)(), max_epochs=2, lr=1e-3)
    (run,) = _train(store, slots, config, join="outer").runs
    # Nine of ten have anything; the tenth is told, not dropped in silence.
    assert run.record["rows"] == {"train": 108, "validation": 36, "test": 72}
    assert run.record["left_out"] == {"no slot": 24}
    model = trained_model(run)
    assert sum(parameter.numel() for parameter in model.parameters()) == run.record["parameters"]
    # The rebuilt model's layer and head give the stored probabilities.
    told = run.predictions()
    pulled = store.pull(slots, ids=told["utterance_id"].to_list(), join="outer")
    import torch

    hidden = HiddenLayer(run).of_rows(pulled)
    with torch.no_grad():
        shares = model.head(torch.from_numpy(hidden)).softmax(1).numpy()
    columns = [f"p_{label}" for label in run.record["classes"]]
    np.testing.assert_allclose(shares, told.select(columns).to_numpy(), rtol=1e-4, atol=1e-6)
    recipe, report = embed(store, run)
    assert (recipe.modality, recipe.width) == ("joint", hidden.shape[1])
    assert report.views[recipe.view].computed == 240
    # Who lacks one of the three, for certain, has nothing: rows 1, 3, 5 and 7 of ten.
    assert store.pull([recipe.view]).coverage["joint"].nothing == 96


def test_slots_come_in_the_order_that_the_model_wants(store: Store) -> None:
    (run,) = _train(store, ("speaker", "text_steps")).runs
    assert run.record["inputs"] == [
        {"name": "text_steps", "width": 6, "every_step": False},
        {"name": "speaker", "width": 4, "every_step": True},
    ]
    assert run.record["slots"] == ["speaker", "text_steps"]


def test_a_dialogue_is_read_as_one(store: Store) -> None:
    (run,) = _train(store, ("speaker",), CONVERSATION).runs
    # Who has no vector is a turn all the same.
    assert run.record["rows"] == {"train": 120, "validation": 40, "test": 80}
    told = run.predictions()
    expected = store.manifest().filter(pl.col("split") == "test")
    assert told["utterance_id"].to_list() == expected["utterance_id"].to_list()
    assert told["true"].to_list() == expected["emotion"].to_list()
    with pytest.raises(BadInputError, match="what it makes of an utterance depends on the others"):
        embed(store, run)
    with pytest.raises(BadInputError, match="'text_steps' is a sequence; a conversation's turns"):
        _train(store, ("text_steps",), CONVERSATION)


def test_a_dialogue_in_two_parts_is_refused(tmp_path: Path) -> None:
    store = planted_sequences(tmp_path)
    rows = store.manifest()
    one = pl.col("utterance_id") == "toy/u125"  # of a dev dialogue
    moved = rows.with_columns(split=pl.when(one).then(pl.lit("train")).otherwise("split"))
    store.write_manifest("toy", moved)
    with pytest.raises(BadInputError, match="dialogue 'toy/d12' has targets in train and in validation"):
        _train(store, ("speaker",), CONVERSATION)


@pytest.mark.parametrize("config", [MAMBA, GATED, CONVERSATION])
def test_the_same_seed_gives_the_same_bits(tmp_path: Path, config: TrainingConfig) -> None:
    slots = ("speaker",) if config is CONVERSATION else ("text_steps", "speaker")
    runs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        runs += _train(planted_sequences(tmp_path / name), slots, config, seeds=(3,)).runs
    one, two = runs
    assert one.key == two.key
    assert one.checkpoint() == two.checkpoint()
    assert one.predictions().equals(two.predictions())
    assert one.epochs().drop("seconds").equals(two.epochs().drop("seconds"))


def test_another_join_is_another_run(store: Store) -> None:
    (inner,) = _train(store, config=GATED).runs
    (outer,) = _train(store, config=GATED, join="outer").runs
    assert inner.key != outer.key
    assert inner.record["rows"]["train"] == 96
    assert outer.record["rows"]["train"] == 108
    with pytest.raises(BadInputError, match="an adapter needs every view"):
        _train(store, ("speaker",), AdapterConfig(), join="outer")


def _folds(store: Store, slots: tuple[str, ...], config: TrainingConfig, **given: Any) -> Trained:
    return _train(store, slots, config, protocol="speaker-folds", folds=3, **given)


def test_each_fold_reads_its_own_adapter(tmp_path: Path) -> None:
    store = planted_sequences(tmp_path)
    adapters = _folds(store, ("speaker",), AdapterConfig(max_epochs=2)).runs
    assert len({run.record["family"] for run in adapters}) == 1
    view = embed(store, adapters[0])[0].view
    with pytest.raises(BadInputError, match=rf"fold 2 needs .* {adapters[1].key}, which is not stored"):
        _folds(store, (view, "text_steps"), GATED)
    views = [view, *(embed(store, run)[0].view for run in adapters[1:])]
    done = _folds(store, (view, "text_steps"), GATED)
    assert [run.record["views"]["speaker"] for run in done.runs] == views
    assert [run.record["upstream"] for run in done.runs] == [[run.key] for run in adapters]
    # Whichever fold's view is named, they are the same runs.
    again = _folds(store, (views[2], "text_steps"), GATED)
    assert (again.trained, [run.key for run in again.runs]) == (0, [run.key for run in done.runs])
    assert len({run.record["family"] for run in done.runs}) == 1
    # In another protocol nothing stands for anything.
    with pytest.raises(LeakageError, match=adapters[0].key):
        _train(store, (views[0], "text_steps"), GATED)


def test_a_fold_of_an_adapter_on_an_adapter_reads_its_own_chain(tmp_path: Path) -> None:
    store = planted_sequences(tmp_path)
    small = AdapterConfig(max_epochs=2)
    first = _folds(store, ("speaker",), small).runs
    views = [embed(store, run)[0].view for run in first]
    second = _folds(store, (views[0],), small).runs
    above = [embed(store, run)[0].view for run in second]
    third = _folds(store, (above[1],), small).runs
    assert [run.record["views"]["speaker"] for run in third] == above
    assert [set(run.record["upstream"]) for run in third] == [
        {one.key, two.key} for one, two in zip(first, second, strict=True)
    ]


def test_an_adapter_is_applied_to_each_step(tmp_path: Path) -> None:
    store = planted_sequences(tmp_path)
    from feature_repo.fill import fill
    from feature_repo.outcome import Features
    from feature_repo.recipe import Recipe

    # Pooled faces: the mean of the frames, of those who have any.
    mean = Recipe("face", "mean", 1, "text", "pooled", 5)
    frames = store.pull([FACES.view])
    of = dict(zip(frames.ids, range(len(frames)), strict=True))

    def compute(missing):  # type: ignore[no-untyped-def]
        for view, names in missing.items():
            for name in names:
                row = frames.steps["face_steps"].row(of[name]).mean(0) if name in of else None
                yield view, name, Features(row, None if row is not None else "no face")

    fill(store, [mean], compute)
    (run,) = _train(store, (mean.view,), AdapterConfig(max_epochs=2)).runs
    recipe, report = embed(store, run, over=FACES.view)
    assert (recipe.slot, recipe.width, recipe.modality) == ("face_steps", 128, "face")
    assert (len(frames), report.views[recipe.view].computed) == (
        144,
        240,
    )  # nothing of those who have no face
    assert not report.faults_by_reason
    assert store.pull([recipe.view]).coverage["face_steps"].nothing == 96
    pulled = store.pull([recipe.view])
    assert pulled.ids == frames.ids
    import torch

    model = trained_model(run)
    for place in (0, 7):
        rows = torch.from_numpy(np.array(frames.steps["face_steps"].row(place)))
        with torch.no_grad():
            expected = model.hidden(rows).numpy()
        np.testing.assert_allclose(pulled.steps["face_steps"].row(place), expected, rtol=2e-3, atol=2e-3)
    with pytest.raises(BadInputError, match=rf"to the steps of {TOKENS.view} \(steps, 6 wide\)"):
        embed(store, run, over=TOKENS.view)
    with pytest.raises(BadInputError, match=rf"to the steps of {VOICE.view} \(pooled"):
        embed(store, run, over=VOICE.view)
