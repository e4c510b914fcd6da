"""Crops against scikit-image's similarity, DeepFace's own cutting, and hand-made pictures."""

import numpy as np
import pytest

from extractors.detectors.choice import create_detector
from extractors.encoders.crop import TEMPLATE, CropStyle, cut, similarity

pytest.importorskip("cv2")
YUNET = "models/yunet/face_detection_yunet_2026may.onnx"


def ramp(height, width):
    """Red counts the columns, green the rows."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 7)], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def real(samples):
    import cv2

    image = cv2.imread(str(samples / "data" / "clips" / "single_face.jpg"))[..., ::-1]
    yunet = create_detector("yunet", str(samples / YUNET))
    (face,) = yunet.detect(image)
    return np.ascontiguousarray(image), face, yunet


def test_the_similarity_is_scikit_images():
    skimage = pytest.importorskip("skimage.transform")
    rng = np.random.default_rng(3)
    points = (TEMPLATE * 1.7 + rng.normal(0, 3, (5, 2)) + 40).astype(np.float32)
    wanted = skimage.SimilarityTransform.from_estimate(points, TEMPLATE)
    np.testing.assert_allclose(similarity(points, TEMPLATE), wanted.params[:2], atol=1e-6)


def test_a_similarity_is_found_again_and_never_mirrors():
    angle, scale, shift = 0.4, 2.5, np.array([30.0, -4.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    targets = (TEMPLATE @ turn.T + shift).astype(np.float32)
    np.testing.assert_allclose(similarity(TEMPLATE, targets), np.c_[turn, shift], atol=1e-4)
    mirrored = similarity(TEMPLATE, TEMPLATE * np.float32([-1, 1]))
    assert np.linalg.det(mirrored[:, :2]) > 0
    same = np.full((5, 2), 9, np.float32)
    assert np.isfinite(similarity(same, TEMPLATE)).all()


def test_template_crops_have_the_landmarks_in_their_places(real):
    image, face, yunet = real
    crop = cut(image, face.box, face.landmarks, CropStyle(112, align="template"))
    assert (crop.shape, crop.dtype) == ((112, 112, 3), np.uint8)
    # Seen with a black border around it, the detector finds them there again.
    canvas = np.zeros((212, 212, 3), np.uint8)
    canvas[50:162, 50:162] = crop
    (again,) = yunet.detect(canvas)
    assert np.abs(again.landmarks - 50 - TEMPLATE).max() < 6
    larger = cut(image, face.box, face.landmarks, CropStyle(224, align="template"))
    import cv2

    assert np.abs(cv2.resize(larger, (112, 112)).astype(float) - crop).mean() < 6


def test_without_landmarks_a_template_crop_is_a_box_crop():
    image = ramp(60, 80)
    box = (20.0, 10.0, 30.0, 30.0)
    template, plain = CropStyle(30, align="template"), CropStyle(30)
    np.testing.assert_array_equal(cut(image, box, None, template), cut(image, box, None, plain))


def test_a_box_crop_is_the_picture_there():
    image = ramp(60, 80)
    crop = cut(image, (20.0, 10.0, 30.0, 30.0), None, CropStyle(30))
    np.testing.assert_array_equal(crop, image[10:40, 20:50])


def test_a_square_takes_more_of_the_picture_and_the_margin_more_still():
    image = ramp(60, 80)
    crop = cut(image, (30.0, 20.0, 10.0, 20.0), None, CropStyle(20))
    np.testing.assert_array_equal(crop, image[20:40, 25:45])
    crop = cut(image, (30.0, 20.0, 20.0, 20.0), None, CropStyle(30, margin=0.25))
    np.testing.assert_array_equal(crop, image[15:45, 25:55])


def test_what_lies_beyond_the_picture_is_black():
    image = ramp(60, 80) | 1
    crop = cut(image, (-5.0, 50.0, 20.0, 20.0), None, CropStyle(20))
    np.testing.assert_array_equal(crop[:10, 5:], image[50:60, :15])
    assert not crop[10:].any()
    assert not crop[:, :5].any()


def test_the_whole_picture_gains_no_margin():
    image = ramp(40, 40)
    crop = cut(image, (0.0, 0.0, 40.0, 40.0), None, CropStyle(40, margin=0.3))
    np.testing.assert_array_equal(crop, image)


def test_stretching_fills_the_square():
    image = np.full((20, 60, 3), 200, np.uint8)
    crop = cut(image, (0.0, 0.0, 60.0, 20.0), None, CropStyle(32, fit="stretch"))
    assert (crop == 200).all()
    padded = cut(image, (0.0, 0.0, 60.0, 20.0), None, CropStyle(32, fit="pad"))
    assert (padded[11:21] == 200).all()  # 10 rows of 32 remain: 20 * 32 / 60
    assert not padded[:11].any()
    assert not padded[21:].any()


@pytest.mark.parametrize("shape", [(200, 180), (37, 91), (160, 160), (400, 30)])
def test_padding_is_deepfaces(shape):
    preprocessing = pytest.importorskip("deepface.modules.preprocessing")
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    box = (0.0, 0.0, float(shape[1]), float(shape[0]))
    wanted = preprocessing.resize_image(image, (160, 160))[0]
    np.testing.assert_allclose(
        cut(image, box, None, CropStyle(160, align="eyes", fit="pad")) / 255, wanted, atol=1e-6
    )


@pytest.mark.parametrize("degrees", [0, 25, -40])
def test_levelled_eyes_are_deepfaces(real, degrees):
    detection = pytest.importorskip("deepface.modules.detection")
    preprocessing = pytest.importorskip("deepface.modules.preprocessing")
    import cv2
    from deepface.models.Detector import FacialAreaRegion

    image, _, yunet = real
    height, width = image.shape[:2]
    turned = cv2.warpAffine(
        image, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1), (width, height)
    )
    (face,) = yunet.detect(turned)
    x, y, w, h = (round(side) for side in face.box)
    box = (float(x), float(y), float(w), float(h))
    eyes = [tuple(int(each) for each in point) for point in face.landmarks[:2]]
    # DeepFace names the eyes from the person's side.
    area = FacialAreaRegion(x=x, y=y, w=w, h=h, right_eye=eyes[0], left_eye=eyes[1], confidence=1.0)
    theirs = detection.extract_face(area, turned, True, 0, 0, 0, "yunet").img
    theirs = preprocessing.resize_image(theirs, (160, 160))[0] * 255
    ours = cut(turned, box, face.landmarks, CropStyle(160, align="eyes", fit="pad")).astype(float)
    # DeepFace rounds eyes and corners to whole pixels.
    correlation = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]
    assert correlation > 0.985
    flat = cut(turned, box, None, CropStyle(160, align="eyes", fit="pad")).astype(float)
    if degrees:
        assert correlation > np.corrcoef(flat.ravel(), theirs.ravel())[0, 1] + 0.1
