"""Histograms of whole frames as features: what the profile of no weights computes."""

import numpy as np
import pytest

from extractors.protocol import Frame, Item
from extractors.registry import create
from feature_repo.errors import BadInputError

pytest.importorskip("cv2")


def noise(seed=0, shape=(64, 64)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def row(made, *frames):
    (outcome,) = made.extract([Item("c/0", seen=tuple(made.look(frames)))])
    return outcome["faces_steps"]


def test_a_whole_frame_is_scikit_images_histogram():
    skimage = pytest.importorskip("skimage.feature")
    cv2 = pytest.importorskip("cv2")
    made = create("hog")
    made.load("cpu")
    image = noise()
    found = row(made, Frame(0.5, image), Frame(1.5, noise(1)))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    wanted = skimage.hog(grey, 9, (8, 8), (2, 2), block_norm="L2-Hys")
    np.testing.assert_allclose(found.value[0], wanted / np.linalg.norm(wanted), atol=1e-5)
    assert found.value.shape == (2, 1764)
    assert found.columns["time_s"] == [0.5, 1.5]
    assert (found.columns["whole"], found.columns["width"]) == (1, [64.0, 64.0])


def test_a_picture_of_one_colour_is_no_face():
    made = create("hog")
    made.load("cpu")
    black = np.zeros((64, 64, 3), np.uint8)
    found = row(made, Frame(0.5, black), Frame(1.5, noise()))
    assert found.columns["time_s"] == [1.5]
    assert found.columns["frame_times"] == [0.5, 1.5]
    found = row(made, Frame(0.5, black))
    assert (found.value, found.note) == (None, "no face in 1 frame")


def test_frames_of_any_size_are_stretched():
    made = create("hog", {"size": "32"})
    found = row(made, Frame(0.0, noise(0, (48, 200)), still=True))
    assert found.value.shape == (1, made.recipes()["faces_steps"].width) == (1, 324)


def test_sizes_that_no_cell_divides_are_told():
    for size in ("60", "8"):
        with pytest.raises(BadInputError, match=f"size={size}: must be a multiple of 8"):
            create("hog", {"size": size})
    assert create("hog").recipes() != create("hog", {"size": "128"}).recipes()
