"""Any face encoder in an ONNX file, through onnxruntime: MobileFaceNet, ArcFace and their kin."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from extractors.encoders.onnx_file import OnnxFile
from feature_repo.errors import BadInputError

Channels = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class OnnxFaceConfig:
    """A model's sizes.

    Attributes:
        size: side of its square input, pixels.
        width: numbers per face.
        batch: faces per pass that the file allows; None is any number.
        last: whether colours are the input's last side, not the second.
    """

    size: int
    width: int
    batch: int | None
    last: bool

    @classmethod
    def read(cls, path: Path, size: int = 0, width: int = 0) -> "OnnxFaceConfig":
        """The sizes that a file states.

        Args:
            path: an ``.onnx`` file.
            size: side of the input where the file leaves it free; else it must agree.
            width: numbers per face where the file leaves them free; else they must agree.

        Raises:
            BadInputError: not a face encoder, or a size that is free or another than the one given.
        """
        found = OnnxFile.read(path)
        shape = next(iter(found.inputs.values()))
        if len(found.inputs) != 1 or len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise BadInputError(
                f"{path}: inputs {found.inputs}; wanted is one of shape [n, 3, side, side] or [n, side, side, 3]"
            )
        last = shape[1] != 3
        rows, columns = (shape[1], shape[2]) if last else (shape[2], shape[3])
        if rows != columns:
            raise BadInputError(f"{path}: its input has {rows}x{columns} pixels; wanted is a square")
        side = _agreed(path, "input_size", rows, size)
        output = next(iter(found.outputs.values()))
        numbers = _agreed(path, "width", output[-1] if output else None, width)
        return cls(side, numbers, shape[0], last)


def _agreed(path: Path, name: str, stated: int | None, given: int) -> int:
    if stated is None and not given:
        raise BadInputError(f"{path} leaves {name} free: say it with --set {name}=NUMBER")
    if stated is not None and given not in (0, stated):
        raise BadInputError(f"{name}={given}: {path} says {stated}")
    return stated or given


@dataclass(frozen=True)
class Pixels:
    """What becomes of a crop's pixels: (value - mean) / scale, in an order of colours."""

    mean: float = 127.5
    scale: float = 128.0
    channels: Channels = "rgb"

    def prepared(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Float32 of the shape of crops ``[n, size, size, 3]``, which are RGB."""
        ordered = crops[..., ::-1] if self.channels == "bgr" else crops
        return (ordered.astype(np.float32) - np.float32(self.mean)) / np.float32(self.scale)

    def stated(self) -> Mapping[str, Any]:
        """As plain data for a recipe."""
        return asdict(self)


class OnnxFaceEncoder:
    """A loaded face encoder.

    A file that was exported for a fixed number of faces (often one) is run that often; export it with a free batch
    side to have many crops in one pass.

    Args:
        path: an ``.onnx`` file.
        config: its sizes.
        pixels: how pixels are scaled.
        device: ``cpu``, ``cuda``, ``cuda:1``; a GPU is used where onnxruntime was built for it.
    """

    def __init__(self, path: Path, config: OnnxFaceConfig, pixels: Pixels, device: str) -> None:
        import onnxruntime  # half a second to import

        self._config, self._pixels = config, pixels
        providers: list[Any] = ["CPUExecutionProvider"]
        kind, _, index = device.partition(":")
        if kind == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(index or 0)}))
        self._session = onnxruntime.InferenceSession(str(path), providers=providers)
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name

    def encode(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Vectors ``[n, width]`` of crops uint8 ``[n, size, size, 3]``, RGB; not normalised."""
        prepared = self._pixels.prepared(crops)
        if not self._config.last:
            prepared = prepared.transpose(0, 3, 1, 2)
        prepared = np.ascontiguousarray(prepared)
        step = self._config.batch or len(prepared)
        parts = []
        for begin in range(0, len(prepared), step):
            part = prepared[begin : begin + step]
            missing = step - len(part)
            filled = (
                np.concatenate([part, np.zeros((missing, *part.shape[1:]), np.float32)]) if missing else part
            )
            (found,) = self._session.run([self._output], {self._input: filled})
            parts.append(np.asarray(found, np.float32).reshape(step, -1)[: len(part)])
        return np.concatenate(parts)
