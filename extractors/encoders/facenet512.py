"""DeepFace's Facenet512: load, prepare, forward (Schroff et al. 2015; papers/000 III-D1d)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from feature_repo.errors import BadInputError

WIDTH = 512
SIDE = 160
FILE = "facenet512_weights.pth"
Normalization = Literal["base", "Facenet", "Facenet2018"]


def locate_facenet512(model: str, *, download: bool = False) -> Path:
    """The file of weights.

    Args:
        model: ``facenet512`` is DeepFace's own place, ``$DEEPFACE_HOME/.deepface/weights`` (by default in the home
            folder); anything else is a file.
        download: let DeepFace fetch it into that place; without it nothing leaves the machine.

    Raises:
        BadInputError: it is not at hand; the message says what to do.
    """
    if model != "facenet512":
        file = Path(model).expanduser()
        if not model or not file.is_file():
            raise BadInputError(f"model {model!r}: no such file of Facenet512 weights")
        return file.resolve()
    file = Path(os.environ.get("DEEPFACE_HOME") or Path.home(), ".deepface", "weights", FILE)
    if file.is_file():
        return file
    if not download:
        raise BadInputError(
            f"Facenet512's weights are not at hand: no {file}; "
            "name the file with --set model=FILE, or allow a download with --download"
        )
    _use_torch()
    from deepface.commons import folder_utils, weight_utils
    from deepface.models.facial_recognition.pytorch import Facenet

    try:
        folder_utils.initialize_folder()
        return Path(weight_utils.download_weights_if_necessary(FILE, Facenet.FACENET512_WEIGHTS))
    except Exception as error:  # whatever the network answers, the user is told in one line
        raise BadInputError(f"Facenet512's weights could not be downloaded: {error}") from error


class Facenet512Encoder:
    """DeepFace's network and its preparation of pictures, with the weights and the device that one names.

    ``DeepFace.represent`` itself loads from its own folder only and takes the first GPU there is; for crops and a list
    of pictures it gives the same numbers (a test compares them).

    Args:
        weights: ``facenet512_weights.pth``.
        device: ``cpu``, ``cuda``, ``cuda:1``.
        normalization: DeepFace's name: ``base`` leaves 0 to 1, and is what ``represent`` does when nothing is said;
            ``Facenet`` brings each crop to mean 0 and deviation 1; ``Facenet2018`` is -1 to 1.
    """

    def __init__(self, weights: Path, device: str, normalization: Normalization = "base") -> None:
        import torch  # seconds to import, like deepface

        _use_torch()
        from deepface.models.facial_recognition.pytorch.Facenet import InceptionResNetV1

        self._device = torch.device(device)
        self._normalization = normalization
        self.model: Any = InceptionResNetV1(dimension=WIDTH)
        # weights_only: a file of weights is data, whoever wrote it
        self.model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.model.to(self._device).eval()

    def encode(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Vectors ``[n, 512]`` of crops uint8 ``[n, 160, 160, 3]``, RGB, in one pass; not normalised."""
        import torch

        prepared = prepare(crops, self._normalization).transpose(0, 3, 1, 2)
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(prepared)).to(self._device)
            return np.asarray(self.model(batch).cpu().numpy())


def prepare(crops: npt.NDArray[np.uint8], normalization: Normalization) -> npt.NDArray[np.float32]:
    """What DeepFace's network reads: BGR float32 of the same shape, scaled as it is told."""
    scaled = crops[..., ::-1].astype(np.float32) / np.float32(255)
    if normalization == "Facenet":
        scaled *= 255
        mean = scaled.mean(axis=(1, 2, 3), keepdims=True)
        deviation = scaled.std(axis=(1, 2, 3), keepdims=True)
        return (scaled - mean) / np.maximum(deviation, scaled[0].size ** -0.5)  # type: ignore[no-any-return]
    if normalization == "Facenet2018":
        return scaled * 2 - 1
    return scaled


def stated(normalization: Normalization) -> Mapping[str, Any]:
    """The preparation as plain data for a recipe."""
    return {"channels": "bgr", "normalization": normalization}


def _use_torch() -> None:
    # DeepFace prefers TensorFlow where both are installed.
    os.environ.setdefault("DEEPFACE_BACKEND_ENGINE", "pytorch")
