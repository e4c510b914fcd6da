"""A face cut out of its picture, as a face encoder wants it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]

TEMPLATE_SIDE = 112
# Where ArcFace and its kin want the five landmarks in a crop of 112x112 (Deng et al. 2019).
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)


@dataclass(frozen=True)
class CropStyle:
    """How a face is cut out.

    Attributes:
        size: side of the square crop, pixels.
        align: ``template`` moves the five landmarks to their standard places by a similarity transform, and is a box
            crop where there are none; ``eyes`` turns the box about its centre until the eyes are level, as DeepFace
            does, and does not turn without landmarks; ``box`` never turns.
        fit: how a box becomes a square: ``square`` takes more of the picture on the shorter side, ``pad`` adds black
            as DeepFace does, ``stretch`` distorts. What lies beyond the picture is black.
        margin: what a box crop gains on each side, as a part of the box's side; the whole picture gains nothing.
    """

    size: int
    align: Literal["template", "eyes", "box"] = "box"
    fit: Literal["square", "pad", "stretch"] = "square"
    margin: float = 0.0

    def stated(self) -> dict[str, Any]:
        """The style as plain data for a recipe."""
        return asdict(self)


def cut(
    picture: Picture, box: tuple[float, float, float, float], landmarks: Points | None, style: CropStyle
) -> Picture:
    """The crop of one face: uint8 ``[size, size, 3]``, in the picture's channel order.

    Args:
        picture: uint8 ``[height, width, 3]``.
        box: x, y, width, height of the face, pixels.
        landmarks: ``[5, 2]``, ordered as in ``extractors.detectors.detector.Detection``; None where not known.
        style: how it is cut.
    """
    import cv2  # a tenth of a second and 100 MB: only where faces are cut

    if style.align == "template" and landmarks is not None:
        matrix = similarity(landmarks, TEMPLATE * (style.size / TEMPLATE_SIDE))
        return _uint8(cv2.warpAffine(picture, matrix, (style.size, style.size), flags=cv2.INTER_LINEAR))
    patch = _patch(picture, box, landmarks if style.align == "eyes" else None, style)
    return _fitted(patch, style)


def similarity(points: Points, targets: Points) -> npt.NDArray[np.float64]:
    """The rotation, scale and shift ``[2, 3]`` that bring points ``[n, 2]`` nearest to targets (least squares)."""
    # With points as complex numbers it is target = a * point + b, a line's fit.
    source = points[:, 0].astype(np.float64) + 1j * points[:, 1]
    target = targets[:, 0].astype(np.float64) + 1j * targets[:, 1]
    centred = source - source.mean()
    spread = float((np.abs(centred) ** 2).sum())
    # Landmarks that all fall together say nothing of turn and size.
    a = complex((np.conj(centred) * (target - target.mean())).sum() / spread) if spread else 1 + 0j
    b = complex(target.mean()) - a * complex(source.mean())
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _patch(
    picture: Picture, box: tuple[float, float, float, float], landmarks: Points | None, style: CropStyle
) -> Picture:
    """The box, with its margin and turned so that the eyes are level, in the picture's own resolution."""
    import cv2

    left, top, width, height = box
    whole = (width, height) == (picture.shape[1], picture.shape[0])
    margin = 0.0 if whole else style.margin
    centre = (left + width / 2, top + height / 2)
    width, height = width * (1 + 2 * margin), height * (1 + 2 * margin)
    if style.fit == "square":
        width = height = max(width, height)
    columns, rows = max(round(width), 1), max(round(height), 1)
    # The patch's corner on the picture's grid: without a turn no pixel is interpolated.
    corner = (round(centre[0] - columns / 2), round(centre[1] - rows / 2))
    if landmarks is None:
        return _window(picture, corner, columns, rows)
    (right_x, right_y), (left_x, left_y) = landmarks[1], landmarks[0]
    angle = float(np.degrees(np.arctan2(right_y - left_y, right_x - left_x)))
    matrix = cv2.getRotationMatrix2D(centre, angle, 1.0)
    matrix[:, 2] -= corner
    return _uint8(cv2.warpAffine(picture, matrix, (columns, rows), flags=cv2.INTER_CUBIC))


def _window(picture: Picture, corner: tuple[int, int], columns: int, rows: int) -> Picture:
    left, top = corner
    inside = picture[max(top, 0) : max(top + rows, 0), max(left, 0) : max(left + columns, 0)]
    if inside.shape[:2] == (rows, columns):
        return inside
    window = np.zeros((rows, columns, 3), np.uint8)
    window[max(-top, 0) : max(-top, 0) + len(inside), max(-left, 0) : max(-left, 0) + inside.shape[1]] = (
        inside
    )
    return window


def _fitted(patch: Picture, style: CropStyle) -> Picture:
    import cv2

    rows, columns = patch.shape[:2]
    if style.fit != "pad":
        # Averaging what falls together; where the patch is the smaller one this is OpenCV's linear interpolation.
        shrinks = rows > style.size or columns > style.size
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return _uint8(cv2.resize(patch, (style.size, style.size), interpolation=method))
    factor = min(style.size / rows, style.size / columns)
    width, height = max(int(columns * factor), 1), max(int(rows * factor), 1)
    fitted = np.zeros((style.size, style.size, 3), np.uint8)
    top, left = (style.size - height) // 2, (style.size - width) // 2
    fitted[top : top + height, left : left + width] = cv2.resize(patch, (width, height))
    return fitted


def _uint8(picture: Any) -> Picture:
    return np.asarray(picture, np.uint8)
