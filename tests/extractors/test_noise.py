"""Noise, its ratio measured from what was added."""

import numpy as np
import pytest

from extractors.noise import with_noise
from extractors.protocol import Item
from extractors.registry import create
from feature_repo.errors import BadInputError, UnknownNameError


def ratio_db(sound, noisy):
    added = noisy.astype(np.float64) - sound
    return 10 * np.log10(np.mean(sound.astype(np.float64) ** 2) / np.mean(added**2))


@pytest.mark.parametrize("kind", ["white", "babble"])
@pytest.mark.parametrize("wanted", [-5.0, 0.0, 10.0, 30.0])
def test_the_ratio_is_the_wanted_one(voice, kind, wanted):
    sound = voice(1.3)
    noisy = with_noise(sound, kind, wanted, "0/c/1")
    assert ratio_db(sound, noisy) == pytest.approx(wanted, abs=0.01)
    assert (noisy.dtype, noisy.shape) == (np.float32, sound.shape)


def spectrum(sound):
    """Power in eight bands, as shares."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    bands = np.array([band.sum() for band in np.array_split(power, 8)])
    return bands / bands.sum()


def test_white_noise_is_flat_and_babble_has_the_spectrum_of_the_voice(voice):
    sound = voice(2.0)
    white, babble = (with_noise(sound, kind, 0.0, "k") - sound for kind in ("white", "babble"))
    assert np.abs(spectrum(white) - 1 / 8).max() < 0.02
    assert np.abs(spectrum(babble) - spectrum(sound)).max() < 0.1
    assert spectrum(sound)[0] > 0.5, "a voice is not flat"
    assert abs(np.corrcoef(babble, sound)[0, 1]) < 0.5


def test_it_depends_on_the_key_and_on_nothing_else(voice):
    sound = voice(0.5)
    one, again, other = (with_noise(sound, "white", 10.0, key) for key in ("0/c/1", "0/c/1", "1/c/1"))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_silence_and_nothing_stay_what_they_are():
    for sound in (np.zeros(100, np.float32), np.zeros(0, np.float32)):
        np.testing.assert_array_equal(with_noise(sound, "white", 0.0, "k"), sound)
    sound = np.ones(3, np.float32)
    assert with_noise(sound, "none", 0.0, "k") is sound
    assert np.isfinite(with_noise(np.array([1, -1], np.float32), "babble", 0.0, "k")).all()


def test_an_extractor_reads_the_noisy_sound(voice):
    sound = voice(1.0)
    plain, noisy = (
        create("waveform"),
        create("waveform", {"noise": "white", "noise_db": "10", "max_seconds": "0.5"}),
    )
    stored, clean = (
        made.extract([Item("c/1", audio=sound)])[0]["audio_steps"].value[:, 0] for made in (noisy, plain)
    )
    assert len(stored) == 8000
    assert ratio_db(clean[:8000] / 32767, stored / 32767) == pytest.approx(10, abs=0.1)
    assert noisy.recipes()["audio_steps"].settings == {"noise": "white", "noise_db": 10.0, "max_seconds": 0.5}
    assert create("mfcc", {"noise": "babble"}).recipes()["speech"].settings == {"noise": "babble"}


def test_settings_are_checked():
    with pytest.raises(UnknownNameError, match="mfcc noise 'pink'; allowed: babble, none, white"):
        create("mfcc", {"noise": "pink"})
    with pytest.raises(BadInputError, match="say nothing without noise=white"):
        create("mfcc", {"noise_db": "3"})
    with pytest.raises(BadInputError, match="noise_db=inf"):
        create("mfcc", {"noise": "white", "noise_db": "inf"})
