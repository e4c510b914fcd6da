"""The face detectors there are, by name."""

from typing import get_args

from extractors.detectors.detector import Detector, DetectorName
from extractors.detectors.whole import WholePicture
from extractors.detectors.yolov8 import YoloV8
from extractors.detectors.yunet import YuNet
from feature_repo.errors import UnknownNameError

_KINDS: dict[str, type[Detector]] = {"yolov8": YoloV8, "yunet": YuNet, "whole": WholePicture}


def create_detector(name: DetectorName, model: str = "", min_score: float = 0.5) -> Detector:
    """A detector, its weights not loaded.

    Args:
        name: ``yolov8``, ``yunet``, ``whole``.
        model: file of its weights.
        min_score: faces of a lower score are not reported.

    Raises:
        UnknownNameError: a detector that does not exist.
    """
    if name not in _KINDS:
        raise UnknownNameError("face detector", name, get_args(DetectorName))
    return _KINDS[name](model, min_score)
