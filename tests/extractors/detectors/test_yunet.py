"""YuNet on real pictures, and against OpenCV called directly."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from extractors.detectors.choice import create_detector
from extractors.detectors.detector import within
from feature_repo.errors import BadInputError, UnknownNameError

MODEL = "models/yunet/face_detection_yunet_2026may.onnx"


@pytest.fixture(scope="module")
def detector(samples):
    made = create_detector("yunet", str(samples / MODEL))
    made.load("cpu")
    return made


def picture(samples, name):
    cv2 = pytest.importorskip("cv2")
    return np.ascontiguousarray(cv2.imread(str(samples / "data" / "clips" / name))[..., ::-1])


def test_boxes_and_landmarks_are_opencvs(detector, samples):
    import cv2

    image = cv2.resize(picture(samples, "multi_face.jpg"), (640, 427), interpolation=cv2.INTER_AREA)
    found = detector.detect(image)
    bare = cv2.FaceDetectorYN.create(str(samples / MODEL), "", image.shape[1::-1], 0.5, 0.3, 5000)
    rows = bare.detect(np.ascontiguousarray(image[..., ::-1]))[1]
    rows = rows[np.argsort(-rows[:, 14], kind="stable")]
    assert len(found) == len(rows) == 5
    for face, row in zip(found, rows, strict=True):
        assert face.score == pytest.approx(row[14])
        np.testing.assert_allclose(face.landmarks.ravel(), row[4:14])
        np.testing.assert_allclose(face.box, row[:4], atol=1e-3)  # none of them reaches the border


@pytest.mark.parametrize("factor", [0.5, 2, 6])
def test_a_face_is_found_once_whatever_its_size(detector, samples, factor):
    import cv2

    image = picture(samples, "single_face.jpg")
    (wanted,) = detector.detect(image)
    (found,) = detector.detect(cv2.resize(image, None, fx=factor, fy=factor))
    np.testing.assert_allclose(np.array(found.box) / factor, wanted.box, atol=0.1 * wanted.box[2])
    np.testing.assert_allclose(found.landmarks / factor, wanted.landmarks, atol=0.1 * wanted.box[2])


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (7, 3), (3000, 1)])
def test_pictures_of_a_few_pixels_show_nobody(detector, shape):
    assert detector.detect(np.full((*shape, 3), 90, np.uint8)) == []


def test_landmarks_are_ordered_as_the_picture_shows_them(detector, samples):
    (face,) = detector.detect(picture(samples, "single_face.jpg"))
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_colours_are_read_in_the_right_order(detector, samples):
    image = picture(samples, "single_face.jpg")
    (face,), (swapped,) = detector.detect(image), detector.detect(image[..., ::-1])
    assert abs(face.score - swapped.score) > 1e-4


def test_threads_find_the_same(detector, samples):
    images = [picture(samples, name) for name in ("single_face.jpg", "multi_face.jpg")] * 8
    alone = [[face.box for face in detector.detect(image)] for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.detect, images))
    assert [[face.box for face in faces] for faces in together] == alone


def test_nothing_is_printed_when_it_is_made(samples, capfd):
    create_detector("yunet", str(samples / MODEL)).load("cpu")
    assert capfd.readouterr().err == ""


def test_nothing_is_printed_when_threads_make_theirs_at_once(detector, capfd):
    cv2 = pytest.importorskip("cv2")
    level = cv2.utils.logging.getLogLevel()
    gate = threading.Barrier(8)
    picture = np.zeros((40, 40, 3), np.uint8)

    def first_look(_: int) -> None:
        gate.wait(timeout=30)
        detector.detect(picture)

    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:  # eight new threads, each with a network of its own
            list(pool.map(first_look, range(8)))
        assert cv2.utils.logging.getLogLevel() == level
    assert capfd.readouterr() == ("", "")


def test_a_box_beyond_the_picture_is_cut():
    image = np.zeros((10, 20, 3), np.uint8)
    assert within((-2.0, 3.0, 6.0, 100.0), image) == (0.0, 3.0, 4.0, 7.0)
    assert within((20.0, 0.0, 5.0, 5.0), image) is None


def test_what_is_wrong_with_the_weights_is_told(tmp_path):
    other = tmp_path / "face.pt"
    other.write_bytes(b"x")
    for model, message in (
        ("", "not named: say --set detector_model"),
        (str(tmp_path / "absent.onnx"), "no such file"),
        (str(other), "of another kind; wanted is a file .onnx"),
    ):
        with pytest.raises(BadInputError, match=message):
            create_detector("yunet", model).digest()
    with pytest.raises(UnknownNameError, match="face detector 'mtcnn'; allowed: whole, yolov8, yunet"):
        create_detector("mtcnn")


def test_the_whole_picture():
    whole = create_detector("whole")
    assert whole.digest() == ""
    (face,) = whole.detect(np.zeros((30, 40, 3), np.uint8))
    assert (face.box, face.score, face.landmarks) == ((0, 0, 40, 30), 1.0, None)
