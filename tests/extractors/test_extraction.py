"""An extraction's hold on the catalogue, and that what it stores is what the extractor gave."""

import numpy as np
import polars as pl
import pytest

from extractors.extraction import extract
from extractors.protocol import Item
from extractors.registry import create
from extractors.runner import Runner
from feature_repo.store import init_store
from tests.extractors.conftest import MINILM


@pytest.fixture
def store(tmp_path):
    store = init_store(str(tmp_path / "store"))
    texts = ["so happy", "very sad indeed", "", "hello there 🙂"]
    store.write_manifest("c", pl.DataFrame({"utterance_id": [f"c/{n}" for n in range(4)], "text": texts}))
    return store


def test_stored_numbers_are_the_extractors(store):
    made = create("sentence", {"model": MINILM})
    report, runner = extract(store, [made], profile="p", device="cpu")
    assert (report.computed, runner.loaded) == (8, ["sentence"])
    (wanted,) = made.extract([Item("c/1", "very sad indeed")])
    pulled = store.pull(["text", "text_steps"], ids=["c/1", "c/2"], join="outer", profile="p")
    np.testing.assert_allclose(pulled.features["text"][0], wanted["text"].value, atol=1e-5)
    np.testing.assert_allclose(pulled.features["text_steps"].row(0), wanted["text_steps"].value, atol=2e-3)
    assert pulled.present["text"].tolist() == [True, False]


def test_a_changed_text_alone_is_computed_again(store):
    extract(store, [create("hashing")], profile="p", device="cpu")
    rows = store.manifest().select("utterance_id", "text")
    changed = rows.with_columns(
        pl.when(pl.col("utterance_id") == "c/1").then(pl.lit("merry")).otherwise("text").alias("text")
    )
    store.write_manifest("c", changed)
    report, _ = extract(store, [create("hashing")], profile="p", device="cpu")
    assert report.computed == 1
    store.write_manifest("c", rows)
    report, runner = extract(store, [create("hashing")], profile="p", device="cpu")
    (counts,) = report.views.values()
    assert (counts.computed, counts.copied, runner.loaded) == (0, 1, [])


def test_adding_the_tokens_later_leaves_the_pooled_rows(store):
    pooled = create("sentence", {"model": MINILM, "tokens": "no"})
    extract(store, [pooled], profile="p", device="cpu")
    view = pooled.recipes()["text"].view
    before = store.table(view).parts()
    both = create("sentence", {"model": MINILM})
    report, _ = extract(store, [both], profile="p", device="cpu")
    assert report.computed == 4
    assert store.table(view).parts() == before
    assert set(store.catalog.slots("p")) == {"text", "text_steps"}


def test_an_interrupted_extraction_can_be_pulled(store, monkeypatch):
    original = Runner.compute

    def interrupt(self, missing):
        for number, yielded in enumerate(original(self, missing)):
            if number == 2:
                raise KeyboardInterrupt
            yield yielded

    monkeypatch.setattr(Runner, "compute", interrupt)
    with pytest.raises(KeyboardInterrupt):
        extract(store, [create("hashing")], profile="p", device="cpu")
    assert store.table(store.catalog.slots("p")["text"]).live_keys().height == 2
