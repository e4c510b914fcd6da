"""X-vectors against transformers, on a tiny WavLM with random weights."""

import json
import shutil

import numpy as np
import pytest

from extractors.encoders.xvector import XVectorConfig
from extractors.protocol import Item
from extractors.registry import create
from extractors.speaker.xvector import XVector
from feature_repo.errors import BadInputError
from feature_repo.outcome import Fault


@pytest.fixture(scope="module")
def loaded(tiny_wavlm):
    made = create("xvector", {"model": str(tiny_wavlm)})
    made.load("cpu")
    return made


def model(folder):
    from transformers import WavLMForXVector

    return WavLMForXVector.from_pretrained(folder, local_files_only=True).eval()


def run(network, samples):
    import torch

    with torch.no_grad():
        return network(torch.from_numpy(samples[None])).embeddings[0].numpy()


def test_vectors_are_those_of_the_model(loaded, tiny_wavlm, voice):
    sounds = [voice(seconds, seed) for seed, seconds in enumerate((1.0, 2.3, 1.0, 0.7))]
    outcomes = loaded.extract([Item(f"c/{index}", audio=sound) for index, sound in enumerate(sounds)])
    network, config = model(tiny_wavlm), XVectorConfig.read(tiny_wavlm)
    for sound, outcome in zip(sounds, outcomes, strict=True):
        wanted = run(network, config.prepare(sound))
        np.testing.assert_allclose(outcome["speaker"].value, wanted, atol=1e-4 * np.abs(wanted).max())


def test_only_the_tail_that_fills_no_frame_is_left_out(tiny_wavlm, voice):
    config = XVectorConfig.read(tiny_wavlm)
    for n in (5000, 5001, 5319, 5320, 16_000):
        kept = len(config.prepare(voice(n / 16_000)))
        assert n - config.stride < kept <= n
        assert (kept - config.receptive) % config.stride == 0


def test_padding_would_change_the_numbers(tiny_wavlm, voice):
    # Why batches hold equal lengths only: the first group norm runs over time, and a mask comes too late.
    import torch

    network, sound = model(tiny_wavlm), voice(1.0)
    padded = np.pad(sound, (0, 16_000))
    mask = torch.from_numpy((np.arange(32_000) < 16_000).astype(np.int64)[None])
    with torch.no_grad():
        masked = network(torch.from_numpy(padded[None]), attention_mask=mask).embeddings[0].numpy()
    alone = run(network, sound)
    assert np.abs(masked - alone).max() > 3 * XVector.batch_tolerance * np.abs(alone).max()


def test_the_shortest_sound_is_what_the_model_can_take(loaded, tiny_wavlm, voice):
    shortest = XVectorConfig.read(tiny_wavlm).minimum_samples
    items = [Item("c/0", audio=voice(1.0)[:shortest]), Item("c/1", audio=voice(1.0)[: shortest - 1])]
    enough, short = loaded.extract(items)
    assert np.isfinite(enough["speaker"].value).all()
    assert isinstance(short, Fault)
    assert short.error == "TooShort"
    network = model(tiny_wavlm)
    assert np.isnan(run(network, items[0].audio[: -loaded._encoder.config.stride])).any()


def test_frames_of_the_real_model_are_20_ms(tmp_path):
    # transformers' defaults are WavLM base's: 400 samples, then one frame each 320.
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wavlm"}))
    config = XVectorConfig.read(tmp_path)
    assert (config.receptive, config.stride, config.width, config.minimum_frames) == (400, 320, 512, 16)
    assert not config.normalise


def test_normalisation_follows_the_models_own_preparation(tmp_path, voice):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wavlm", "feat_extract_norm": "layer"}))
    assert XVectorConfig.read(tmp_path).normalise
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    assert not XVectorConfig.read(tmp_path).normalise
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    from transformers import Wav2Vec2FeatureExtractor

    config, sound = XVectorConfig.read(tmp_path), 0.3 + voice(1.0)
    prepared = config.prepare(sound)
    wanted = Wav2Vec2FeatureExtractor(do_normalize=True)(sound[: len(prepared)], sampling_rate=16_000)
    np.testing.assert_allclose(prepared, wanted["input_values"][0], atol=1e-5)


def test_another_kind_of_model_is_told(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hubert"}))
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(BadInputError, match="model_type is 'hubert'"):
        create("xvector", {"model": str(tmp_path)}).recipes()


def test_the_weights_are_identity_and_their_place_is_not(tiny_wavlm, tmp_path):
    shutil.copytree(tiny_wavlm, tmp_path / "copy")
    here, there = (
        create("xvector", {"model": str(tiny_wavlm)}),
        create("xvector", {"model": str(tmp_path / "copy")}),
    )
    assert here.recipes() == there.recipes()
    limited = create("xvector", {"model": str(tiny_wavlm), "max_seconds": "5"})
    assert limited.recipes()["speaker"].settings == {"max_seconds": 5.0}
