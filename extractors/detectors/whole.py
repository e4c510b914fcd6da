"""The whole picture as one face: for corpora of face crops, and for what needs no weights."""

from extractors.detectors.detector import Detection, Detector, Picture


class WholePicture(Detector):
    """Every picture is one face of score 1."""

    def load(self, device: str) -> None:
        """Nothing to load."""

    def detect(self, picture: Picture) -> list[Detection]:
        """The picture's own box, without landmarks."""
        height, width = picture.shape[:2]
        return [Detection((0.0, 0.0, float(width), float(height)), 1.0)]
