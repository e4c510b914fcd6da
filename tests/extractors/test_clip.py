"""One decode of a clip: numbered pictures come at their times, sound beside them, and each bad file has its answer."""

import os
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from extractors.clip import decode_audio, decode_clip
from extractors.protocol import Frame
from extractors.sampling import frame_times
from extractors.sound import Sound
from feature_repo.outcome import Fault
from tests.extractors.conftest import RATE, tone
from tests.extractors.numbered_video import number_of, write_video


class Eye:
    """Reads the numbers of the pictures that it is shown."""

    def __init__(self, sampling: str = "seconds") -> None:
        self.sampling = sampling
        self.chunks: list[int] = []

    def look(self, frames: Sequence[Frame]) -> list[tuple[float, int]]:
        self.chunks.append(len(frames))
        return [(frame.time_s, number_of(frame.image)) for frame in frames]


class BadEye(Eye):
    def look(self, frames: Sequence[Frame]) -> list[tuple[float, int]]:
        raise ArithmeticError("planted")


def seen(path: str, start: float | None = None, end: float | None = None, sampling: str = "seconds"):
    (found,) = decode_clip(path, start, end, sound=False, watchers=[Eye(sampling)]).seen
    return found


def fault(path: str, start: float | None = None, end: float | None = None) -> Fault:
    found = seen(path, start, end)
    assert isinstance(found, Fault), found
    return found


def test_one_frame_a_second_from_half_a_second(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 34, sound=tone(440, 3.4)[None])
    assert seen(path) == ((0.5, 5), (1.5, 15), (2.5, 25))


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


def test_a_variable_frame_rate_goes_by_presentation_time(tmp_path):
    times = [0.0, 0.1, 0.49, 0.52, 1.5, 1.6, 4.0, 4.1, 4.2]
    path = write_video(tmp_path / "clip.mkv", len(times), times=times)
    # At 2.5 and 3.5 the picture of 1.6 s is still on screen; that of 1.5 s comes at its very time.
    assert seen(path)[:4] == ((0.5, 2), (1.5, 4), (2.5, 5), (3.5, 5))


@pytest.mark.parametrize(("frames", "rate"), [(2, 10), (4, 10), (1, 10), (12, 30)])
def test_what_is_shorter_than_half_a_second_gives_its_middle(tmp_path, frames, rate):
    path = write_video(tmp_path / "clip.mp4", frames, rate)
    ((time, number),) = seen(path)
    assert time == pytest.approx(frames / rate / 2)
    assert number == frames // 2


@pytest.mark.parametrize(("frames", "wanted"), [(4, [(0.2, 2)]), (33, [(0.5, 5), (1.5, 15), (2.5, 25)])])
def test_a_length_that_nobody_states(tmp_path, frames, wanted):
    path = write_video(tmp_path / "clip.mkv", frames, options={"live": "1"})
    with av.open(path) as container:
        assert container.duration is None
        assert container.streams.video[0].duration is None
    assert list(seen(path)) == wanted
    around = seen(path, sampling="offsets")
    assert [time for time, _ in around] == pytest.approx(frame_times(frames / 10, "offsets"))


def test_offsets_within_a_short_clip(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 3)  # 0.3 s: its middle is 0.15 s
    assert seen(path, sampling="offsets") == ((0.05, 0), (0.25, 2))


