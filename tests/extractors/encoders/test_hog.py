"""Histograms by hand, and against scikit-image called on a grey picture of our own making."""

import numpy as np
import pytest

from extractors.encoders.hog import hog, hog_width

pytest.importorskip("skimage")


def test_a_horizontal_ramp_by_hand():
    # All gradients point along the rows, into the first of nine directions, and the four cells of the one block are
    # alike: each has a quarter of the block's energy, so 0.5 (cut at 0.2, then normalised again to 0.5).
    ramp = np.repeat(np.arange(0, 160, 10, dtype=np.uint8)[None, :], 16, axis=0)
    (vector,) = hog(np.repeat(ramp[None, :, :, None], 3, axis=3))
    wanted = np.zeros((4, 9), np.float32)
    wanted[:, 0] = 0.5
    np.testing.assert_allclose(vector, wanted.ravel(), atol=1e-5)
    (vector,) = hog(np.repeat(ramp.T[None, :, :, None], 3, axis=3))
    assert np.argmax(vector[:9]) == 4  # 90 degrees lie in the fifth of nine bins of 20


def test_grey_is_bt601_of_rgb():
    from skimage.feature import hog as histogram

    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    crops[..., 2] = 128  # so that an exchange of red and blue would show
    for crop, vector in zip(crops, hog(crops), strict=True):
        grey = np.rint(crop @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
        wanted = histogram(grey, 9, (8, 8), (2, 2), block_norm="L2-Hys")
        np.testing.assert_allclose(vector, wanted, atol=0.02)  # OpenCV's weights are rounded to 14 bits
        swapped = histogram(
            np.rint(crop @ np.array([0.114, 0.587, 0.299])).astype(np.uint8),
            9,
            (8, 8),
            (2, 2),
            block_norm="L2-Hys",
        )
        assert np.abs(vector - swapped).max() > 0.05


@pytest.mark.parametrize("size", [16, 48, 64, 128])
def test_the_width_is_known_beforehand(size):
    crops = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    assert hog(crops).shape == (1, hog_width(size))
    assert hog_width(64) == 1764
