"""What a face detector is, and what it says of a face."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from extractors.weights import weights_digest
from feature_repo.errors import BadInputError

DetectorName = Literal["yolov8", "yunet", "whole"]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Detection:
    """One face of a picture.

    Attributes:
        box: x and y of the top left corner, width, height: pixels of the picture, within it.
        score: how sure the detector is, 0 to 1.
        landmarks: float32 ``[5, 2]``, x and y of the eye on the picture's left, the eye on its right, the tip of the
            nose, the corner of the mouth on the left, the one on the right; None where the detector gives none.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: npt.NDArray[np.float32] | None = None


class Detector(ABC):
    """Finds faces; :meth:`detect` may be called from several threads at once.

    Attributes:
        suffixes: of the files of weights that it takes; empty where it needs none.
        model: place of the weights.
        min_score: faces of a lower score are not reported.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: str, min_score: float) -> None:
        self.model = model
        self.min_score = min_score

    def file(self) -> Path | None:
        """The file of weights, None for a detector that needs none.

        Raises:
            BadInputError: there is no such file, or it is of another kind.
        """
        if not self.suffixes:
            return None
        place = Path(self.model).expanduser()
        kinds = " or ".join(self.suffixes)
        if not self.model:
            raise BadInputError(
                f"the face detector's weights are not named: say --set detector_model=FILE ({kinds}), with a "
                "profile --set EXTRACTOR.detector_model=FILE; or detector=whole where each picture is a face"
            )
        if not place.is_file() or place.suffix not in self.suffixes:
            reason = "no such file" if not place.is_file() else "of another kind"
            raise BadInputError(f"detector_model {self.model!r}: {reason}; wanted is a file {kinds}")
        return place.resolve()

    def digest(self) -> str:
        """SHA-256 of the weights, empty for a detector that needs none.

        Raises:
            BadInputError: there is no such file.
        """
        file = self.file()
        return weights_digest(file) if file else ""

    @abstractmethod
    def load(self, device: str) -> None:
        """Make ready on the device (``cpu``, ``cuda``, ``cuda:1``)."""

    @abstractmethod
    def detect(self, picture: Picture) -> list[Detection]:
        """The faces of one picture, the surest first.

        Args:
            picture: uint8 ``[height, width, 3]``, RGB, upright.
        """


def within(
    box: tuple[float, float, float, float], picture: Picture
) -> tuple[float, float, float, float] | None:
    """The part of a box (x, y, width, height) that lies in the picture, None when nothing does."""
    height, width = picture.shape[:2]
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    right, bottom = min(box[0] + box[2], float(width)), min(box[1] + box[3], float(height))
    if right <= left or bottom <= top:
        return None
    return left, top, right - left, bottom - top
