"""The runner over clips: one decode for ears and eyes, and windows that are bounded."""

import numpy as np
import polars as pl
import pytest

from extractors.runner import Runner
from feature_repo.outcome import Fault
from tests.extractors.conftest import wav_bytes
from tests.extractors.numbered_video import write_video
from tests.extractors.planted_extractors import Planted, PlantedEye, manifest, opened, results, view


@pytest.fixture
def clips(tmp_path) -> pl.DataFrame:
    """Clips of 2, 3 and 4 s, one without sound, a sound without pictures, and one that is not there."""
    rows = {}
    for place, (seconds, heard) in enumerate([(2, True), (3, True), (4, False)]):
        sound = np.full((1, seconds * 16_000), 0.25, np.float32) if heard else None
        path = write_video(tmp_path / f"{place}.mp4", seconds * 10, sound=sound)
        rows[f"c/{place}"] = {"media_uri": path, "media_size": 1000 - place}
    rows["c/sound"] = {"media_uri": str(tmp_path / "sound.wav"), "media_size": 10}
    (tmp_path / "sound.wav").write_bytes(wav_bytes(np.full(16_000, 0.25, np.float32)))
    rows["c/gone"] = {"media_uri": str(tmp_path / "gone.mp4"), "media_size": 5}
    return manifest(rows)


def test_sound_frames_and_a_second_ear_share_one_decode(clips, monkeypatch):
    ear, eye, asr = Planted("pa", "audio", "speaker"), PlantedEye("eye"), Planted("pb", "audio", "transcript")
    counts = opened(monkeypatch)
    ids = clips["utterance_id"].to_list()
    missing = {view(ear, "speaker"): ids, view(eye, "faces"): ids, view(asr, "transcript"): ids}
    found = results(Runner([ear, eye, asr], clips, decode_threads=2), missing)
    assert set(counts.values()) == {1}
    assert len(counts) == 4
    assert found[view(eye, "faces"), "c/1"].value.ravel().tolist() == [5, 15, 25]
    assert found[view(eye, "faces"), "c/2"].value.ravel().tolist() == [5, 15, 25, 35]
    errors = {
        (name[:4], key): outcome.error for (name, key), outcome in found.items() if isinstance(outcome, Fault)
    }
    assert errors == {
        ("spea", "c/2"): "NoAudioTrack", ("tran", "c/2"): "NoAudioTrack", ("face", "c/sound"): "NoVideoTrack",
        **{(kind, "c/gone"): "MissingMedia" for kind in ("spea", "tran", "face")},
    }  # fmt: skip
    assert all(thread.startswith("decode") for thread in eye.threads)
    assert eye.items["c/1"].facts["width"] == 160
    assert eye.batches[0] == ["c/2", "c/1", "c/0"]  # pooled over clips, the longest first


def test_who_lacks_what_decides_what_is_decoded(clips, monkeypatch):
    ear, eye, around = Planted("pa", "audio", "speaker"), PlantedEye("eye"), PlantedEye("eye", "offsets")
    asked: dict[str, tuple[bool, int]] = {}
    from extractors import decoding

    original = decoding.decode_clip

    def note(uri, start, end, *, sound, watchers, **rest):
        asked[uri[-5:]] = (sound, len(watchers))
        return original(uri, start, end, sound=sound, watchers=watchers, **rest)

    monkeypatch.setattr(decoding, "decode_clip", note)
    missing = {
        view(ear, "speaker"): ["c/0"],
        view(eye, "faces"): ["c/1", "c/2"],
        view(around, "offsets"): ["c/2"],
    }
    runner = Runner([ear, eye, around], clips)
    found = results(runner, missing)
    assert asked == {"0.mp4": (True, 0), "1.mp4": (False, 1), "2.mp4": (False, 2)}
    assert found[view(eye, "faces"), "c/2"].value.ravel().tolist() == [5, 15, 25, 35]
    assert found[view(around, "offsets"), "c/2"].value.ravel().tolist()[:5] == [1, 2, 3, 4, 6]
    assert (eye.loads, around.loads, runner.loaded) == (1, 1, ["pa", "eye", "eye"])


def test_a_fault_in_looking_hits_its_extractor_alone(clips):
    ear, bad, good = Planted("pa", "audio", "speaker"), PlantedEye("ea", bad=[25]), PlantedEye("eb")
    ids = ["c/0", "c/1"]
    missing = {view(ear, "speaker"): ids, view(bad, "faces"): ids, view(good, "faces"): ids}
    found = results(Runner([ear, bad, good], clips), missing)
    faults = {(name, key): outcome for (name, key), outcome in found.items() if isinstance(outcome, Fault)}
    assert set(faults) == {(view(bad, "faces"), "c/1")}
    (fault,) = faults.values()
    assert (fault.stage, fault.error, fault.facts["path"][-5:]) == ("extract", "ValueError", "1.mp4")


@pytest.mark.parametrize(
    ("limits", "batches"),
    [({}, [["c/2", "c/1", "c/0"]]), ({"window_bytes": 4500}, [["c/1", "c/0"], ["c/2"]])],
)
def test_a_window_is_bounded_by_what_was_seen(clips, limits, batches):
    eye = PlantedEye("eye", keep=1000)
    results(Runner([eye], clips, **limits), {view(eye, "faces"): ["c/0", "c/1", "c/2"]})
    assert eye.batches == batches


def test_a_window_is_bounded_by_its_clips(clips, monkeypatch):
    monkeypatch.setattr("extractors.runner.WINDOW_CLIPS", 2)
    eye = PlantedEye("eye")
    results(Runner([eye], clips), {view(eye, "faces"): ["c/0", "c/1", "c/2"]})
    assert eye.batches == [["c/1", "c/0"], ["c/2"]]


def test_who_needs_nothing_reads_no_media(clips, monkeypatch):
    given = Planted("given", "nothing", "transcript")
    counts = opened(monkeypatch)
    ids = clips["utterance_id"].to_list()
    found = results(Runner([given], clips), {view(given, "transcript"): ids})
    assert not counts
    assert {outcome.value.tolist()[0] for outcome in found.values()} == {1.0}
    assert sorted(key for batch in given.batches for key in batch) == sorted(ids)
