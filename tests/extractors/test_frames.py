"""Frames at given times, against the numbers that the pictures carry."""

import numpy as np
import pytest

from extractors.frames import frames_at
from extractors.media import MissingMedia, NoVideoTrack
from tests.extractors.conftest import tone
from tests.extractors.numbered_video import number_of, write_video


def test_each_time_once_and_in_order(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 50)
    frames = frames_at(path, None, None, [2.5, 0.5, 0.6, 2.5, 60.0])
    assert [(frame.time_s, number_of(frame.image)) for frame in frames] == [(0.5, 5), (0.6, 6), (2.5, 25)]


def test_times_as_they_are_stored(tmp_path):
    # A stored time is a float32: 0.7 comes back as 0.69999999, which is before the picture of 0.7 s.
    path = write_video(tmp_path / "clip.mp4", 50)
    times = np.arange(1, 40, dtype=np.float32) / np.float32(10)
    assert [number_of(frame.image) for frame in frames_at(path, None, None, times)] == list(range(1, 40))


def test_within_a_span(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 100)
    frames = frames_at(path, 5.0, 8.0, [0.5, 2.5])
    assert [(frame.time_s, number_of(frame.image)) for frame in frames] == [(0.5, 55), (2.5, 75)]


def test_one_pass_and_one_open(tmp_path, monkeypatch):
    import av

    path = write_video(tmp_path / "clip.mp4", 100)
    opened: list[str] = []
    original = av.open
    monkeypatch.setattr(av, "open", lambda uri, **rest: (opened.append(uri), original(uri, **rest))[1])
    assert len(frames_at(path, None, None, [0.5 + n for n in range(9)])) == 9
    assert opened == [path]


def test_what_has_no_frames_says_why(tmp_path, write_wav):
    with pytest.raises(MissingMedia, match="no such file"):
        frames_at(str(tmp_path / "gone.mp4"), None, None, [0.5])
    with pytest.raises(NoVideoTrack, match="has no video track"):
        frames_at(write_wav(tone(440, 1.0)), None, None, [0.5])
