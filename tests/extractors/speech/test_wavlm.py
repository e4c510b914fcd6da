"""Speech states as an extractor: what its settings do to the recipe, and which sounds give what."""

import numpy as np
import pytest

from extractors.encoders.wavlm import WavLMEncoder
from extractors.protocol import Item
from extractors.registry import create
from feature_repo.errors import BadInputError
from feature_repo.outcome import Fault
from tests.extractors.encoders.tiny_wavlm import WIDTH, build_tiny_wavlm


def wavlm(folder, **settings):
    return create("wavlm", {"model": str(folder), **settings})


def test_what_is_stored_is_what_a_training_with_the_encoder_sees(tiny_wavlm_states, voice):
    made = wavlm(tiny_wavlm_states, frames="yes")
    made.load("cpu")
    sounds = [voice(seconds, seed) for seed, seconds in enumerate((1.0, 0.4, 1.0))]
    outcomes = made.extract([Item(f"c/{place}", audio=sound) for place, sound in enumerate(sounds)])
    in_the_loop = WavLMEncoder(tiny_wavlm_states, "cpu").pooled(sounds).detach().numpy()
    np.testing.assert_allclose([each["speech"].value for each in outcomes], in_the_loop, atol=1e-6)
    for outcome, frames in zip(outcomes, (49, 19, 49), strict=True):
        stored = outcome["speech_steps"].value
        assert stored.shape == (frames, WIDTH)
        assert stored.dtype == np.float16
        np.testing.assert_allclose(outcome["speech"].value[:WIDTH], stored.mean(0, np.float64), atol=2e-3)


@pytest.mark.parametrize("seconds", ["15", "20"])
def test_only_the_start_of_a_long_sound_is_read(tiny_wavlm_states, voice, seconds):
    made = wavlm(tiny_wavlm_states, max_seconds=seconds, frames="yes")
    made.load("cpu")
    sound = voice(22.0)
    long, cut = made.extract([Item("c/0", audio=sound), Item("c/1", audio=sound[: 16_000 * int(seconds)])])
    np.testing.assert_array_equal(long["speech"].value, cut["speech"].value)
    assert len(long["speech_steps"].value) == int(seconds) * 50 - 1
    assert made.cost(Item("c/0", audio=sound)) == int(seconds)


def test_recipes_say_what_changes_the_numbers(tiny_wavlm_states):
    plain = wavlm(tiny_wavlm_states).recipes()
    assert set(plain) == {"speech"}
    assert (plain["speech"].width, plain["speech"].settings) == (2 * WIDTH, {})
    other = wavlm(tiny_wavlm_states, pooling="mean", layer="2", max_seconds="20", frames="yes").recipes()
    assert (other["speech"].width, other["speech_steps"].width) == (WIDTH, WIDTH)
    assert other["speech"].settings == {"pooling": "mean", "layer": 2, "max_seconds": 20.0}
    assert other["speech_steps"].settings == {"layer": 2, "max_seconds": 20.0}, "frames are not pooled"
    assert other["speech"].identity() | {"weights": ""} == {
        "modality": "speech",
        "extractor": "wavlm",
        "code_version": 1,
        "reads": "media",
        "layout": "pooled",
        "width": WIDTH,
        "weights": "",
        "settings": {"pooling": "mean", "layer": 2, "max_seconds": 20.0},
    }, "a field more would move the key of what is stored"
    same = wavlm(tiny_wavlm_states, batch_size="1", frames="yes", max_seconds="15").recipes()
    assert same["speech"] == plain["speech"]


def test_a_layer_that_the_model_does_not_have_is_told_before_anything_is_loaded(tiny_wavlm_states):
    with pytest.raises(BadInputError, match="layer=12: the model has hidden states 0 to 3"):
        wavlm(tiny_wavlm_states, layer="12").recipes()


def test_sounds_without_a_frame_and_silence_are_faults_by_name(tiny_wavlm_states, voice):
    made = wavlm(tiny_wavlm_states)
    made.load("cpu")
    short, silent, enough = made.extract(
        [
            Item("c/0", audio=voice(1.0)[:324]),
            Item("c/1", audio=np.zeros(16_000, np.float32)),
            Item("c/2", audio=voice(1.0)[:325]),
        ]
    )
    assert isinstance(short, Fault)
    assert isinstance(silent, Fault)
    assert (short.error, silent.error) == ("TooShort", "SilentAudio")
    assert np.isfinite(enough["speech"].value).all()


def test_wav2vec2_and_hubert_are_read_alike(tmp_path, voice):
    vectors = []
    for kind in ("wav2vec2", "hubert"):
        made = wavlm(build_tiny_wavlm(tmp_path / kind, kind=kind))
        made.load("cpu")
        (outcome,) = made.extract([Item("c/0", audio=voice(0.5))])
        vectors.append(outcome["speech"].value)
    assert {each.shape for each in vectors} == {(2 * WIDTH,)}
