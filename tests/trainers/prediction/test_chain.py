"""The chain to a run's inputs: what is computed, in which order, and what has gone."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.absence import absences
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.fill import fill
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.records import live_values
from feature_repo.scratch import scratch_store
from feature_repo.store import Store
from tests.trainers.conftest import Planted
from tests.trainers.planted_sequences import FACES, VOICE, planted_sequences
from trainers.config import AdapterConfig
from trainers.embed import embed
from trainers.fusion.config import MambaAdapterConfig
from trainers.prediction.chain import chain_of, embed_learned
from trainers.runs.run import Run
from trainers.train import train


def adapter(store: Store, *slots: str) -> Run:
    (run,) = train(store, slots, config=AdapterConfig(max_epochs=1), protocol="official").runs
    return run


def test_base_views_need_nothing_else(planted: Planted) -> None:
    chain = chain_of(planted.store, {"text": planted.text.view, "speech": planted.speech.view})
    assert chain.computed == (planted.text.view, planted.speech.view)
    assert (chain.speakers, chain.learned) == ((), ())
    assert set(chain.known) == {planted.text.view, planted.speech.view}


def test_learned_views_come_after_what_they_read(planted: Planted) -> None:
    first = adapter(planted.store, "text", "speech")
    view, _ = embed(planted.store, first)
    second = adapter(planted.store, view.view, "speech")
    above, _ = embed(planted.store, second)
    chain = chain_of(planted.store, {"adapted": above.view})
    assert chain.computed == (planted.text.view, planted.speech.view)
    assert [(name, run.key) for name, run in chain.learned] == [
        (view.view, first.key),
        (above.view, second.key),
    ]
    assert set(chain.known) == {planted.text.view, planted.speech.view, view.view, above.view}


def test_references_are_looked_up_and_what_they_were_made_of_is_not_computed_for_them(
    planted: Planted,
) -> None:
    store = planted.store
    reference = Recipe(
        "reference",
        "planted",
        1,
        "speaker",
        "pooled",
        2,
        inputs=(planted.text.fingerprint,),
        entity="speaker",
    )
    own = Recipe(
        "face", "planted", 1, "rows", "pooled", 2, inputs=(reference.fingerprint, planted.speech.fingerprint)
    )
    for recipe in (reference, own):
        store.ensure_table(recipe)
    chain = chain_of(store, {"face": own.view})
    assert chain.speakers == (reference.view,)
    assert chain.computed == (planted.speech.view, own.view)
    assert set(chain.known) == {reference.view, own.view, planted.speech.view, planted.text.view}
    # What a reference names is computed where something else asks for it.
    both = chain_of(store, {"face": own.view, "text": planted.text.view})
    assert set(both.computed) == {planted.speech.view, own.view, planted.text.view}


def test_layers_are_made_again_of_rows_and_of_steps(tmp_path: Path) -> None:
    store = planted_sequences(tmp_path)
    rows, _ = embed(store, adapter(store, "speaker"))
    pooled = Recipe("face", "mean", 1, "text", "pooled", FACES.width)

    def means(missing):
        for name in missing[pooled.view]:
            value = live_values(store, FACES.view, [name]).get(name)
            yield pooled.view, name, Features(None, "no") if value is None else Features(value.mean(0))

    fill(store, [pooled], means)
    steps, _ = embed(store, adapter(store, pooled.view), over=FACES.view)
    chain = chain_of(store, {"voice": rows.view, "face": steps.view})
    assert chain.computed == (VOICE.view, FACES.view)
    assert pooled.view in chain.known
    with scratch_store(store, chain.known) as scratch:
        manifest = store.manifest().head(12).select("utterance_id", "text")
        scratch.write_manifest("toy", manifest)

        def again(missing):
            for view, names in missing.items():
                for name in names:
                    value = live_values(store, view, [name]).get(name)
                    yield view, name, Features(None, "no") if value is None else Features(value)

        fill(scratch, [VOICE, FACES], again)
        totals: list[int] = []
        embed_learned(scratch, chain, on_total=totals.append)
        for view in (rows.view, steps.view):
            ids = manifest["utterance_id"].to_list()
            stored, computed = live_values(store, view, ids), live_values(scratch, view, ids)
            assert set(stored) == set(computed)
            for name, value in stored.items():
                np.testing.assert_allclose(computed[name], value, atol=1e-6)
    assert totals == [12, 12]


def test_what_has_gone_is_named(planted: Planted) -> None:
    run = adapter(planted.store, "text")
    view, _ = embed(planted.store, run)
    with pytest.raises(UnknownNameError, match="text_planted_00000000"):
        chain_of(planted.store, {"text": "text_planted_00000000"})
    planted.store.files.remove(f"runs/{run.key}/run.json")
    with pytest.raises(
        BadInputError, match=f"{view.view} was learned in run {run.key}, whose folder is gone"
    ):
        chain_of(planted.store, {"text": view.view})


def test_a_clip_that_shows_nothing_has_no_layer(tmp_path: Path) -> None:
    store = planted_sequences(tmp_path)
    config = MambaAdapterConfig(max_epochs=1, width=8, d_state=4)
    (run,) = train(store, ["face_steps"], config=config, protocol="official").runs
    view, _ = embed(store, run)
    chain = chain_of(store, {"face": view.view})
    with scratch_store(store, chain.known) as scratch:
        scratch.write_manifest("new", pl.DataFrame({"utterance_id": ["new/a"], "text": ["words"]}))
        fill(
            scratch,
            [FACES],
            lambda missing: ((FACES.view, name, Features(None, "no face")) for name in missing[FACES.view]),
        )
        embed_learned(scratch, chain)
        assert absences(scratch, view.view, ["new/a"]) == {"new/a": "no face"}
        assert live_values(scratch, view.view, ["new/a"]) == {}
