"""What extractors of faces share: detection while the clip is decoded, and crops of many clips in one batch."""

import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from extractors.detectors.choice import create_detector
from extractors.detectors.detector import DetectorName
from extractors.encoders.crop import CropStyle, Picture, cut
from extractors.frame_extractor import FrameExtractor
from extractors.media import NoVideoTrack
from extractors.protocol import Frame, Item, Outputs
from extractors.sampling import Sampling
from extractors.settings import ModelSettings, Settings, runtime
from feature_repo.errors import BadInputError
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import ColumnType, Recipe, identity_settings

Vectors = npt.NDArray[np.float32]
_COLUMNS: Mapping[str, ColumnType] = {
    **dict.fromkeys(("time_s", "x", "y", "width", "height", "score"), "step"),
    "frame_times": "floats",
    **dict.fromkeys(("frame_width", "frame_height", "whole"), "int"),
}


@dataclass(frozen=True)
class FaceSettings(Settings):
    """Settings of an extractor of faces.

    Attributes:
        batch_size: crops per pass through the encoder, and utterances per call.
        detector: ``yolov8`` (ultralytics), ``yunet`` (OpenCV), or ``whole``: every frame is one face.
        detector_model: file of the detector's weights; a ``.pt`` file is unpickled by ultralytics and can run code.
        min_score: a detector's faces below it are left out. At 0.5 both detectors agree on 95 of 96 frames of real
            clips (assumed; the papers say nothing).
        min_face: a face whose shorter side has fewer pixels is left out, whole pictures too: stretched to an encoder's
            112 or 160 pixels there is nobody to recognise (assumed; the smallest faces of people talking in 640x360
            have 23).
        sampling: ``seconds`` is one frame a second; ``offsets`` are the frames around each of those.
        stills: whether a picture file is one ``whole`` face, as in corpora of face crops, or is searched (``detect``).
    """

    batch_size: int = runtime(64)
    detector: DetectorName = "yunet"
    detector_model: str = runtime("")
    min_score: float = 0.5
    min_face: int = 20
    sampling: Sampling = "seconds"
    stills: Literal["whole", "detect"] = "whole"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.min_score <= 1:
            raise BadInputError(f"min_score={self.min_score}: must be above 0 and at most 1")
        if self.min_face < 1:
            raise BadInputError(f"min_face={self.min_face}: must be at least 1 pixel")


@dataclass(frozen=True)
class FaceModelSettings(FaceSettings, ModelSettings):
    """Settings of an extractor of faces with a model of its own."""


@dataclass(frozen=True)
class SeenFace:
    """What is kept of a face.

    Attributes:
        box: x, y, width, height in pixels.
        score: the detector's.
        crop: uint8 ``[size, size, 3]``, RGB; None once there is a vector.
        vector: L2-normalised ``[width]``, of a face in a clip so long that its crops were settled.
    """

    box: tuple[float, float, float, float]
    score: float
    crop: Picture | None
    vector: Vectors | None = None


@dataclass(frozen=True)
class SeenFrame:
    """What is kept of a frame: when it was, how large, whether all of it was taken for a face, and its faces."""

    time_s: float
    width: int
    height: int
    whole: bool
    faces: tuple[SeenFace, ...]


