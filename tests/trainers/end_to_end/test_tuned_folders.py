"""A run's tuned encoders: folders that extractors take, known by the rows that they have seen."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load
from transformers import AutoModel

from extractors.encoders.model_folder import ModelFolder
from extractors.encoders.roberta import RobertaEncoder
from extractors.encoders.wavlm import WavLMEncoder
from feature_repo.errors import BadInputError
from feature_repo.fill import fill
from feature_repo.outcome import Features
from tests.trainers.end_to_end.planted_recordings import Recordings, recording_rows, sound_of, text_recipe
from tests.trainers.end_to_end.small_runs import end_to_end, settings
from trainers.embed import embed
from trainers.end_to_end.tuned_folders import check_keeps_folders
from trainers.models import trained_model
from trainers.prediction.new_clips import predict_stored
from trainers.prediction.robustness import run_data
from trainers.protocols.plan import LeakageError
from trainers.runs.learned_weights import runs_of_weights
from trainers.train import train


def test_the_folders_hold_the_kept_epochs_encoders(recordings: Recordings) -> None:
    (recordings.speech_model / "preprocessor_config.json").write_text('{"do_normalize": true}')
    try:
        run = end_to_end(recordings, speech_lr=1e-3, text_lr=1e-3)
    finally:
        (recordings.speech_model / "preprocessor_config.json").unlink()
    root = Path(recordings.store.root)
    state = load(run.checkpoint())
    for slot, told in run.record["tuned"].items():
        assert told["folder"] == f"models/{run.key}/{slot}"
        folder = root / told["folder"]
        assert ModelFolder.find(str(folder)).digest == told["weights"]
        assert runs_of_weights(recordings.store.files, told["weights"]) == [run.key]
        options = {} if slot == "speech" else {"add_pooling_layer": False}
        kept = AutoModel.from_pretrained(folder, **options).state_dict()
        own = {
            name.split(".", 2)[2]: one for name, one in state.items() if name.startswith(f"encoders.{slot}.")
        }
        assert own.keys() == kept.keys()
        assert all(torch.equal(own[name], kept[name]) for name in own)
    # As the extractors load them: with the tokenizer, and the preparation of sound that training had.
    speech = WavLMEncoder(root / "models" / run.key / "speech", "cpu")
    assert speech.config.normalise
    sound = sound_of(0, "neutral")
    assert sound is not None
    told = speech.encode([sound.astype(np.float32) / 32767]).pooled
    before = WavLMEncoder(recordings.speech_model, "cpu").encode([sound.astype(np.float32) / 32767]).pooled
    assert np.abs(told - before).max() > 1e-3
    text = RobertaEncoder(root / "models" / run.key / "text", "cpu")
    assert text.encode(["oh how wonderful"]).pooled.shape == (1, 32)


def test_what_a_tuned_encoder_has_seen_is_no_test_of_its_vectors(recordings: Recordings) -> None:
    run = end_to_end(recordings, max_epochs=1)
    folder = Path(recordings.store.root) / run.record["tuned"]["text"]["folder"]
    recipe = text_recipe(folder)
    encoder = RobertaEncoder(folder, "cpu")
    texts = dict(recordings.store.manifest().select("utterance_id", "text").iter_rows())

    def compute(missing):  # type: ignore[no-untyped-def]
        for view, names in missing.items():
            for name in names:
                yield view, name, Features(encoder.encode([texts[name]]).pooled[0])

    fill(recordings.store, [recipe], compute)
    config = settings("token-transformer", max_epochs=1)
    (above,) = train(recordings.store, [recipe.view], config=config, protocol="official").runs
    assert above.record["upstream"] == [run.key]
    # Test rows become training rows and the other way round.
    rows = recording_rows().with_columns(split=pl.col("split").replace({"train": "test", "test": "train"}))
    for corpus in ("ravdess", "meld"):
        recordings.store.write_manifest(corpus, rows.filter(pl.col("corpus") == corpus))
    with pytest.raises(LeakageError, match=f"run {run.key} were learned from"):
        train(recordings.store, [recipe.view], config=config, protocol="official")
    # And so it is where the encoder itself goes into another model.
    with pytest.raises(LeakageError, match=f"run {run.key} were learned from"):
        end_to_end(recordings, text_model=str(folder), max_epochs=2)


def test_what_is_not_possible_is_told_with_a_way(recordings: Recordings) -> None:
    run = end_to_end(recordings, max_epochs=1)
    frozen = end_to_end(recordings, max_epochs=1, encoders="frozen")
    way = rf"`affectstore extract -e roberta -s model=.*models/{run.key}/text`"
    store = recordings.store
    for asked in (
        lambda one: embed(store, one),
        lambda one: predict_stored(store, [one], corpora=["meld"]),
        lambda one: run_data(store, one),
        lambda one: trained_model(one),
    ):
        with pytest.raises(BadInputError, match=way):
            asked(run)
        with pytest.raises(BadInputError, match="its encoders are as they were"):
            asked(frozen)


def test_a_store_without_folders_keeps_no_tuned_encoders(
    recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_keeps_folders(recordings.store)
    monkeypatch.setattr(type(recordings.store.files), "local_path", lambda self, path: None)
    with pytest.raises(BadInputError, match="--set encoders=frozen"):
        check_keeps_folders(recordings.store)
