"""Speech states against transformers called directly, on tiny models with random weights."""

import json
from functools import cache

import numpy as np
import pytest
import torch

from extractors.encoders.wavlm import SPEECH_TYPES, WavLMConfig, WavLMEncoder
from feature_repo.errors import BadInputError
from tests.extractors.conftest import make_voice
from tests.extractors.encoders.tiny_wavlm import LAYERS, WIDTH, build_tiny_wavlm

SOUNDS = [make_voice(seconds, seed) for seed, seconds in enumerate((1.0, 0.5, 1.0, 0.03, 0.731))]
KINDS = [(kind, norm) for kind in SPEECH_TYPES for norm in ("group", "layer")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("speech")
    return {
        (kind, norm): build_tiny_wavlm(root / f"{kind}-{norm}", kind=kind, norm=norm) for kind, norm in KINDS
    }


@cache
def reference(folder):
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder, local_files_only=True).eval()


def states_of(folder, sound, layer=-1):
    """What transformers' own feature extractor and model make of one sound."""
    from transformers import Wav2Vec2FeatureExtractor

    norm = json.loads((folder / "config.json").read_text())["feat_extract_norm"]
    prepare = Wav2Vec2FeatureExtractor(do_normalize=norm == "layer")
    whole = sound[: len(sound) - (len(sound) - 325) % 320]  # the first frame is of 325 samples
    with torch.no_grad():
        samples = prepare(whole, sampling_rate=16_000, return_tensors="pt").input_values
        out = reference(folder)(samples, output_hidden_states=True)
        return (out.last_hidden_state if layer == -1 else out.hidden_states[layer])[0].numpy()


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_vectors_are_those_of_the_model(folders, kind):
    encoder = WavLMEncoder(folders[kind], "cpu")
    found = encoder.encode(SOUNDS, steps=True)
    assert (encoder.width, encoder.state_width) == (2 * WIDTH, WIDTH)
    for sound, pooled, steps in zip(SOUNDS, found.pooled, found.steps, strict=True):
        states = states_of(folders[kind], sound)
        np.testing.assert_allclose(steps, states, atol=3e-3)
        wanted = np.concatenate([states.mean(0), states.std(0)])
        np.testing.assert_allclose(pooled, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("layer", [0, 1, LAYERS, -1, -2])
def test_a_layer_is_that_of_the_model(folders, layer):
    folder = folders["wavlm", "group"]
    encoder = WavLMEncoder(folder, "cpu", pooling="mean", layer=layer)
    wanted = np.stack([states_of(folder, sound, layer).mean(0) for sound in SOUNDS[:2]])
    np.testing.assert_allclose(encoder.encode(SOUNDS[:2]).pooled, wanted, atol=1e-5)
    assert encoder.width == WIDTH


def test_only_models_whose_norm_runs_over_channels_are_padded(folders):
    passes = {norm: WavLMEncoder(folders["wavlm", norm], "cpu") for norm in ("group", "layer")}
    with torch.inference_mode():
        together = {norm: [places for places, *_ in each.forward(SOUNDS)] for norm, each in passes.items()}
    assert together["layer"] == [[0, 1, 2, 3, 4]]
    assert sorted(map(sorted, together["group"])) == [[0, 2], [1], [3], [4]]


def test_vectors_in_training_are_those_that_are_stored_and_have_a_gradient(folders):
    for norm in ("group", "layer"):
        encoder = WavLMEncoder(folders["wavlm", norm], "cpu")
        pooled = encoder.pooled(SOUNDS)
        assert pooled.requires_grad
        np.testing.assert_allclose(pooled.detach().numpy(), encoder.encode(SOUNDS).pooled, atol=1e-6)
        pooled.square().sum().backward()
        gradients = [each.grad for each in encoder.model.parameters() if each.grad is not None]
        assert len(gradients) > 20
        assert all(torch.isfinite(each).all() for each in gradients)
        with torch.no_grad():
            assert not encoder.pooled(SOUNDS).requires_grad


def test_a_short_sound_can_be_trained_on(folders):
    encoder = WavLMEncoder(folders["wavlm", "group"], "cpu")
    encoder.model.train()
    assert torch.isfinite(encoder.pooled([SOUNDS[3]])).all(), "one frame, of which nothing can be masked"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_close(folders, dtype):
    folder = folders["wavlm", "group"]
    wide, half = (WavLMEncoder(folder, "cpu", compute_dtype=each) for each in ("float32", dtype))
    assert next(half.model.parameters()).dtype == getattr(torch, dtype)
    wanted = wide.encode(SOUNDS).pooled
    found = half.encode(SOUNDS).pooled
    assert found.dtype == np.float32
    assert 0 < np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_one_frame_is_enough_and_less_is_told(folders):
    encoder = WavLMEncoder(folders["wavlm", "group"], "cpu")
    shortest = encoder.config.samples(1)
    found = encoder.encode([SOUNDS[0][:shortest]], steps=True)
    assert found.steps[0].shape == (1, WIDTH)
    assert not found.pooled[0, WIDTH:].any()
    with pytest.raises(BadInputError, match=f"a sound of {shortest - 1} samples: one frame needs {shortest}"):
        encoder.encode([SOUNDS[0][: shortest - 1]])


def test_frames_of_the_real_models_are_20_ms(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wavlm"}))
    config = WavLMConfig.read(tmp_path)
    assert (config.receptive, config.stride, config.width, config.layers, config.padded) == (
        400,
        320,
        768,
        12,
        False,
    )


def test_other_models_and_layers_are_refused(folders, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    with pytest.raises(
        BadInputError, match="model_type is 'whisper'; the encoder of speech takes 'wavlm', 'wav2vec2'"
    ):
        WavLMConfig.read(tmp_path)
    for layer in (LAYERS + 1, -LAYERS - 2):
        with pytest.raises(BadInputError, match=f"layer={layer}: the model has hidden states 0 to {LAYERS}"):
            WavLMEncoder(folders["wavlm", "group"], "cpu", layer=layer)
