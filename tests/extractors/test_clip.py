"""One decode of a clip: everybody has what they asked for, and fails alone."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from extractors.clip import decode_audio, decode_clip
from extractors.protocol import Frame
from extractors.sound import Sound
from tests.extractors.conftest import RATE, tone
from tests.extractors.eye import Eye, seen
from tests.extractors.numbered_video import write_video


class BadEye(Eye):
    def look(self, frames: Sequence[Frame]) -> list[tuple[float, int]]:
        raise ArithmeticError("planted")


def test_sound_and_frames_of_one_decode_are_those_of_two(tmp_path, voice, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", 40, sound=voice(4.0)[None])
    alone, pictures = decode_audio(path), seen(path)
    opened: list[str] = []
    original = av.open
    monkeypatch.setattr(
        av, "open", lambda source, **rest: (opened.append(source), original(source, **rest))[1]
    )
    clip = decode_clip(path, watchers=[Eye(), Eye("offsets")])
    assert opened == [path]
    assert isinstance(clip.sound, Sound)
    np.testing.assert_array_equal(clip.sound.samples, alone.samples)
    assert clip.seen[0] == pictures
    assert [round(time, 3) for time, _ in clip.seen[1]][:9] == [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.1]
    assert [number for _, number in clip.seen[1]][:9] == [1, 2, 3, 4, 6, 7, 8, 9, 11]
    assert {key: clip.facts[key] for key in ("path", "channels", "channel", "rate", "width", "height")} == {
        "path": path, "channels": 1, "channel": -1, "rate": RATE, "width": 160, "height": 96,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.mp4", {}),
        ("clip.mp4", {"b_frames": 2, "codec": "libx264"}),
        ("clip.mkv", {}),
        ("clip.avi", {"sound_codec": "pcm_s16le"}),
        ("clip.webm", {"codec": "libvpx", "sound_codec": "libopus", "sound_rate": 48_000}),
    ],
)
def test_spans_within_a_long_file(tmp_path, voice, name, options):
    # Keyframes come every 1.2 s: none of the spans begins at one.
    sound = np.repeat(voice(20.0)[None], options.get("sound_rate", RATE) // RATE, axis=1)
    path = write_video(tmp_path / name, 200, sound=sound, **options)
    for start, end, numbers in ((0.3, 2.1, [8, 18]), (7.1, 10.3, [76, 86, 96]), (18.0, 19.9, [185, 195])):
        clip = decode_clip(path, start, end, watchers=[Eye()])
        assert [number for _, number in clip.seen[0]] == numbers
        assert isinstance(clip.sound, Sound)
        alone = decode_audio(path, start, end).samples
        np.testing.assert_allclose(clip.sound.samples, alone, atol=1e-6)
        assert len(alone) / RATE == pytest.approx(end - start, abs=0.02)


def test_a_span_of_a_stream_without_an_index(tmp_path):
    path = write_video(tmp_path / "clip.ts", 750, 25, codec="mpeg2video", sound=tone(440, 30.0)[None])
    numbers = [number for _, number in seen(path, 20.0, 23.0)]
    # Its pictures begin a few frames after its sound, which is where the file begins.
    assert numbers == pytest.approx([20.5 * 25, 21.5 * 25, 22.5 * 25], abs=4)
    assert numbers[1] - numbers[0] == 25


def test_who_fails_to_look_fails_alone(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 300, sound=tone(440, 30.0)[None])
    clip = decode_clip(path, watchers=[BadEye(), Eye()])
    assert isinstance(clip.sound, Sound)
    assert len(clip.seen[1]) == 30
    bad = clip.seen[0]
    assert (bad.stage, bad.error, bad.message, bad.facts["path"]) == (
        "extract",
        "ArithmeticError",
        "planted",
        path,
    )


def test_a_watcher_that_loses_count_is_at_fault(tmp_path):
    eye = Eye()
    eye.look = lambda frames: []  # type: ignore[method-assign]
    (found,) = decode_clip(write_video(tmp_path / "clip.mp4", 10), sound=False, watchers=[eye]).seen
    assert "0 entries came back for 1 frames" in found.message


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="resident memory is read from /proc")
def test_an_hour_takes_the_memory_of_its_sound(tmp_path):
    sound = np.zeros((1, 3600 * 8000), np.float32)
    sound[0, ::80] = 0.3
    size = {"size": (160, 90), "sound": sound, "sound_rate": 8000, "sound_codec": "pcm_s16le"}
    path = write_video(tmp_path / "hour.mkv", 3600 * 5, 5, **size)
    del sound, size
    resident: list[int] = []

    class Weigh(Eye):
        def look(self, frames: Sequence[Frame]) -> list[tuple[float, int]]:
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"))
            return super().look(frames)

    # Without sound memory stays level: all frames together would be 156 MB as RGB.
    decode_clip(path, 0.0, 300.0, watchers=[Weigh()])
    resident.clear()
    (found,) = decode_clip(path, sound=False, watchers=[Weigh()]).seen
    assert [time for time, _ in found] == [0.5 + second for second in range(3600)]
    assert max(resident) - resident[0] < 20e6
    # With sound it grows by that, 230 MB at 16 kHz, and by what malloc keeps of its first 32 MB when it moves them.
    resident.clear()
    clip = decode_clip(path, watchers=[Weigh()])
    assert clip.sound.samples.nbytes == 3600 * RATE * 4
    assert max(resident) - resident[0] < clip.sound.samples.nbytes + 60e6


def test_an_end_that_is_asked_for_ends_the_decode(tmp_path):

    stop = threading.Event()
    stop.set()
    path = write_video(tmp_path / "clip.mp4", 20, sound=tone(440, 2.0)[None])
    clip = decode_clip(path, watchers=[Eye()], stop=stop)
    assert [clip.sound.error, clip.seen[0].error] == ["InterruptedError"] * 2
