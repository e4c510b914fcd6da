"""The policy for unusable media, through the one extractor of sound that needs no model."""

import numpy as np
import pytest

from extractors.media import MissingMedia, NoAudioTrack
from extractors.protocol import Item
from extractors.registry import create
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.outcome import Fault, Features

SILENT = Item("c/silent", audio=np.zeros(16_000, np.float32))
SHORT = Item("c/short", audio=np.ones(100, np.float32))


def mfcc(**settings: str):
    made = create("mfcc", settings)
    made.load("cpu")
    return made


def test_dropped_are_silent_and_short_sounds():
    silent, short = mfcc().extract([SILENT, SHORT])
    assert isinstance(silent, Fault)
    assert (silent.stage, silent.error) == ("media", "SilentAudio")
    assert "c/silent: silent" in silent.message
    assert isinstance(short, Fault)
    assert (short.stage, short.error) == ("media", "TooShort")
    assert "0.006 s of sound, mfcc needs 0.128 s" in short.message


def test_marked_silence_is_a_nothing_with_its_reason(voice):
    outcomes = mfcc(unusable="silence").extract([SILENT, Item("c/voice", audio=voice(1.0)), SHORT])
    assert outcomes[0] == {"speech": Features(None, "silence: c/silent: silent, no sample above -80 dBFS")}
    assert outcomes[1]["speech"].value.shape == (160,)
    assert outcomes[2]["speech"].note.startswith("silence: c/short")


def test_media_that_give_no_sound_follow_the_policy_but_a_missing_file_is_a_fault():
    mute, gone = (
        NoAudioTrack("a.mp4: has no audio track").fault(),
        MissingMedia("b.mp4: no such file").fault(),
    )
    assert mfcc().without_media(mute) is mute
    told = mfcc(unusable="silence")
    assert told.without_media(mute) == {"speech": Features(None, "silence: a.mp4: has no audio track")}
    assert told.without_media(gone) is gone


def test_the_policy_and_the_limit_are_identity():
    plain = create("mfcc").recipes()["speech"]
    assert plain.settings == {}
    assert create("mfcc", {"unusable": "silence"}).recipes()["speech"].settings == {"unusable": "silence"}
    assert create("mfcc", {"max_seconds": "15"}).recipes()["speech"].settings == {"max_seconds": 15.0}
    assert create("mfcc", {"batch_size": "3"}).recipes()["speech"].fingerprint == plain.fingerprint


def test_a_new_decoder_is_another_recipe(monkeypatch):
    before = create("mfcc").recipes()["speech"].fingerprint
    monkeypatch.setattr("extractors.audio_extractor.DECODE_VERSION", 2)
    assert create("mfcc").recipes()["speech"].fingerprint != before


def test_only_the_first_seconds_are_read(voice):
    sound = voice(3.0)
    longer = np.concatenate([sound[:16_000], voice(5.0, 9)])
    limited = mfcc(max_seconds="1")
    first, second = limited.extract([Item("c/0", audio=sound), Item("c/1", audio=longer)])
    np.testing.assert_array_equal(first["speech"].value, second["speech"].value)
    assert limited.cost(Item("c/0", audio=sound)) == 1.0
    assert create("mfcc").cost(Item("c/0", audio=sound)) == 3.0


def test_unknown_policies_and_negative_limits_are_refused():
    with pytest.raises(UnknownNameError, match="allowed: drop, silence"):
        create("mfcc", {"unusable": "keep"})
    with pytest.raises(BadInputError, match="max_seconds"):
        create("mfcc", {"max_seconds": "-1"})
