"""A WavLM x-vector model: load, prepare, forward (Chen et al. 2022; Snyder et al. 2018)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.errors import BadInputError


@dataclass(frozen=True)
class XVectorConfig:
    """What a model folder says of its sizes, with transformers' defaults where it is silent.

    Attributes:
        width: numbers per x-vector.
        receptive: samples that the first frame of the convolutions covers.
        stride: samples between two frames.
        minimum_frames: frames that two steps behind the time-delay layers need, so that their deviation exists.
        normalise: whether the sound is brought to zero mean and unit variance first.
    """

    width: int
    receptive: int
    stride: int
    minimum_frames: int
    normalise: bool

    @property
    def minimum_samples(self) -> int:
        """Samples that the model needs."""
        return self.receptive + (self.minimum_frames - 1) * self.stride

    @classmethod
    def read(cls, folder: Path) -> "XVectorConfig":
        """The sizes stated in a model folder, read without a model library.

        Raises:
            BadInputError: not a WavLM folder.
        """
        path = folder / "config.json"
        if not path.is_file():
            raise BadInputError(f"{folder} is not a WavLM folder: it has no config.json")
        config = json.loads(path.read_bytes())
        if config.get("model_type") != "wavlm":
            raise BadInputError(
                f"{path}: model_type is {config.get('model_type')!r}; the x-vector extractor takes 'wavlm'"
            )
        receptive, stride = 1, 1
        kernels = config.get("conv_kernel", (10, 3, 3, 3, 3, 2, 2))
        for kernel, step in zip(kernels, config.get("conv_stride", (5, 2, 2, 2, 2, 2, 2)), strict=True):
            receptive += (kernel - 1) * stride
            stride *= step
        delays = zip(
            config.get("tdnn_kernel", (5, 3, 3, 1, 1)),
            config.get("tdnn_dilation", (1, 2, 3, 1, 1)),
            strict=True,
        )
        frames = 2 + sum((kernel - 1) * dilation for kernel, dilation in delays)
        preparation = folder / "preprocessor_config.json"
        if preparation.is_file():
            normalise = bool(json.loads(preparation.read_bytes()).get("do_normalize", True))
        else:
            # Without a statement, models with layer norm in the convolutions are the normalised ones.
            normalise = config.get("feat_extract_norm", "group") == "layer"
        return cls(int(config.get("xvector_output_dim", 512)), receptive, stride, frames, normalise)

    def prepare(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The samples that the model reads: whole frames, normalised where the model wants it.

        The tail that fills no frame (20 ms at most) is left out, so that utterances fall into few lengths: a batch
        holds equal lengths only.
        """
        frames = (len(samples) - self.receptive) // self.stride
        samples = samples[: self.receptive + frames * self.stride]
        if self.normalise:
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        return samples


class XVectorEncoder:
    """A loaded WavLMForXVector.

    Args:
        folder: the model's folder.
        device: ``cpu``, ``cuda``, ``cuda:1``.
        compute_dtype: number type of the forward pass.
    """

    def __init__(self, folder: Path, device: str, compute_dtype: str = "float32") -> None:
        import torch  # seconds to import, like transformers
        from transformers import WavLMForXVector
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.config = XVectorConfig.read(folder)
        self._device = torch.device(device)
        self._dtype = getattr(torch, compute_dtype)
        loaded: Any = WavLMForXVector.from_pretrained(str(folder), local_files_only=True, dtype=self._dtype)
        self.model = loaded.to(self._device).eval()

    def forward(self, samples: Any) -> Any:
        """``[sounds, samples]`` of one length to x-vectors ``[sounds, width]``."""
        return self.model(samples).embeddings

    def encode(self, sounds: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """X-vectors ``[sounds, width]`` in order.

        Only prepared sounds of equal length share a pass. Padding is no choice here: WavLM's first group norm runs
        over time, so padded samples change every frame, mask or not.
        """
        import torch

        prepared = [self.config.prepare(sound) for sound in sounds]
        out = np.empty((len(sounds), self.config.width), np.float32)
        order = sorted(range(len(prepared)), key=lambda index: len(prepared[index]))
        with torch.inference_mode():
            for _, group in groupby(order, key=lambda index: len(prepared[index])):
                places = list(group)
                batch = torch.from_numpy(np.stack([prepared[place] for place in places]))
                out[places] = self.forward(batch.to(self._device, self._dtype)).float().cpu().numpy()
        return out
