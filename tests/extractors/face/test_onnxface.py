"""The ONNX extractor on real clips: who is who, as data/README.md of the samples states; and what its key notices."""

import shutil

import numpy as np
import pytest

from extractors.clip import decode_clip
from extractors.protocol import Item
from extractors.registry import create
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.gate import gated
from tests.extractors.face.tiny_onnx import write_tiny_onnx

pytest.importorskip("onnxruntime")
pytest.importorskip("cv2")
# Frames at 0.5, 1.5, ... s and the faces in each.
COUNTS = {
    "single_face.mp4": [1, 1],
    "face_noface.mov": [1, 1, 0, 0, 0, 0],
    "noface_face.mov": [0, 0, 0, 0, 1, 1],
    "no_face.mp4": [0, 0, 0, 0],
    "WDA_AlexandriaOcasioCortez_000.mp4": [1] * 8,
    "WDA_KatieHill_000.mp4": [1] * 8,
    "WolfgangLanger_Pexels.mp4": [1] * 20,
    "d0.mp4": [1] * 3,
    "d12.mp4": [1] * 7,
    "d18.mp4": [1] * 7,
    "d19.mp4": [1] * 8,
    "d20.mp4": [1] * 7,
}
SAME_MAN = ("single_face.mp4", "face_noface.mov", "noface_face.mov")


@pytest.fixture(scope="module")
def real(samples):
    """The extractor and its row of every clip, extracted in one call."""
    made = create(
        "onnxface",
        {
            "model": str(samples / "models/mobilefacenet/MobileFaceNet.onnx"),
            "detector_model": str(samples / "models/yunet/face_detection_yunet_2026may.onnx"),
        },
    )
    made.load("cpu")
    clips = [samples / "data" / "clips" / name for name in (*COUNTS, "short_hamilton_clip.mp4")]
    items = []
    for clip in clips:
        (seen,) = decode_clip(str(clip), sound=False, watchers=[made]).seen
        items.append(Item(clip.name, seen=seen))
    return made, items, made.extract(items)


def rows(real):
    made, items, outcomes = real
    recipe = made.recipes()["faces_steps"]
    return {
        item.utterance_id: gated(recipe, each["faces_steps"])
        for item, each in zip(items, outcomes, strict=True)
    }


def test_faces_of_each_frame_are_as_the_samples_state(real):
    for name, row in rows(real).items():
        times = np.asarray(row.columns["frame_times"])
        faces = [int(np.isclose(np.asarray(row.columns["time_s"]), time).sum()) for time in times]
        np.testing.assert_allclose(times, np.arange(len(times)) + 0.5)
        if name in COUNTS:
            assert faces == COUNTS[name], name
        else:  # several people
            assert min(faces) >= 1
            assert max(faces) == 7
        assert row.columns["whole"] == 0


def test_the_same_man_is_near_himself_and_far_from_others(real):
    found = {name: row.value.mean(axis=0) for name, row in rows(real).items() if row.value is not None}
    found = {name: vector / np.linalg.norm(vector) for name, vector in found.items()}
    assert len(found) == 12
    for first in found:
        for second in found:
            cosine = float(found[first] @ found[second])
            if first == second:
                continue
            if first in SAME_MAN and second in SAME_MAN:
                assert cosine >= 0.96, (first, second)
            else:
                assert cosine <= 0.33, (first, second)


def test_vectors_are_normalised_and_boxes_lie_in_the_frame(real):
    for name, row in rows(real).items():
        if row.value is None:
            continue
        assert row.value.shape[1] == 128
        np.testing.assert_allclose(np.linalg.norm(row.value, axis=1), 1, atol=1e-5)
        box = {axis: np.asarray(row.columns[axis]) for axis in ("x", "y", "width", "height")}
        assert (box["x"] >= 0).all(), name
        assert (box["x"] + box["width"] <= row.columns["frame_width"] + 1e-3).all()
        assert (box["y"] + box["height"] <= row.columns["frame_height"] + 1e-3).all()
        assert (np.asarray(row.columns["score"]) >= 0.5).all()


def test_no_face_is_a_nothing_that_tells_what_was_looked_at(real):
    row = rows(real)["no_face.mp4"]
    assert row.value is None
    assert row.note == "no face in 4 frames"
    np.testing.assert_allclose(row.columns["frame_times"], [0.5, 1.5, 2.5, 3.5])
    assert (row.columns["frame_width"], row.columns["frame_height"]) == (960, 540)
    assert len(row.columns["time_s"]) == 0


