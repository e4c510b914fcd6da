import numpy as np

from extractors.protocol import Item
from extractors.registry import create


def stored(samples: list[float]) -> np.ndarray:
    made = create("waveform")
    made.load("cpu")
    (outcome,) = made.extract([Item("c/0", audio=np.array(samples, np.float32))])
    return outcome["audio_steps"].value


def test_full_scale_is_the_largest_16_bit_number_and_more_is_clipped():
    steps = stored([0.0, 1.0, -1.0, 0.5, 2.0, -3.0])
    assert steps.dtype == np.int16
    assert steps.tolist() == [[0], [32767], [-32767], [16384], [32767], [-32767]]


def test_silence_is_sound():
    assert stored([0.0] * 10).tolist() == [[0]] * 10


def test_the_sound_comes_back_within_half_a_bit(voice):
    sound = voice(0.5)
    np.testing.assert_allclose(stored(sound.tolist())[:, 0] / 32767, sound, atol=0.51 / 32767)


def test_the_recipe_says_16_bit_steps_of_one():
    recipe = create("waveform").recipes()["audio_steps"]
    assert (recipe.slot, recipe.dtype, recipe.width, recipe.layout) == ("audio_steps", "int16", 1, "steps")
