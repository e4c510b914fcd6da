"""YuNet through OpenCV (Wu et al. 2023): a face detector of 230 kB that needs no accelerator."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from extractors.detectors.detector import Detection, Detector, Picture, within

# The longer side is brought down to it: of a face beyond 450 pixels YuNet reports several overlapping parts. At 640
# the two detectors see the same picture, and a face of 20 pixels in 1280x720 still has 10.
SIDE = 640
NMS = 0.3  # OpenCV's own default: boxes that overlap more are one face
CANDIDATES = 5000  # likewise
_LEVEL = threading.Lock()


class YuNet(Detector):
    """OpenCV's ``FaceDetectorYN``, one for each thread, since its network keeps state while it looks."""

    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)

    def __init__(self, model: str, min_score: float) -> None:
        super().__init__(model, min_score)
        self._own = threading.local()

    def load(self, device: str) -> None:
        """Read the weights once, so that a bad file is told before the first picture."""
        self._network()

    def _network(self) -> Any:
        if not hasattr(self._own, "network"):
            import cv2  # a tenth of a second and 100 MB: only where faces are looked for

            with _without_warnings(cv2):
                self._own.network = cv2.FaceDetectorYN.create(
                    str(self.file()), "", (320, 320), self.min_score, NMS, CANDIDATES
                )
        return self._own.network

    def detect(self, picture: Picture) -> list[Detection]:
        """The faces of one picture, the surest first."""
        import cv2

        network = self._network()
        height, width = picture.shape[:2]
        factor = min(SIDE / max(height, width), 1.0)
        small = picture
        if factor < 1:
            size = max(round(width * factor), 1), max(round(height * factor), 1)
            small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = network.detect(np.ascontiguousarray(small[..., ::-1]))  # OpenCV's networks read BGR
        found = []
        for row in rows if rows is not None else ():
            row[:14] /= factor
            box = within((float(row[0]), float(row[1]), float(row[2]), float(row[3])), picture)
            if box is not None:
                # YuNet's "right eye" is the person's, which is on the picture's left.
                found.append(Detection(box, float(row[14]), row[4:14].reshape(5, 2).astype(np.float32)))
        return sorted(found, key=lambda face: -face.score)


@contextmanager
def _without_warnings(cv2: Any) -> Iterator[None]:
    # OpenCV 5 warns on standard error of every network whose target it does not set. The level is the process's own,
    # and decoding threads make their networks at once.
    logging = cv2.utils.logging
    with _LEVEL:
        level = logging.getLogLevel()
        logging.setLogLevel(logging.LOG_LEVEL_ERROR)
        try:
            yield
        finally:
            logging.setLogLevel(level)