@pytest.mark.parametrize("rotation", [90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_rotated_video_is_upright(tmp_path, rotation, mirrored):
    path = write_video(tmp_path / "clip.mp4", 10, rotation=rotation, mirrored=mirrored)
    images: list[np.ndarray] = []

    class Keep(Eye):
        def look(self, frames):
            images.extend(frame.image for frame in frames)
            return list(frames)

    decode_clip(path, sound=False, watchers=[Keep()])
    with av.open(path) as container:
        stored = list(container.decode(video=0))[5].to_ndarray(format="rgb24")
    wanted = np.rot90(stored, rotation // 90)
    np.testing.assert_array_equal(images[0], wanted[:, ::-1] if mirrored else wanted)


def test_frames_are_handed_over_in_small_chunks(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 300)
    eye = Eye()
    (found,) = decode_clip(path, sound=False, watchers=[eye]).seen
    assert [number for _, number in found] == list(range(5, 300, 10))
    assert eye.chunks == [8, 8, 8, 6]


def test_only_sampled_frames_are_converted(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", 60)
    converted: list[object] = []
    from extractors import pictures

    original = pictures.upright
    monkeypatch.setattr(pictures, "upright", lambda frame: (converted.append(frame.pts), original(frame))[1])
    decode_clip(path, sound=False, watchers=[Eye(), Eye()])
    assert len(converted) == 6


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


def test_305_seconds_in_one_utterance(tmp_path):
    # MELD's test dia38_utt4 is an utterance cut wrongly, 305 s long: long, and no fault.
    found = seen(write_video(tmp_path / "clip.mp4", 610, 2, size=(96, 64)))
    assert len(found) == 305
    assert found[-1] == (304.5, 609)


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
    # With sound it grows by that, 230 MB at 16 kHz.
    resident.clear()
    clip = decode_clip(path, watchers=[Weigh()])
    assert clip.sound.samples.nbytes == 3600 * RATE * 4
    assert max(resident) - resident[0] < clip.sound.samples.nbytes + 30e6


def test_hours_in_one_utterance_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("extractors.pictures.LONGEST_S", 3.0)
    path = write_video(tmp_path / "clip.mp4", 40)
    assert (fault(path).error, seen(path, 1.0, 2.0)) == ("TooLong", ((0.5, 15),))


@pytest.mark.parametrize("name", ["still.jpg", "still.png", "still.tiff", "still.bmp", "png_called.jpg"])
@pytest.mark.parametrize("size", [(48, 48), (160, 96)])
def test_a_still_image_is_one_frame(tmp_path, name, size):
    from PIL import Image

    from tests.extractors.numbered_video import picture

    path = str(tmp_path / name)
    Image.fromarray(picture(1234, *size)).save(path, "PNG" if "png" in name else None)
    frames: list[Frame] = []

    class Keep(Eye):
        def look(self, shown):
            frames.extend(shown)
            return [number_of(frame.image) for frame in shown]

    clip = decode_clip(path, watchers=[Keep(), Eye("offsets")])
    assert clip.seen == [(1234,), ()]
    assert clip.sound.error == "NoAudioTrack"
    (frame,) = frames
    assert (frame.time_s, frame.still, frame.image.shape) == (0.0, True, (size[1], size[0], 3))
    # Red is red: the order of the channels, to what a JPEG keeps of it.
    assert frame.image[4, 4] == pytest.approx([220, 0, 0], abs=40)


def test_a_photo_is_turned_as_its_exif_data_says(tmp_path):
    from PIL import Image, ImageOps

    from extractors.frames import frames_at
    from tests.extractors.numbered_video import picture

    for orientation in (1, 3, 6, 8):
        path = tmp_path / f"{orientation}.png"
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(picture(77)).save(path, exif=exif)
        wanted = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        (frame,) = frames_at(str(path), None, None, [])
        np.testing.assert_array_equal(frame.image, wanted)


def test_a_grey_photo_of_fer2013(samples):
    folder = samples / "data" / "fer2013" / "test" / "happy"
    path = sorted(folder.iterdir())[0]
    import cv2

    from extractors.frames import frames_at

    (frame,) = frames_at(str(path), None, None, [0.0])
    wanted = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert frame.image.shape == (48, 48, 3)
    np.testing.assert_allclose(frame.image.astype(int), wanted.astype(int), atol=2)


def test_an_end_that_is_asked_for_ends_the_decode(tmp_path):
    import threading

    stop = threading.Event()
    stop.set()
    path = write_video(tmp_path / "clip.mp4", 20, sound=tone(440, 2.0)[None])
    clip = decode_clip(path, watchers=[Eye()], stop=stop)
    assert [clip.sound.error, clip.seen[0].error] == ["InterruptedError"] * 2


def test_real_clips_against_every_frame_decoded(samples):
    clips = samples / "data" / "clips"
    for name in ("d12.mp4", "face_noface.mov", "single_face.mp4", "WDA_KatieHill_000.mp4"):
        images: list[Frame] = []

        class Keep(Eye):
            def look(self, shown, kept=images):
                kept.extend(shown)
                return list(shown)

        decode_clip(str(clips / name), sound=False, watchers=[Keep()])
        with av.open(str(clips / name)) as container:
            frames = {float(frame.time): frame for frame in container.decode(video=0)}
        last = max(frames)
        assert [frame.time_s for frame in images] == [0.5 + n for n in range(int(last + 0.5))]
        for frame in images:
            shown = frames[max(time for time in frames if time <= frame.time_s + 1e-6)]
            np.testing.assert_array_equal(frame.image, shown.to_ndarray(format="rgb24"))
