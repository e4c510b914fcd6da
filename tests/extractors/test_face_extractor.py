"""What all extractors of faces do with detections: sizes, scores, sampling, memory; on a planted detector."""

import dataclasses

import numpy as np
import pytest

from extractors.detectors.detector import Detection, Detector
from extractors.protocol import Frame, Item
from extractors.registry import create
from feature_repo.gate import gated
from feature_repo.outcome import Fault, Features

pytest.importorskip("cv2")
YUNET = "models/yunet/face_detection_yunet_2026may.onnx"


class Planted(Detector):
    """Gives the detections that it was told, whatever the picture."""

    def __init__(self, *faces):
        super().__init__("", 0.5)
        self.faces = faces

    def load(self, device):
        pass

    def detect(self, picture):
        return list(self.faces)


def noise(seed=0, shape=(120, 160)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


@pytest.fixture
def made(tmp_path):
    """Gradient histograms of what a planted detector says."""
    (tmp_path / "planted.onnx").write_bytes(b"planted")

    def make(*faces, **settings):
        told = {"detector": "yunet", "detector_model": str(tmp_path / "planted.onnx"), **settings}
        extractor = create("hog", told)
        extractor._detector = Planted(*faces)
        return extractor

    return make


def row(extractor, *frames):
    (outcome,) = extractor.extract([Item("c/0", seen=tuple(extractor.look(frames)))])
    (recipe,) = extractor.recipes().values()
    stored = gated(recipe, outcome[recipe.slot])
    assert isinstance(stored, Features), stored
    return stored


def test_every_face_is_kept_with_its_place_and_time(made):
    faces = Detection((10.0, 20.0, 40.0, 50.0), 0.9), Detection((80.0, 5.5, 30.0, 32.0), 0.6)
    found = row(made(*faces), Frame(0.5, noise()), Frame(1.5, noise(1)))
    columns = {name: np.asarray(values).tolist() for name, values in found.columns.items()}
    assert columns["time_s"] == [0.5, 0.5, 1.5, 1.5]
    assert columns["x"] == [10, 80, 10, 80]
    assert columns["y"] == [20, 5.5, 20, 5.5]
    assert columns["width"] == [40, 30, 40, 30]
    assert columns["height"] == [50, 32, 50, 32]
    assert columns["score"] == pytest.approx([0.9, 0.6, 0.9, 0.6])
    assert (columns["frame_width"], columns["frame_height"], columns["whole"]) == (160, 120, 0)
    assert found.value.shape == (4, 1764)


def test_small_faces_are_left_out(made):
    faces = (
        Detection((10.0, 10.0, 4.0, 4.0), 0.99),
        Detection((10.0, 10.0, 60.0, 19.9), 0.98),
        Detection((10.0, 10.0, 20.0, 20.0), 0.97),
    )
    found = row(made(*faces), Frame(0.5, noise()))
    assert np.asarray(found.columns["width"]).tolist() == [20]
    found = row(made(*faces, min_face="4"), Frame(0.5, noise()))
    assert np.asarray(found.columns["width"]).tolist() == [4, 60, 20]
    found = row(made(faces[0]), Frame(0.5, noise()), Frame(1.5, noise(1)))
    assert (found.value, found.note) == (None, "no face in 2 frames")


def test_a_picture_of_four_pixels_is_no_face(made):
    found = row(made(), Frame(0.0, noise(0, (4, 4)), still=True))
    assert (found.value, found.note) == (None, "no face in 1 frame")
    assert (found.columns["whole"], found.columns["frame_width"]) == (1, 4)


def test_a_real_face_of_four_pixels_is_not_found(samples):
    import cv2

    image = cv2.imread(str(samples / "data" / "clips" / "single_face.jpg"))[..., ::-1]
    made = create("hog", {"detector": "yunet", "detector_model": str(samples / YUNET), "min_score": "0.3"})
    made.load("cpu")
    found = row(made, Frame(0.5, np.ascontiguousarray(image)))
    (size,) = np.asarray(found.columns["width"])
    for pixels, count in ((4, 0), (60, 1)):
        small = cv2.resize(image, None, fx=pixels / size, fy=pixels / size, interpolation=cv2.INTER_AREA)
        canvas = np.full((360, 640, 3), 90, np.uint8)
        canvas[100 : 100 + small.shape[0], 200 : 200 + small.shape[1]] = small
        assert len(row(made, Frame(0.5, canvas)).columns["time_s"]) == count


def test_a_still_is_whole_unless_it_is_searched(made):
    face = Detection((10.0, 20.0, 40.0, 50.0), 0.9)
    still = Frame(0.0, noise(), still=True)
    found = row(made(face), still)
    assert (found.columns["whole"], np.asarray(found.columns["width"]).tolist()) == (1, [160])
    found = row(made(face, stills="detect"), still)
    assert (found.columns["whole"], np.asarray(found.columns["width"]).tolist()) == (0, [40])


def test_frames_around_are_a_table_of_their_own(made):
    (seconds,) = made().recipes().values()
    (offsets,) = made(sampling="offsets").recipes().values()
    assert (seconds.slot, seconds.modality) == ("faces_steps", "faces")
    assert (offsets.slot, offsets.modality) == ("offsets_steps", "offsets")
    assert made(sampling="offsets").sampling == "offsets"
    assert dataclasses.replace(offsets, modality="faces").settings["sampling"] == "offsets"


def test_an_utterance_without_frames_is_a_nothing(made):
    found = row(made(sampling="offsets"))
    assert (found.value, found.note) == (None, "no face in 0 frames")
    assert found.columns["frame_width"] is None
    assert len(found.columns["frame_times"]) == 0


def test_a_sound_file_is_a_nothing_and_other_faults_stay(made):
    extractor = made()
    (outcome,) = extractor.without_media(Fault("media", "NoVideoTrack", "a.wav: has no video track")).values()
    (recipe,) = extractor.recipes().values()
    stored = gated(recipe, outcome)
    assert (stored.value, stored.note) == (None, "no video track")
    assert len(stored.columns["frame_times"]) == 0
    missing = Fault("media", "MissingMedia", "a.mp4: no such file")
    assert extractor.without_media(missing) is missing


def test_what_is_kept_does_not_hold_the_frames(made):
    (seen,) = made(Detection((10.0, 20.0, 64.0, 64.0), 0.9)).look([Frame(0.5, noise())])
    crop = seen.faces[0].crop
    assert (crop.shape, crop.dtype) == ((64, 64, 3), np.uint8)
    assert crop.base is None


def test_cost_grows_with_faces(made):
    face = Detection((10.0, 20.0, 40.0, 50.0), 0.9)
    frames = [Frame(0.5, noise()), Frame(1.5, noise())]
    costs = [
        each.cost(Item("c/0", seen=tuple(each.look(frames))))
        for each in (made(), made(face), made(face, face))
    ]
    assert costs[0] < costs[1] < costs[2]


def test_settled_faces_give_the_same_row_and_keep_no_crop(made):
    face = Detection((10.0, 20.0, 40.0, 50.0), 0.9)
    extractor = made(face)
    frames = [Frame(place + 0.5, noise(place)) for place in range(5)]
    seen = extractor.look(frames)
    settled = extractor.settle(seen[:3])
    assert all(face.crop is None for frame in settled for face in frame.faces)
    (plain, partly) = extractor.extract(
        [Item("c/0", seen=tuple(seen)), Item("c/1", seen=(*settled, *seen[3:]))]
    )
    for outcome in (plain, partly):
        assert set(outcome) == {"faces_steps"}
    np.testing.assert_array_equal(plain["faces_steps"].value, partly["faces_steps"].value)
    assert plain["faces_steps"].columns == partly["faces_steps"].columns


def test_an_hour_of_crops_never_comes_together(made, tmp_path, monkeypatch):
    """Crops are settled each time they reach the limit, in order, and what is left of them is small."""
    from extractors import pictures
    from extractors.clip import decode_clip
    from extractors.held_bytes import held_bytes
    from tests.extractors.numbered_video import write_video

    extractor = made(Detection((10.0, 20.0, 40.0, 50.0), 0.9))
    crop = held_bytes(extractor.look([Frame(0.5, noise())]))
    monkeypatch.setattr(pictures, "SETTLE_BYTES", 10 * crop)
    most = []
    settle = extractor.settle
    monkeypatch.setattr(extractor, "settle", lambda seen: most.append(len(seen)) or settle(seen))
    path = write_video(tmp_path / "long.mp4", 200, 5)
    (seen,) = decode_clip(path, sound=False, watchers=[extractor]).seen
    assert [frame.time_s for frame in seen] == [place + 0.5 for place in range(40)]
    assert len(most) >= 2
    assert max(most) < 10 + pictures.CHUNK_FRAMES + 1
    crops = [face.crop is not None for frame in seen for face in frame.faces]
    assert crops == sorted(crops), "the settled ones come first"
    assert sum(crops) < 10
