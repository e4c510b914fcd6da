"""Decoding ahead: in order, bounded, and ended when nobody wants more."""

import threading
import time

import numpy as np
import pytest

from extractors.clip import Clip
from extractors.decoding import ClipRequest, clip_bytes, decode_ahead
from extractors.sound import Sound


def requests(count: int) -> list[ClipRequest]:
    return [ClipRequest(f"c/{n}", f"{n}.wav", None, None, True, ()) for n in range(count)]


@pytest.fixture
def planted(monkeypatch):
    """Decodes are 100 bytes of sound each; what was asked for is written down."""
    asked: list[str] = []

    def decode(uri, start, end, **rest):
        asked.append(uri)
        return Clip(Sound(np.zeros(25, np.float32)), [], {})

    monkeypatch.setattr("extractors.decoding.decode_clip", decode)
    return asked


def settled(asked: list[str]) -> int:
    before = -1
    while len(asked) != before:
        before = len(asked)
        time.sleep(0.1)
    return before


def test_in_the_order_of_the_requests(planted):
    assert [request.utterance_id for request, _ in decode_ahead(requests(50), 3, 10_000)] == [
        f"c/{n}" for n in range(50)
    ]
    assert sorted(planted) == sorted(f"{n}.wav" for n in range(50))


@pytest.mark.parametrize(("ahead_bytes", "wanted"), [(0, 2 + 8), (5_000, 2 + 50), (10**9, 2 + 128)])
def test_as_far_ahead_as_memory_allows(planted, ahead_bytes, wanted):
    clips = decode_ahead(requests(300), 2, ahead_bytes)
    next(clips)
    next(clips)
    assert abs(settled(planted) - wanted) <= 1
    clips.close()


def test_closing_ends_what_is_under_way(monkeypatch):
    begun, ended = threading.Event(), []

    def decode(uri, start, end, *, stop, **rest):
        if uri != "0.wav":
            begun.set()
            ended.append(stop.wait(60))
        return Clip(None, [], {})

    monkeypatch.setattr("extractors.decoding.decode_clip", decode)
    clips = decode_ahead(requests(3), 1, 0)
    next(clips)
    assert begun.wait(60)
    clips.close()
    assert ended == [True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_an_error_of_a_decode_is_that_clips_fault(monkeypatch):
    def decode(uri, start, end, **rest):
        raise MemoryError("planted")

    monkeypatch.setattr("extractors.decoding.decode_clip", decode)
    ((_, clip),) = decode_ahead(requests(1), 1, 0)
    assert (clip.sound.stage, clip.sound.error, clip.sound.facts["path"]) == (
        "decode",
        "MemoryError",
        "0.wav",
    )


def test_bytes_of_a_clip_are_those_of_its_sound_and_of_what_was_seen():
    clip = Clip(Sound(np.zeros(10, np.float32)), [(np.zeros(7, np.uint8),)], {})
    assert clip_bytes(clip) == 40 + 7
