"""Which picture is shown at a time, upright and in RGB: pictures carry their numbers."""

import av
import numpy as np
import pytest

from extractors.clip import decode_clip
from extractors.frames import frames_at
from extractors.protocol import Frame
from extractors.sampling import frame_times
from tests.extractors.conftest import tone
from tests.extractors.eye import Eye, fault, seen
from tests.extractors.numbered_video import number_of, picture, write_video


def test_one_frame_a_second_from_half_a_second(tmp_path):
    path = write_video(tmp_path / "clip.mp4", 34, sound=tone(440, 3.4)[None])
    assert seen(path) == ((0.5, 5), (1.5, 15), (2.5, 25))


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


def test_305_seconds_in_one_utterance(tmp_path):
    # MELD's test dia38_utt4 is an utterance cut wrongly, 305 s long: long, and no fault.
    found = seen(write_video(tmp_path / "clip.mp4", 610, 2, size=(96, 64)))
    assert len(found) == 305
    assert found[-1] == (304.5, 609)


@pytest.mark.parametrize("options", [{}, {"live": "1"}])
def test_hours_in_one_utterance_are_refused(tmp_path, monkeypatch, options):
    monkeypatch.setattr("extractors.pictures.LONGEST_S", 3.0)
    path = write_video(tmp_path / "clip.mkv", 40, options=options)
    assert (fault(path).error, seen(path, 1.0, 2.0)) == ("TooLong", ((0.5, 15),))


@pytest.mark.parametrize("name", ["still.jpg", "still.png", "still.tiff", "still.bmp", "png_called.jpg"])
@pytest.mark.parametrize("size", [(48, 48), (160, 96)])
def test_a_still_image_is_one_frame(tmp_path, name, size):
    from PIL import Image

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

    (frame,) = frames_at(str(path), None, None, [0.0])
    wanted = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    assert frame.image.shape == (48, 48, 3)
    np.testing.assert_allclose(frame.image.astype(int), wanted.astype(int), atol=2)


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
