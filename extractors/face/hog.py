"""Histograms of oriented gradients of faces: no weights, runs anywhere (DESIGN section 7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from extractors.detectors.detector import DetectorName
from extractors.encoders.crop import CropStyle, Picture
from extractors.encoders.hog import BLOCK, CELL, hog, hog_width
from extractors.face_extractor import FaceExtractor, FaceSettings
from extractors.registry import register
from extractors.settings import Settings, runtime
from feature_repo.errors import BadInputError


@dataclass(frozen=True)
class HogSettings(FaceSettings):
    """Settings of the histograms.

    Attributes:
        detector: by default none: the whole frame is described.
        size: side of the square that a face is stretched to, pixels; a multiple of 8 (64 is assumed).
    """

    detector: DetectorName = "whole"
    size: int = runtime(64)  # the recipe's "input" states it

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % CELL or self.size < BLOCK * CELL:
            raise BadInputError(f"size={self.size}: must be a multiple of {CELL}, at least {BLOCK * CELL}")


@register
class Hog(FaceExtractor):
    """9 directions in cells of 8x8 pixels, of the grey face: 1,764 numbers."""

    name: ClassVar[str] = "hog"
    Settings: ClassVar[type[Settings]] = HogSettings
    code_version: ClassVar[int] = 1
    uses_device: ClassVar[bool] = False
    summary: ClassVar[str] = "gradient histograms of faces, no weights"
    settings: HogSettings

    def space(self) -> tuple[int, str]:
        """Numbers per face; there are no weights."""
        return hog_width(self.settings.size), ""

    def crop_style(self) -> CropStyle:
        """The box stretched to a square: black borders would be the strongest edges."""
        return CropStyle(self.settings.size, align="box", fit="stretch")

    def preparation(self) -> Mapping[str, Any]:
        """Grey."""
        return {"channels": "grey"}

    def load_encoder(self, device: str) -> None:
        """Nothing to load, but that the library is there."""
        from skimage.feature import hog as _  # noqa: F401  (half a second to import)

    def embed(self, crops: Picture) -> npt.NDArray[Any]:
        """Histograms of crops."""
        return hog(crops)
