"""The hidden layer as a view: the right numbers, the right recipe, only what is missing."""

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load

from feature_repo.errors import BadInputError
from tests.trainers.conftest import Planted, toy_rows
from trainers.adapters.kan_adapter import KANAdapter
from trainers.config import AdapterConfig, KANConfig
from trainers.embed import adapter_recipe, embed
from trainers.runs.run import Run
from trainers.train import train

FAST = AdapterConfig(max_epochs=3)


def _run(planted: Planted, slots: tuple[str, ...] = ("text",)) -> Run:
    return train(planted.store, slots, config=FAST, protocol="official").runs[0]


def _by_hand(run: Run, rows: np.ndarray) -> np.ndarray:
    """The hidden layer in NumPy: scale, then twice linear, batch norm by running statistics, ReLU."""
    state = {name: tensor.numpy() for name, tensor in load(run.checkpoint()).items()}
    hidden: np.ndarray = (rows - state["mean"]) / state["deviation"]
    for layer in (0, 4):  # linear, batch norm, ReLU, dropout, and again
        hidden = hidden @ state[f"body.{layer}.weight"].T + state[f"body.{layer}.bias"]
        norm = f"body.{layer + 1}"
        hidden = (hidden - state[f"{norm}.running_mean"]) / np.sqrt(state[f"{norm}.running_var"] + 1e-5)
        hidden = np.maximum(hidden * state[f"{norm}.weight"] + state[f"{norm}.bias"], 0)
    return hidden


def test_a_kan_adapters_layer_is_stored_too(planted: Planted) -> None:
    config = KANConfig(max_epochs=3, hidden=(16, 6), grid=4)
    (run,) = train(planted.store, ["text"], config=config, protocol="official").runs
    assert run.record["trainer"] == "kan"
    recipe, report = embed(planted.store, run)
    assert (recipe.width, report.views[recipe.view].computed) == (6, 240)
    pulled = planted.store.pull([recipe.view])
    rows = torch.from_numpy(np.stack([planted.vectors[name][:8] for name in pulled.ids]))
    model = KANAdapter(8, len(run.record["classes"]), hidden=(16, 6), grid=4)
    model.load_state_dict(load(run.checkpoint()))
    with torch.no_grad():
        expected = model.eval().hidden(rows).numpy()
    np.testing.assert_allclose(pulled.pooled[recipe.slot], expected, rtol=1e-4, atol=1e-5)
    # What is stored is what the run's head was scored on.
    shares = model.head(torch.from_numpy(expected)).softmax(1).detach().numpy()
    told = run.predictions()
    places = [pulled.ids.index(name) for name in told["utterance_id"]]
    columns = [f"p_{name}" for name in run.record["classes"]]
    np.testing.assert_allclose(shares[places], told.select(columns).to_numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("slots", [("text",), ("text", "speech"), ("speech", "text")])
def test_the_view_holds_the_hidden_layer(planted: Planted, slots: tuple[str, ...]) -> None:
    run = _run(planted, slots)
    recipe, report = embed(planted.store, run)
    assert report.views[recipe.view].computed == 240
    pulled = planted.store.pull([recipe.view])
    parts = {"text": slice(0, 8), "speech": slice(8, 12)}
    rows = np.stack(
        [np.concatenate([planted.vectors[name][parts[slot]] for slot in slots]) for name in pulled.ids]
    )
    assert len(pulled.ids) == 240
    np.testing.assert_allclose(pulled.pooled[recipe.slot], _by_hand(run, rows), rtol=1e-3, atol=1e-4)


def test_the_recipe_tells_its_run_and_inputs(planted: Planted) -> None:
    run = _run(planted)
    recipe = adapter_recipe(planted.store, run)
    assert (recipe.modality, recipe.extractor, recipe.reads, recipe.layout) == (
        "text",
        "adapter",
        "rows",
        "pooled",
    )
    assert recipe.width == 128
    assert recipe.inputs == (planted.text.fingerprint,)
    assert recipe.settings == {
        "run": run.key,
        "seed": 0,
        "protocol": "official",
        "fold": 0,
        "training_ids": run.record["training_ids"],
    }
    both = adapter_recipe(planted.store, _run(planted, ("text", "speech")))
    assert both.modality == "joint"
    assert both.inputs == (planted.text.fingerprint, planted.speech.fingerprint)


def test_nothing_is_computed_twice_and_a_changed_row_once(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(planted)
    embed(planted.store, run)
    planted.vectors.update({"toy/u005": np.ones(12, np.float32)})
    monkeypatch.setattr(torch, "from_numpy", None)  # any use of the model would fail
    recipe, report = embed(planted.store, run)
    assert (report.computed, report.views[recipe.view].up_to_date) == (0, 240)
    monkeypatch.undo()
    changed = pl.col("utterance_id") == "toy/u005"
    planted.write_rows(toy_rows().with_columns(text=pl.when(changed).then(pl.lit("new")).otherwise("text")))
    _, report = embed(planted.store, run)
    assert (report.computed, report.views[recipe.view].up_to_date) == (1, 239)


def test_a_stale_input_is_a_fault_that_extracting_cures(planted: Planted) -> None:
    run = _run(planted)
    changed = pl.col("utterance_id") == "toy/u005"
    rows = toy_rows().with_columns(text=pl.when(changed).then(pl.lit("new")).otherwise("text"))
    planted.store.write_manifest("toy", rows)  # the text is not encoded yet
    recipe, report = embed(planted.store, run)
    assert report.views[recipe.view].computed == 239
    assert dict(report.faults_by_reason) == {"extract: StaleInputError": 1}
    planted.write_rows(rows)
    _, report = embed(planted.store, run)
    assert (report.computed, dict(report.faults_by_reason)) == (1, {})


def test_rows_in_parts_are_those_of_one_pass(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(planted)
    monkeypatch.setattr("trainers.embed._ROWS_AT_ONCE", 7)
    recipe, report = embed(planted.store, run)
    assert report.computed == 240
    pulled = planted.store.pull([recipe.view])
    rows = np.stack([planted.vectors[name][:8] for name in pulled.ids])
    np.testing.assert_allclose(pulled.pooled[recipe.slot], _by_hand(run, rows), rtol=1e-3, atol=1e-4)


def test_a_text_encoders_run_is_for_extract(planted: Planted) -> None:
    encoder = Run(planted.store.files, {**_run(planted).record, "trainer": "text-encoder"})
    with pytest.raises(BadInputError, match="reads texts, not views: .* `affectstore extract -e sentence"):
        embed(planted.store, encoder)
