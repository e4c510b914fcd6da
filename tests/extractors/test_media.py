"""Bad files: each has its own answer, and spoils no more than it must."""

from pathlib import Path

import av
import numpy as np
import pytest

from extractors.clip import decode_clip
from tests.extractors.conftest import RATE, tone
from tests.extractors.eye import Eye, fault, seen
from tests.extractors.numbered_video import write_video


def test_no_audio_track_spoils_no_frames(tmp_path):
    clip = decode_clip(write_video(tmp_path / "mute.mp4", 20), watchers=[Eye()])
    assert (clip.sound.stage, clip.sound.error) == ("media", "NoAudioTrack")
    assert clip.seen == [((0.5, 5), (1.5, 15))]


def test_no_video_track_spoils_no_sound(write_wav):
    clip = decode_clip(write_wav(tone(440, 1.0)), watchers=[Eye()])
    assert len(clip.sound.samples) == RATE
    assert (clip.seen[0].stage, clip.seen[0].error) == ("media", "NoVideoTrack")


def test_the_cover_of_a_song_is_no_video(tmp_path):
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        samples = tone(440, 2.0)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        container.mux(
            cover.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24"))
        )
        container.mux(cover.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    clip = decode_clip(str(path), watchers=[Eye()])
    assert clip.seen[0].error == "NoVideoTrack"
    assert "but a cover picture" in clip.seen[0].message
    assert len(clip.sound.samples) == pytest.approx(2 * RATE, abs=2048)


def test_a_truncated_video(tmp_path, voice):
    path = tmp_path / "clip.mp4"
    whole = write_video(tmp_path / "whole.mp4", 100, sound=voice(10.0)[None])
    # The index comes first, so that the beginning of what is left can be decoded.
    first = {"movflags": "faststart"}
    with av.open(whole) as source, av.open(str(path), "w", options=first) as target:
        streams = {each.index: target.add_stream_from_template(each) for each in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    found = fault(str(path))
    assert found.stage == "decode"
    assert found.error in ("TruncatedMedia", "Undecodable")
    assert "clip.mp4" in found.message
    # A span that is there is given.
    assert seen(str(path), 1.0, 3.0) == ((0.5, 15), (1.5, 25))


def test_a_video_without_its_index(tmp_path):
    path = Path(write_video(tmp_path / "clip.mp4", 50, sound=tone(440, 5.0)[None]))
    path.write_bytes(path.read_bytes()[:-3000])
    clip = decode_clip(str(path), watchers=[Eye()])
    assert clip.sound.error == clip.seen[0].error == "Undecodable"


def test_a_wrong_extension_is_no_hindrance(tmp_path):
    Path(write_video(tmp_path / "clip.mp4", 20)).rename(tmp_path / "clip.wav")
    assert seen(str(tmp_path / "clip.wav")) == ((0.5, 5), (1.5, 15))
    (tmp_path / "notes.mp4").write_text("no video\n" * 50)
    assert fault(str(tmp_path / "notes.mp4")).error == "Undecodable"


def test_zero_frames(tmp_path):
    # A picture track is announced and holds nothing.
    path = write_video(tmp_path / "clip.mkv", 0, sound=tone(440, 2.0)[None])
    clip = decode_clip(path, watchers=[Eye()])
    assert (clip.seen[0].stage, clip.seen[0].error) == ("media", "NoFrames")
    assert len(clip.sound.samples) == pytest.approx(2 * RATE, abs=1100)


def test_a_span_beyond_the_end(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 50, sound=tone(440, 5.0)[None])
    assert seen(path, 3.0, 60.0) == ((0.5, 35), (1.5, 45))
    clip = decode_clip(path, 7.0, 9.0, watchers=[Eye()])
    assert (clip.sound.error, clip.seen[0].error) == ("EmptyAudio", "NoFrames")
    assert "ends at 5.00 s, the span begins at 7.0 s" in clip.seen[0].message
    assert fault(path, 2.0, 2.0).message.endswith("the span 2.0 s to 2.0 s is empty")


def test_missing_and_empty_files_fail_for_everybody(tmp_path):
    (tmp_path / "empty.mp4").touch()
    for name, error in (("gone.mp4", "MissingMedia"), ("empty.mp4", "EmptyFile")):
        clip = decode_clip(str(tmp_path / name), watchers=[Eye(), Eye("offsets")])
        assert [clip.sound.error, *(each.error for each in clip.seen)] == [error] * 3
        assert clip.sound.facts["path"].endswith(name)


def test_a_damaged_picture_spoils_no_sound(tmp_path):
    # What follows it is drawn from it: better no frames than wrong ones.
    path = Path(write_video(tmp_path / "clip.mp4", 50, sound=tone(440, 5.0)[None]))
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    place, size = packets[20]
    data[place : place + size] = bytes(size)
    path.write_bytes(data)
    clip = decode_clip(str(path), watchers=[Eye()])
    assert (clip.seen[0].stage, clip.seen[0].error) == ("decode", "Undecodable")
    assert len(clip.sound.samples) == pytest.approx(5 * RATE, abs=1100)