def test_clips_together_give_what_each_gives_alone(real):
    made, items, outcomes = real
    for item, outcome in zip(items, outcomes, strict=True):
        (alone,) = made.extract([item])
        ours, theirs = outcome["faces_steps"], alone["faces_steps"]
        assert ours.columns == theirs.columns
        if ours.value is not None:
            assert np.abs(ours.value - theirs.value).max() <= made.batch_tolerance


def test_frames_around_show_the_same_man(real, samples):
    made, items, outcomes = real
    around = create(
        "onnxface",
        {
            "model": made.settings.model,
            "detector_model": made.settings.detector_model,
            "sampling": "offsets",
        },
    )
    around.load("cpu")
    clip = str(samples / "data" / "clips" / "single_face.mp4")  # 2.4 s: frames at 0.5 and 1.5
    (seen,) = decode_clip(clip, sound=False, watchers=[around]).seen
    (outcome,) = around.extract([Item("c/0", seen=seen)])
    found = outcome["offsets_steps"]
    tenths = [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19]
    np.testing.assert_allclose(found.columns["frame_times"], np.array(tenths) / 10)
    assert len(found.value) == len(tenths)
    (base,) = (
        each for item, each in zip(items, outcomes, strict=True) if item.utterance_id == "single_face.mp4"
    )
    # Other people reach 0.33; a turned head of the same man falls to 0.76.
    assert (found.value @ base["faces_steps"].value[0]).min() > 0.6


def test_a_picture_file_is_one_face_or_is_searched(samples):
    picture = str(samples / "data" / "clips" / "multi_face.jpg")
    settings = {
        "model": str(samples / "models/mobilefacenet/MobileFaceNet.onnx"),
        "detector_model": str(samples / "models/yunet/face_detection_yunet_2026may.onnx"),
    }
    counted = {}
    for stills in ("whole", "detect"):
        made = create("onnxface", {**settings, "stills": stills})
        made.load("cpu")
        (seen,) = decode_clip(picture, sound=False, watchers=[made]).seen
        ((outcome),) = (each["faces_steps"] for each in made.extract([Item("c/0", seen=seen)]))
        counted[stills] = (len(outcome.value), outcome.columns["whole"])
        assert outcome.columns["frame_times"] == [0.0]
    assert counted == {"whole": (1, 1), "detect": (5, 0)}


def test_the_key_is_the_weights_and_the_preparation(tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx", external="tiny.onnx.data")
    (tmp_path / "copy").mkdir()
    for name in ("tiny.onnx", "tiny.onnx.data"):
        shutil.copy(tmp_path / name, tmp_path / "copy" / name)

    def key(model=path, **settings):
        made = create("onnxface", {"model": str(model), "detector": "whole", **settings})
        return made.recipes()["faces_steps"].fingerprint

    assert key() == key(tmp_path / "copy" / "tiny.onnx") == key(batch_size="3", input_size="112", width="16")
    others = [
        key(mean="0"), key(scale="255"), key(channels="bgr"), key(align="box"), key(margin="0.2"), key(min_score="0.6"),
        key(min_face="40"), key(stills="detect"),
    ]  # fmt: skip
    assert len({key(), *others}) == 9
    before = key()
    (tmp_path / "tiny.onnx.data").write_bytes((tmp_path / "tiny.onnx.data").read_bytes() + b"\0")
    assert key() != before


def test_the_detectors_weights_are_in_the_key_and_their_place_is_not(tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    keys = []
    for name, content in (("a.onnx", b"a"), ("b.onnx", b"a"), ("c.onnx", b"c")):
        (tmp_path / name).write_bytes(content)
        made = create("onnxface", {"model": str(path), "detector_model": str(tmp_path / name)})
        keys.append(made.recipes()["faces_steps"].fingerprint)
    assert keys[0] == keys[1] != keys[2]


def test_settings_that_can_not_be_are_told(tmp_path):
    for settings, message in (
        ({}, "ONNX face encoder is not named"),
        ({"model": "/no/such.onnx"}, "no such file"),
        ({"min_score": "0"}, "min_score=0"),
        ({"min_face": "0"}, "min_face=0"),
        ({"scale": "0"}, "scale=0"),
        ({"margin": "3"}, "margin=3"),
    ):
        with pytest.raises(BadInputError, match=message):
            create("onnxface", settings).recipes()
    with pytest.raises(UnknownNameError, match="allowed: whole, yolov8, yunet"):
        create("onnxface", {"detector": "mtcnn"})
    assert not list(tmp_path.iterdir())
