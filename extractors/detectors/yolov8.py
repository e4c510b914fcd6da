"""YOLOv8-face through ultralytics (papers/000 III-D1d)."""

import os
import threading
from typing import Any, ClassVar

import numpy as np

from extractors.detectors.detector import Detection, Detector, Picture, within
from extractors.weights import cache_folder
from feature_repo.errors import BadInputError

SIDE = 640  # pixels that the longer side is brought to; the weights were trained so
IOU = 0.5  # boxes that overlap more are one face (assumed; ultralytics' 0.7 is for crowded scenes)
POINTS = 5


class YoloV8(Detector):
    """A YOLOv8 model of faces, as ``.pt`` or ``.tflite``; ``.pt`` with five landmarks or with boxes alone.

    A ``.pt`` file is a pickle that ultralytics opens: it can run code, so nothing is looked for and only the file that
    the user names is opened; a ``.tflite`` file is data. A ``.tflite`` file says nothing of its task, and read as
    plain detection a model with landmarks gives 300 junk boxes; so it is always read as task ``pose``.

    ultralytics is told to stay off the network, to install nothing and to keep its files in affectstore's cache. It
    is under AGPL-3.0 and wants torchvision. One model serves all threads, one after the other.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".pt", ".tflite")

    def __init__(self, model: str, min_score: float) -> None:
        super().__init__(model, min_score)
        self._lock = threading.Lock()
        self._network: Any = None
        self._device = "cpu"

    def load(self, device: str) -> None:
        """Load the model.

        Raises:
            BadInputError: a model of another task, of other things than faces, or with other landmarks.
        """
        keep_to_this_machine()
        from ultralytics.models import YOLO  # seconds to import, and it reads the variables above
        from ultralytics.utils import SETTINGS

        SETTINGS.update({"sync": False})  # type: ignore[no-untyped-call]
        file = self.file()
        network = YOLO(str(file), task="pose", verbose=False)
        if file is not None and file.suffix == ".pt":  # such a file says what it is
            if network.task not in ("pose", "detect"):
                raise BadInputError(
                    f"detector_model {self.model!r}: its task is {network.task!r}; wanted is a face detector, "
                    "task 'pose' (with landmarks) or 'detect'"
                )
            if len(network.names) != 1:
                raise BadInputError(
                    f"detector_model {self.model!r} knows {len(network.names)} kinds of things; "
                    "wanted is a model of faces alone"
                )
        self._network = network
        self._device = "cpu" if file is not None and file.suffix == ".tflite" else device
        # What is missing (torchvision, ai-edge-litert) shows only now, and would be every picture's fault.
        self.detect(np.zeros((SIDE, SIDE, 3), np.uint8))

    def detect(self, picture: Picture) -> list[Detection]:
        """The faces of one picture, the surest first.

        Raises:
            BadInputError: the model gives another number of landmarks.
        """
        assert self._network is not None, "load() comes first"
        with self._lock:
            # One picture a call: several would be padded to a common shape, and the boxes would depend on the company.
            (result,) = self._network.predict(
                np.ascontiguousarray(picture[..., ::-1]),  # ultralytics reads arrays as BGR
                conf=self.min_score,
                iou=IOU,
                imgsz=SIDE,
                device=self._device,
                verbose=False,
            )
        boxes = result.boxes.cpu().numpy()
        points = None if result.keypoints is None else result.keypoints.xy.cpu().numpy()
        if points is not None and len(points) and points.shape[1] != POINTS:
            raise BadInputError(
                f"detector_model {self.model!r}: {points.shape[1]} landmarks a face; wanted are {POINTS}"
            )
        found = []
        for place, (left, top, right, bottom) in enumerate(boxes.xyxy):
            box = within((float(left), float(top), float(right - left), float(bottom - top)), picture)
            landmarks = None if points is None else points[place].astype(np.float32)
            if landmarks is not None and not landmarks.any(axis=1).all():
                landmarks = None  # ultralytics 8.3 puts a landmark that it is not sure of into the corner
            if box is not None:
                found.append(Detection(box, float(boxes.conf[place]), landmarks))
        return sorted(found, key=lambda face: -face.score)


def keep_to_this_machine() -> None:
    """Tell ultralytics, before it is imported, to ask nobody, install nothing and write into affectstore's cache."""
    folder = cache_folder() / "ultralytics"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("YOLO_CONFIG_DIR", str(folder))
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
