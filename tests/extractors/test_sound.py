"""Decoding: planted sounds come back, and each kind of bad file gives its own answer."""

from pathlib import Path

import av
import numpy as np
import pytest

from extractors.clip import decode_audio
from extractors.media import (
    EmptyAudio,
    EmptyFile,
    MissingMedia,
    NoAudioTrack,
    NotFinite,
    TooLong,
    TruncatedMedia,
    Undecodable,
)
from extractors.sound import is_silent
from tests.extractors.conftest import RATE, tone


def strongest_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / RATE)[spectrum.argmax()])


def encode(path: Path, samples: np.ndarray | None, rate: int = 44_100, frames: int = 0) -> str:
    """An mp4 with AAC sound ``[channels, n]``, a picture track, or both."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10) if frames else None
        if picture is not None:
            picture.width = picture.height = 32
        if samples is not None:
            layout = "stereo" if len(samples) == 2 else "mono"
            stream = container.add_stream("aac", rate=rate, layout=layout)
            for start in range(0, samples.shape[1], 1024):
                block = np.ascontiguousarray(samples[:, start : start + 1024], np.float32)
                frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
                frame.sample_rate, frame.pts = rate, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if picture is not None:
            for _ in range(frames):
                still = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                container.mux(picture.encode(still))
            container.mux(picture.encode(None))
    return str(path)


def test_samples_at_16_khz_come_back_as_they_are(write_wav):
    samples = np.round(tone(440, 0.5) * 32767) / 32767
    sound = decode_audio(write_wav(samples))
    np.testing.assert_allclose(sound.samples, samples * 32767 / 32768, atol=1e-6)
    assert sound.samples.dtype == np.float32
    assert sound.facts["channels"] == 1
    assert sound.facts["rate"] == RATE


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_a_tone_in_place_and_at_its_level(write_wav, rate):
    sound = decode_audio(write_wav(tone(1000, 1.0, rate), rate)).samples
    assert len(sound) == pytest.approx(RATE, abs=2)
    middle = slice(2000, 14000)
    np.testing.assert_allclose(sound[middle], tone(1000, 1.0)[: len(sound)][middle], atol=2e-3)


def test_eight_bit_and_float_files_have_the_same_scale(write_wav):
    samples = tone(440, 0.25)
    for kind, tolerance in (("uint8", 0.01), ("float32", 1e-7)):
        np.testing.assert_allclose(
            decode_audio(write_wav(samples, kind=kind)).samples, samples, atol=tolerance
        )


def test_of_six_channels_the_centre_is_taken_before_any_downmix(write_wav):
    channels = np.stack(
        [tone(300 + 200 * index, 1.0, peak=0.1 if index == 2 else 0.9) for index in range(6)], 1
    )
    sound = decode_audio(write_wav(channels)).samples
    np.testing.assert_allclose(sound, channels[:, 2], atol=1e-4)


@pytest.mark.parametrize("louder", [0, 1])
def test_of_two_channels_the_one_with_more_energy_is_taken(write_wav, louder):
    peaks = [0.2, 0.2]
    peaks[louder] = 0.4
    channels = np.stack([tone(300, 1.0, 44_100, peaks[0]), tone(900, 1.0, 44_100, peaks[1])], 1)
    sound = decode_audio(write_wav(channels, 44_100)).samples
    assert strongest_hz(sound) == pytest.approx((300, 900)[louder], abs=5)
    assert np.abs(sound[1000:-1000]).max() == pytest.approx(0.4, abs=0.01)


def test_of_other_counts_the_mean_is_taken(write_wav):
    channels = np.stack([np.full(1600, value, np.float32) for value in (0.1, 0.2, 0.6)], 1)
    np.testing.assert_allclose(decode_audio(write_wav(channels)).samples, 0.3, atol=1e-3)


def test_a_span_of_a_wav_is_exact(write_wav):
    ramp = np.linspace(-0.9, 0.9, 5 * RATE, dtype=np.float32)
    path = write_wav(ramp)
    for start, end in ((0.0, 1.0), (0.25, 0.75), (3.1, 4.7), (4.0, None)):
        part = decode_audio(path, start, end).samples
        wanted = ramp[round(start * RATE) : None if end is None else round(end * RATE)]
        np.testing.assert_allclose(part, wanted, atol=1e-4)


def test_a_span_of_compressed_sound_equals_the_same_samples_of_the_whole(tmp_path, voice):
    path = encode(tmp_path / "clip.mp4", voice(4.0)[None], RATE)
    whole = decode_audio(path).samples
    part = decode_audio(path, 2.0, 3.0).samples
    np.testing.assert_allclose(part, whole[2 * RATE : 3 * RATE], atol=1e-5)


def test_the_sound_of_a_video_is_found(tmp_path):
    path = encode(tmp_path / "clip.mp4", tone(700, 2.0, 44_100)[None], 44_100, frames=20)
    sound = decode_audio(path)
    assert strongest_hz(sound.samples) == pytest.approx(700, abs=5)
    assert sound.facts["decoded_s"] == pytest.approx(2.0, abs=0.1)


def test_a_file_url_is_a_path(write_wav):
    path = write_wav(tone(440, 0.2))
    np.testing.assert_array_equal(decode_audio(f"file://{path}").samples, decode_audio(path).samples)


def test_missing_file(tmp_path):
    with pytest.raises(MissingMedia, match=r"gone\.wav: no such file") as caught:
        decode_audio(str(tmp_path / "gone.wav"))
    fault = caught.value.fault()
    assert (fault.stage, fault.error) == ("media", "MissingMedia")
    assert str(fault.facts["path"]).endswith("gone.wav")


def test_empty_file(tmp_path):
    path = tmp_path / "empty.wav"
    path.touch()
    with pytest.raises(EmptyFile, match="the file is empty"):
        decode_audio(str(path))


def test_header_without_samples(write_wav):
    with pytest.raises((EmptyAudio, Undecodable), match=r"sound\.wav"):
        decode_audio(write_wav(np.empty(0, np.float32)))


def test_not_media(tmp_path):
    path = tmp_path / "notes.wav"
    path.write_text("this is not a sound\n" * 50)
    with pytest.raises(Undecodable, match="not a readable audio or video file"):
        decode_audio(str(path))


def test_truncated_wav(write_wav):
    samples = tone(440, 1.0)
    with pytest.raises(TruncatedMedia, match=r"announces 3\.00 s, decoding ended at 1\.00 s") as caught:
        decode_audio(write_wav(samples, data_size=2 * 3 * RATE))
    assert caught.value.fault().stage == "decode"


def test_a_truncated_wav_still_gives_a_span_that_is_there(write_wav):
    path = write_wav(tone(440, 1.0), data_size=2 * 3 * RATE)
    assert len(decode_audio(path, 0.2, 0.7).samples) == RATE // 2


def test_a_streamed_wav_announces_nothing(write_wav):
    assert len(decode_audio(write_wav(tone(440, 1.0), data_size=0xFFFFFFFF)).samples) == RATE


def test_truncated_video(tmp_path, voice):
    whole = Path(encode(tmp_path / "clip.mp4", voice(3.0)[None], RATE)).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Undecodable, match=r"cut\.mp4"):
        decode_audio(str(cut))


def test_header_of_0_hz(write_wav):
    with pytest.raises(Undecodable, match=r"sound\.wav"):
        decode_audio(write_wav(tone(440, 0.2), 0))


def test_nan_samples(write_wav):
    samples = tone(440, 0.5)
    samples[5000] = np.nan
    with pytest.raises(NotFinite, match=r"NaN or infinite samples"):
        decode_audio(write_wav(samples, kind="float32"))


def test_no_audio_track(tmp_path):
    path = encode(tmp_path / "mute.mp4", None, frames=5)
    with pytest.raises(NoAudioTrack, match="has no audio track"):
        decode_audio(path)


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (0.7, 0.2), (9.0, 10.0), (9.0, None)])
def test_a_span_without_sound(write_wav, start, end):
    with pytest.raises(EmptyAudio):
        decode_audio(write_wav(tone(440, 1.0)), start, end)


def test_an_hour_in_one_utterance_is_refused(write_wav, monkeypatch):
    monkeypatch.setattr("extractors.sound.LONGEST_S", 1.0)
    with pytest.raises(TooLong, match="give its span"):
        decode_audio(write_wav(tone(440, 2.0)))


def test_silence_is_below_80_db():
    assert is_silent(np.zeros(100, np.float32))
    assert is_silent(np.full(100, 0.9e-4, np.float32))
    assert not is_silent(np.full(100, 1.1e-4, np.float32))


def test_memory_holds_the_result_and_not_the_source(write_wav):
    # A minute of 6 channels at 96 kHz is 138 MB as float32; the answer is 4 MB.
    import tracemalloc

    channels = np.zeros((60 * 96_000, 6), np.float32)
    channels[:, 2] = tone(440, 60.0, 96_000)
    path = write_wav(channels, 96_000)
    del channels
    tracemalloc.start()
    sound = decode_audio(path).samples
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(sound) == pytest.approx(60 * RATE, abs=4)
    assert peak < 20e6


def test_real_clips(samples: Path):
    clips = samples / "data" / "clips"
    with pytest.raises(NoAudioTrack):
        decode_audio(str(clips / "d0.mp4"))
    sound = decode_audio(str(clips / "single_face.mp4"))
    with av.open(str(clips / "single_face.mp4")) as container:
        assert len(sound.samples) / RATE == pytest.approx(float(container.duration) / 1e6, abs=0.1)
    assert not is_silent(sound.samples)
