"""DeepFace's Facenet512: who a face is (papers/000 III-D1d), and by default the face of the emotion model too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy.typing as npt

from extractors.encoders.crop import CropStyle, Picture
from extractors.encoders.facenet512 import (
    SIDE,
    WIDTH,
    Facenet512Encoder,
    locate_facenet512,
    stated,
)
from extractors.face_extractor import FaceExtractor, FaceModelSettings
from extractors.registry import register
from extractors.settings import Settings, runtime
from extractors.weights import weights_digest


@dataclass(frozen=True)
class Facenet512Settings(FaceModelSettings):
    """Settings of Facenet512.

    Attributes:
        model: ``facenet512``, DeepFace's own place of the weights, or a file.
        normalization: DeepFace's name of how pixels are scaled; ``base`` is what it does when nothing is said.
        align: ``eyes`` turns the box until the eyes are level, as DeepFace does when nothing is said; ``box`` does not.
    """

    model: str = runtime("facenet512")
    # The recipe's "input" states these two.
    normalization: Literal["base", "Facenet", "Facenet2018"] = runtime("base")
    align: Literal["eyes", "box"] = runtime("eyes")


@register
class Facenet512(FaceExtractor):
    """Facenet512's 512 numbers."""

    name: ClassVar[str] = "facenet512"
    Settings: ClassVar[type[Settings]] = Facenet512Settings
    code_version: ClassVar[int] = 1
    batch_tolerance: ClassVar[float] = 1e-4
    summary: ClassVar[str] = "DeepFace's Facenet512 of every face"
    settings: Facenet512Settings

    def __init__(self, settings: Facenet512Settings) -> None:
        super().__init__(settings)
        self._encoder: Facenet512Encoder | None = None

    def space(self) -> tuple[int, str]:
        """512 and the digest of the weights."""
        file = locate_facenet512(self.settings.model, download=self.settings.download)
        return WIDTH, weights_digest(file)

    def crop_style(self) -> CropStyle:
        """DeepFace's: the box, turned, with black bars where it is no square."""
        return CropStyle(SIDE, align=self.settings.align, fit="pad")

    def preparation(self) -> Mapping[str, Any]:
        """DeepFace's: BGR, scaled as the settings say."""
        return stated(self.settings.normalization)

    def load_encoder(self, device: str) -> None:
        """Load the network onto the device."""
        file = locate_facenet512(self.settings.model, download=self.settings.download)
        self._encoder = Facenet512Encoder(file, device, self.settings.normalization)

    def embed(self, crops: Picture) -> npt.NDArray[Any]:
        """The network's vectors, all crops in one pass."""
        assert self._encoder is not None, "load() comes first"
        return self._encoder.encode(crops)
