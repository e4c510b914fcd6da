"""From texts to an encoder that `extract` takes, a run, and a lineage that refuses what was learned from."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from extractors.encoders.sentence_folder import SentenceFolder
from extractors.extraction import extract
from extractors.registry import create
from feature_repo.errors import BadInputError
from feature_repo.store import Store, open_store
from tests.trainers.text_encoder.conftest import EMOTIONS, corpus_rows
from trainers.config import AdapterConfig
from trainers.protocols.plan import LeakageError
from trainers.runs.lineage import upstream_runs
from trainers.runs.run import finished_runs
from trainers.text_encoder.balanced import chosen_texts, sources_of
from trainers.text_encoder.config import TextEncoderConfig
from trainers.text_encoder.fitting import Progress
from trainers.text_encoder.job import EndedError, Finetuned, finetune
from trainers.train import train

CONFIG = TextEncoderConfig(per_emotion=40, epochs=1, lr=3e-3, batch_size=16)


def tuned(
    store: Store,
    base: Path,
    config: TextEncoderConfig = CONFIG,
    *,
    corpora: list[str] | None = None,
    output: Path | None = None,
    progress: Progress | None = None,
) -> Finetuned:
    sample = chosen_texts(store, config, corpora or sources_of(store))
    return finetune(
        store, sample, SentenceFolder.find(str(base)), config=config, output=output, progress=progress
    )


def extracted(store: Store, folder: Path, profile: str = "default") -> str:
    """The view of MELD-like rows, and of all others, by this encoder."""
    extractor = create("sentence", {"model": str(folder), "tokens": "no"})
    extract(store, [extractor], profile=profile, device="cpu")
    return extractor.recipes()["text"].view


@pytest.fixture
def whole(texts: Store) -> Store:
    """The text corpora and one to score on."""
    splits = ("train", "train", "train", "dev", "test", "test")
    texts.write_manifest("meld", corpus_rows("meld", EMOTIONS, 12, splits))
    return texts


def test_extract_takes_the_result_as_another_recipe(whole: Store, tiny_encoder: Path) -> None:
    done = tuned(whole, tiny_encoder)
    assert done.trained
    assert done.folder == Path(whole.root) / "models" / done.run.key
    base, own = extracted(whole, tiny_encoder, "base"), extracted(whole, done.folder)
    assert base != own
    assert whole.recipe(own).weights == done.run.record["weights"] != whole.recipe(base).weights
    vectors = [next(iter(whole.pull([view]).pooled.values())) for view in (base, own)]
    assert vectors[0].shape == vectors[1].shape
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(done.folder), device="cpu")
    pulled = whole.pull([own])
    np.testing.assert_allclose(model.encode(pulled.manifest["text"].to_list()), vectors[1], atol=1e-5)


def test_the_run_tells_its_texts_scores_and_settings(whole: Store, tiny_encoder: Path) -> None:
    run = tuned(whole, tiny_encoder).run
    assert [each.key for each in finished_runs(whole.files)] == [run.key]
    record = run.record
    assert (record["trainer"], record["corpora"]) == ("text-encoder", ["crowdflower", "goemotions"])
    taken = sum(row["taken"] for row in record["counts"])
    assert taken == 5 * 40 + 2 * 30 == sum(record["rows"].values()) == run.parts().height
    predictions = run.predictions()
    test = run.parts().filter(pl.col("part") == "test")
    assert set(predictions["utterance_id"]) == set(test["utterance_id"])
    right = (predictions["true"] == predictions["predicted"]).mean()
    assert record["scores"]["test"]["accuracy"] == pytest.approx(right)
    emotions = dict(whole.manifest().select("utterance_id", "emotion").iter_rows())
    assert all(
        emotions[name] == true for name, true in predictions.select("utterance_id", "true").iter_rows()
    )
    shares = predictions.select(pl.sum_horizontal(f"p_{name}" for name in EMOTIONS)).to_series()
    np.testing.assert_allclose(shares, 1, atol=1e-5)
    assert run.config()["settings"]["weight_decay"] == {"value": 0.01, "source": "papers/000 III-B1c"}
    assert run.epochs()["step"].to_list() == [record["steps"]]
    from safetensors.numpy import load

    assert {name.split(".")[0] for name in load(run.checkpoint())} == {"head"}
    assert not list((Path(whole.root) / "runs" / run.key).glob("resume*"))


def test_a_finished_one_is_found_and_a_change_of_a_text_makes_another(
    whole: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    first = tuned(whole, tiny_encoder)
    again = tuned(whole, tiny_encoder, output=tmp_path / "copy")
    assert (again.run.key, again.trained) == (first.run.key, False)
    assert SentenceFolder.find(str(tmp_path / "copy")).digest == first.run.record["weights"]
    shutil.rmtree(first.folder)
    with pytest.raises(BadInputError, match=f"run {first.run.key} is finished, but its encoder .* is gone"):
        tuned(whole, tiny_encoder)
    rows = corpus_rows("goemotions", EMOTIONS, 30, ("train",) * 8 + ("dev", "test"))
    whole.write_manifest("goemotions", rows.with_columns(text=pl.col("text") + " more"))
    assert tuned(whole, tiny_encoder).run.key != first.run.key


def test_the_same_call_gives_the_same_weights(whole: Store, tiny_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(whole.root, tmp_path / "other")
    one, other = tuned(whole, tiny_encoder).run, tuned(open_store(str(tmp_path / "other")), tiny_encoder).run
    assert one.key == other.key
    assert one.record["weights"] == other.record["weights"]
    assert one.record["scores"] == other.record["scores"]
    assert one.checkpoint() == other.checkpoint()


def test_features_are_refused_where_the_encoder_learned_the_scored_texts(
    whole: Store, tiny_encoder: Path
) -> None:
    config = AdapterConfig(max_epochs=1)
    drawn = tuned(whole, tiny_encoder, TextEncoderConfig(**{**_plain(CONFIG), "splits": "drawn"}))
    own = tuned(whole, tiny_encoder)
    views = {done.run.key: extracted(whole, done.folder, done.run.key) for done in (drawn, own)}
    for key, view in views.items():
        assert [run.key for run in upstream_runs(whole, [view])] == [key]
        # MELD was not learned from, and the run says what its features saw.
        (run,) = train(whole, [view], config=config, protocol="official", corpora=["meld"]).runs
        assert run.record["upstream"] == [key]
    assert train(
        whole, [views[own.run.key]], config=config, protocol="official", corpora=["goemotions"]
    ).trained
    with pytest.raises(LeakageError, match=rf"run {drawn.run.key} were learned from \d+ utterance"):
        train(whole, [views[drawn.run.key]], config=config, protocol="official", corpora=["goemotions"])


def test_lineage_holds_for_a_copy_and_through_a_second_fine_tuning(
    whole: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    first = tuned(whole, tiny_encoder, output=tmp_path / "first")
    shutil.copytree(first.folder, tmp_path / "moved")
    second = tuned(whole, tmp_path / "moved", corpora=["meld"])
    assert second.run.record["upstream"] == [first.run.key]
    above = {run.key for run in upstream_runs(whole, [extracted(whole, second.folder)])}
    assert above == {first.run.key, second.run.key}
    drawn = TextEncoderConfig(**{**_plain(CONFIG), "splits": "drawn", "per_emotion": 39})
    with pytest.raises(LeakageError, match=f"features or weights of run {first.run.key}"):
        tuned(whole, first.folder, drawn)


def test_ended_it_leaves_the_best_encoder_and_goes_on(
    whole: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole.root, tmp_path / "other")
    config = TextEncoderConfig(**{**_plain(CONFIG), "validate_every": 3})
    undisturbed = tuned(open_store(str(tmp_path / "other")), tiny_encoder, config)
    asked = iter(range(1, 1000))
    with pytest.raises(EndedError) as ended:
        tuned(whole, tiny_encoder, config, progress=Progress(should_stop=lambda: next(asked) == 5))
    unfinished = ended.value.folder
    assert unfinished is not None
    assert SentenceFolder.find(str(unfinished)).widths.pooled == 16
    assert finished_runs(whole.files) == []
    done = tuned(whole, tiny_encoder, config)
    assert done.run.record["weights"] == undisturbed.run.record["weights"]
    assert done.run.epochs().drop("seconds").equals(undisturbed.run.epochs().drop("seconds"))
    assert not unfinished.exists()


def test_places_that_do_not_fit_are_told(whole: Store, tiny_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(BadInputError, match="it holds something else"):
        tuned(whole, tiny_encoder, output=tmp_path / "notes")
    assert (tmp_path / "notes" / "mine.txt").read_text() == "keep"


def test_a_damaged_note_of_weights_is_told(whole: Store, tiny_encoder: Path) -> None:
    done = tuned(whole, tiny_encoder)
    note = Path(whole.root) / "models" / "learned" / f"{done.run.record['weights']}.json"
    assert json.loads(note.read_text())["runs"] == [done.run.key]
    view = extracted(whole, done.folder)
    note.write_text("{")
    with pytest.raises(BadInputError, match="is unreadable"):
        upstream_runs(whole, [view])


def _plain(config: TextEncoderConfig) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(config)
