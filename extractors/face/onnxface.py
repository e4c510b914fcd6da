"""Any face encoder in an ONNX file: MobileFaceNet, ArcFace and their kin."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy.typing as npt

from extractors.encoders.crop import CropStyle, Picture
from extractors.encoders.onnx_face import OnnxFaceConfig, OnnxFaceEncoder, Pixels
from extractors.encoders.onnx_file import OnnxFile
from extractors.face_extractor import FaceExtractor, FaceModelSettings
from extractors.registry import register
from extractors.settings import Settings, runtime
from extractors.weights import weights_digest
from feature_repo.errors import BadInputError


@dataclass(frozen=True)
class OnnxFaceSettings(FaceModelSettings):
    """Settings of an ONNX face encoder; the defaults are MobileFaceNet's and ArcFace's.

    All of them but ``model`` are stated in the recipe's ``input``.

    Attributes:
        model: an ``.onnx`` file; files of weights that it refers to lie beside it.
        input_size: side of the input, pixels, where the file leaves it free; 0 is what the file says.
        width: numbers per face, likewise.
        mean: pixels become (value - mean) / scale.
        scale: see ``mean``.
        channels: order of colours that the encoder was trained on.
        align: ``template`` moves the five landmarks to their standard places, a box crop where there are none; ``box``
            never does.
        margin: what a box crop gains on each side, as a part of the box's side.
    """

    model: str = runtime("")
    input_size: int = runtime(0)
    width: int = runtime(0)
    mean: float = runtime(127.5)
    scale: float = runtime(128.0)
    channels: Literal["rgb", "bgr"] = runtime("rgb")
    align: Literal["template", "box"] = runtime("template")
    margin: float = runtime(0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale == 0:
            raise BadInputError("scale=0: pixels are divided by it")
        if not 0 <= self.margin <= 1:
            raise BadInputError(f"margin={self.margin}: must be 0 to 1, a part of the box's side")


@register
class OnnxFace(FaceExtractor):
    """The encoder's vector of every face."""

    name: ClassVar[str] = "onnxface"
    Settings: ClassVar[type[Settings]] = OnnxFaceSettings
    code_version: ClassVar[int] = 1
    batch_tolerance: ClassVar[float] = 1e-4
    summary: ClassVar[str] = "any ONNX face encoder (MobileFaceNet, ArcFace) of every face"
    settings: OnnxFaceSettings

    def __init__(self, settings: OnnxFaceSettings) -> None:
        super().__init__(settings)
        self._encoder: OnnxFaceEncoder | None = None
        self._config: OnnxFaceConfig | None = None

    def _file(self) -> Path:
        file = Path(self.settings.model).expanduser()
        if not self.settings.model:
            raise BadInputError("the ONNX face encoder is not named: say --set model=FILE.onnx")
        if not file.is_file():
            raise BadInputError(f"model {self.settings.model!r}: no such file")
        return file.resolve()

    def _sizes(self) -> OnnxFaceConfig:
        if self._config is None:
            self._config = OnnxFaceConfig.read(self._file(), self.settings.input_size, self.settings.width)
        return self._config

    def _pixels(self) -> Pixels:
        return Pixels(float(self.settings.mean), float(self.settings.scale), self.settings.channels)

    def space(self) -> tuple[int, str]:
        """Width and digest; the files of weights beside the model count."""
        file = self._file()
        return self._sizes().width, weights_digest(file, beside=OnnxFile.read(file).external)

    def crop_style(self) -> CropStyle:
        """A square of the model's side."""
        return CropStyle(self._sizes().size, align=self.settings.align, margin=float(self.settings.margin))

    def preparation(self) -> Mapping[str, Any]:
        """Mean, scale, order of colours."""
        return self._pixels().stated()

    def load_encoder(self, device: str) -> None:
        """Load the model onto the device."""
        self._encoder = OnnxFaceEncoder(self._file(), self._sizes(), self._pixels(), device)

    def embed(self, crops: Picture) -> npt.NDArray[Any]:
        """The model's vectors."""
        assert self._encoder is not None, "load() comes first"
        return self._encoder.encode(crops)
