"""A WavLM x-vector model: load, prepare, forward (Chen et al. 2022; Snyder et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from extractors.encoders.sound_frames import SoundFrames, equal_lengths, read_speech_config


@dataclass(frozen=True)
class XVectorConfig(SoundFrames):
    """What a model folder says of its sizes, with transformers' defaults where it is silent.

    Attributes:
        width: numbers per x-vector.
        minimum_frames: frames that two steps behind the time-delay layers need, so that their deviation exists.
    """

    width: int
    minimum_frames: int

    @property
    def minimum_samples(self) -> int:
        """Samples that the model needs."""
        return self.samples(self.minimum_frames)

    @classmethod
    def read(cls, folder: Path) -> XVectorConfig:
        """The sizes stated in a model folder, read without a model library.

        Raises:
            BadInputError: not a WavLM folder.
        """
        config = read_speech_config(folder, ("wavlm",), "the x-vector extractor")
        sound = SoundFrames.of(folder, config)
        delays = zip(
            config.get("tdnn_kernel", (5, 3, 3, 1, 1)),
            config.get("tdnn_dilation", (1, 2, 3, 1, 1)),
            strict=True,
        )
        frames = 2 + sum((kernel - 1) * dilation for kernel, dilation in delays)
        width = int(config.get("xvector_output_dim", 512))
        return cls(sound.receptive, sound.stride, sound.normalise, width, frames)


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
        with torch.inference_mode():
            for places in equal_lengths(prepared):
                batch = torch.from_numpy(np.stack([prepared[place] for place in places]))
                out[places] = self.forward(batch.to(self._device, self._dtype)).float().cpu().numpy()
        return out
