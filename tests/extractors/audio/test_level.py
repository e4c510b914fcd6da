"""Levels against hand calculations in dB, and the channels that the decoder chose."""

import numpy as np
import pytest

from extractors.audio.level import measure_level
from extractors.protocol import Item
from extractors.registry import create
from feature_repo.gate import gated
from feature_repo.outcome import Fault, Features
from tests.extractors.conftest import tone


def level_of(samples: np.ndarray, **facts: int) -> dict[str, float]:
    made = create("level")
    made.load("cpu")
    (outcome,) = made.extract([Item("c/0", audio=np.asarray(samples, np.float32), facts=facts)])
    stored = gated(made.recipes()["level"], outcome["level"])
    assert isinstance(stored, Features)
    return dict(stored.columns)


def test_a_square_wave_of_full_scale_has_no_decibels():
    found = measure_level(np.tile(np.float32([1, -1]), 8000))
    assert (found.seconds, found.rms_db, found.peak_db) == (1.0, 0.0, 0.0)


def test_a_sine_lies_three_decibels_below_its_peak():
    found = measure_level(tone(440.0, 1.0, peak=0.5))
    assert found.peak_db == pytest.approx(-6.0206, abs=1e-3)  # 20 log10 of a half
    assert found.rms_db == pytest.approx(-6.0206 - 3.0103, abs=1e-3)


def test_halving_takes_six_decibels(voice):
    sound = voice(1.0)
    whole, half = measure_level(sound), measure_level(sound / 2)
    assert whole.rms_db - half.rms_db == pytest.approx(6.0206, abs=1e-3)
    assert whole.peak_db - half.peak_db == pytest.approx(6.0206, abs=1e-3)


def test_silence_is_data_at_the_floor():
    found = level_of(np.zeros(8000), channels=1, channel=-1)
    assert (found["seconds"], found["rms_db"], found["peak_db"]) == (0.5, -120.0, -120.0)


def test_what_lies_below_the_floor_is_at_the_floor():
    assert level_of(np.full(100, 1e-9))["peak_db"] == -120.0
    assert level_of(np.full(100, 1e-5))["peak_db"] == pytest.approx(-100.0, abs=1e-3)


def test_the_chosen_channel_is_told():
    found = level_of(tone(440.0, 0.1), channels=6, channel=2)
    assert (found["channels"], found["channel"]) == (6, 2)


def test_sound_of_unknown_origin_has_no_count_of_channels():
    found = level_of(tone(440.0, 0.1))
    assert (found["channels"], found["channel"]) == (None, -1)


def test_a_long_sound_loses_no_precision():
    # A float32 running sum of 3,600 s of small squares would stop growing.
    found = measure_level(np.full(20_000_000, 0.01, np.float32))
    assert found.rms_db == pytest.approx(-40.0, abs=1e-3)


def test_unusable_media_are_a_fault_or_a_marked_silence():
    lost = Item("c/0", audio=np.zeros(0, np.float32))
    (fault,) = create("level").extract([lost])
    assert isinstance(fault, Fault)
    assert (fault.error, "c/0" in fault.message) == ("TooShort", True)
    (marked,) = create("level", {"unusable": "silence"}).extract([lost])
    assert marked["level"].note.startswith("silence: c/0")
    assert marked["level"].columns == {}


def test_the_recipe_is_a_record():
    recipe = create("level").recipes()["level"]
    assert (recipe.view[:12], recipe.layout, recipe.width) == ("level_level_", "record", 0)
