"""Histograms of oriented gradients (Dalal and Triggs 2005): a face descriptor without weights."""

import numpy as np
import numpy.typing as npt

ORIENTATIONS = 9  # Dalal and Triggs' best: 9 bins over 180 degrees, 8x8 pixel cells, 2x2 cell blocks
CELL = 8
BLOCK = 2


def hog_width(size: int) -> int:
    """Numbers per crop of the side ``size``, a multiple of 8 of at least 16."""
    blocks = size // CELL - BLOCK + 1
    return blocks * blocks * BLOCK * BLOCK * ORIENTATIONS


def hog(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Histograms ``[n, hog_width(size)]`` of crops uint8 ``[n, size, size, 3]``, RGB.

    Each crop is made grey by ITU-R BT.601's weights; blocks are normalised by L2-Hys.
    """
    import cv2
    from skimage.feature import hog as histogram  # half a second to import

    return np.stack(
        [
            histogram(
                cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY),
                orientations=ORIENTATIONS,
                pixels_per_cell=(CELL, CELL),
                cells_per_block=(BLOCK, BLOCK),
                block_norm="L2-Hys",
            )
            for crop in crops
        ]
    ).astype(np.float32)