class FaceExtractor(FrameExtractor):
    """Every face of the sampled frames, as steps of L2-normalised vectors with time, box and score.

    Attributes:
        code_version: raised whenever the numbers change.
    """

    modality: ClassVar[str] = "faces"
    code_version: ClassVar[int]
    settings: FaceSettings

    def __init__(self, settings: FaceSettings) -> None:
        super().__init__(settings)
        self._detector = create_detector(settings.detector, settings.detector_model, settings.min_score)
        self._whole = create_detector("whole")
        self._recipe: Recipe | None = None
        self._encoding = threading.Lock()  # a long clip is settled while the batches of others are computed

    @property
    def sampling(self) -> Sampling:
        """Which frames of an utterance it looks at."""
        return self.settings.sampling

    @abstractmethod
    def space(self) -> tuple[int, str]:
        """Numbers per vector and digest of the encoder's weights. Imports no model library.

        Raises:
            BadInputError: the weights are not at hand.
        """

    @abstractmethod
    def crop_style(self) -> CropStyle:
        """How a face is cut out for the encoder."""

    @abstractmethod
    def preparation(self) -> Mapping[str, Any]:
        """What becomes of a crop's pixels before the encoder, as plain data for the recipe."""

    @abstractmethod
    def load_encoder(self, device: str) -> None:
        """Bring the encoder onto the device."""

    @abstractmethod
    def embed(self, crops: Picture) -> npt.NDArray[Any]:
        """Vectors ``[n, width]`` of crops uint8 ``[n, size, size, 3]``, RGB; not yet normalised."""

    def recipes(self) -> Mapping[str, Recipe]:
        """One recipe of steps: ``faces_steps``, or ``offsets_steps`` for the frames around.

        Raises:
            BadInputError: weights that are not at hand.
        """
        if self._recipe is None:
            width, weights = self.space()
            settings = identity_settings(self.settings) | {
                "input": {"crop": self.crop_style().stated(), **self.preparation()}
            }
            if digest := self._detector.digest():
                settings["detector_weights"] = digest
            self._recipe = Recipe(
                self.modality if self.sampling == "seconds" else "offsets",
                self.name,
                self.code_version,
                "media",
                "steps",
                width,
                weights=weights,
                settings=settings,
                columns=_COLUMNS,
            )
        return {self._recipe.slot: self._recipe}

    def without_media(self, fault: Fault) -> Outputs:
        """A sound file shows nobody, which is no fault: a profile is run over corpora of sound too."""
        if fault.error != NoVideoTrack.__name__:
            return fault
        nothing = _features((), np.empty((0, 0), np.float32))
        return dict.fromkeys(self.recipes(), replace(nothing, note="no video track"))

    def cost(self, item: Item) -> float:
        """Faces, and the frames that are only told of."""
        return sum(1 + len(frame.faces) for frame in item.seen)

    def load(self, device: str) -> None:
        """Load detector and encoder."""
        self._detector.load(device)
        self.load_encoder(device)

    def look(self, frames: Sequence[Frame]) -> list[SeenFrame]:
        """The faces of each frame, as small crops; the frames themselves are not kept."""
        return [self._seen(frame) for frame in frames]

    def _seen(self, frame: Frame) -> SeenFrame:
        height, width = frame.image.shape[:2]
        whole = self.settings.detector == "whole" or (frame.still and self.settings.stills == "whole")
        detector = self._whole if whole else self._detector
        style = self.crop_style()
        faces = tuple(
            # A crop may be a view of the frame, which would keep all of it.
            SeenFace(face.box, face.score, cut(frame.image, face.box, face.landmarks, style).copy())
            for face in detector.detect(frame.image)
            if min(face.box[2:]) >= self.settings.min_face and face.score >= self.settings.min_score
        )
        return SeenFrame(frame.time_s, width, height, whole, faces)

    def settle(self, seen: Sequence[SeenFrame]) -> list[SeenFrame]:
        """The frames with vectors in place of their crops: an hour's crops would take gigabytes."""
        vectors = iter(self._vectors([face for frame in seen for face in frame.faces]))
        return [
            replace(
                frame, faces=tuple(replace(face, crop=None, vector=next(vectors)) for face in frame.faces)
            )
            for frame in seen
        ]

    def extract(self, batch: Sequence[Item]) -> list[Outputs]:
        """The faces of each utterance, or a nothing; the crops of all of them share the encoder's batches."""
        (output,) = self.recipes()
        vectors = self._vectors([face for item in batch for frame in item.seen for face in frame.faces])
        outcomes: list[Outputs] = []
        begin = 0
        for item in batch:
            count = sum(len(frame.faces) for frame in item.seen)
            outcomes.append({output: _features(item.seen, vectors[begin : begin + count])})
            begin += count
        return outcomes

    def _vectors(self, faces: Sequence[SeenFace]) -> Vectors:
        """L2-normalised ``[n, width]``, those of settled faces as they are; a vector of zero norm stays zero."""
        (recipe,) = self.recipes().values()
        vectors = np.empty((len(faces), recipe.width), np.float32)
        crops = [(place, face.crop) for place, face in enumerate(faces) if face.crop is not None]
        for place, face in enumerate(faces):
            if face.vector is not None:
                vectors[place] = face.vector
        size = self.settings.batch_size
        for begin in range(0, len(crops), size):
            places, pictures = zip(*crops[begin : begin + size], strict=True)
            with self._encoding:
                found = np.asarray(self.embed(np.stack(pictures)), np.float32)
            norms = np.linalg.norm(found, axis=1, keepdims=True)
            vectors[list(places)] = np.divide(found, norms, out=np.zeros_like(found), where=norms != 0)
        return vectors


def _features(seen: Sequence[SeenFrame], vectors: Vectors) -> Features:
    """One utterance's row. A face of zero norm (a picture of one colour) is no face."""
    faces = [(frame, face) for frame in seen for face in frame.faces]
    kept = [place for place in range(len(faces)) if vectors[place].any()]
    first = seen[0] if seen else None
    columns: dict[str, Any] = {
        "time_s": [faces[place][0].time_s for place in kept],
        **{
            name: [faces[place][1].box[axis] for place in kept]
            for axis, name in enumerate(("x", "y", "width", "height"))
        },
        "score": [faces[place][1].score for place in kept],
        "frame_times": [frame.time_s for frame in seen],
        "frame_width": first.width if first else None,
        "frame_height": first.height if first else None,
        "whole": int(first.whole) if first else None,
    }
    if not kept:
        frames = "1 frame" if len(seen) == 1 else f"{len(seen)} frames"
        return Features(None, f"no face in {frames}", columns)
    return Features(vectors[kept], columns=columns)
