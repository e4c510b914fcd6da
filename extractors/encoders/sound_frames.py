"""How a speech model cuts sound into frames: what WavLM, wav2vec 2.0 and HuBERT have in common."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.errors import BadInputError

Samples = npt.NDArray[np.float32]

# transformers' defaults where a folder is silent, which are the base models' own.
_KERNELS = (10, 3, 3, 3, 3, 2, 2)
_STRIDES = (5, 2, 2, 2, 2, 2, 2)


@dataclass(frozen=True)
class SoundFrames:
    """The frames of a model's convolutions.

    Attributes:
        receptive: samples that the first frame covers.
        stride: samples between two frames.
        normalise: whether the sound is brought to zero mean and unit variance first.
    """

    receptive: int
    stride: int
    normalise: bool

    @classmethod
    def of(cls, folder: Path, config: Mapping[str, Any]) -> SoundFrames:
        """The frames that a model folder and its configuration state."""
        receptive, stride = 1, 1
        kernels = config.get("conv_kernel", _KERNELS)
        for kernel, step in zip(kernels, config.get("conv_stride", _STRIDES), strict=True):
            receptive += (kernel - 1) * stride
            stride *= step
        preparation = folder / "preprocessor_config.json"
        if preparation.is_file():
            normalise = bool(json.loads(preparation.read_bytes()).get("do_normalize", True))
        else:
            # Without a statement, models with layer norm in the convolutions are the normalised ones.
            normalise = norm_of(config) == "layer"
        return SoundFrames(receptive, stride, normalise)

    def samples(self, frames: int) -> int:
        """Samples that so many frames cover."""
        return self.receptive + (frames - 1) * self.stride

    def prepare(self, samples: Samples) -> Samples:
        """The samples that the model reads: whole frames, normalised where the model wants it.

        The tail that fills no frame (20 ms at most) is left out, so that utterances fall into few lengths: where
        padding is no choice, a batch holds equal lengths only.
        """
        frames = (len(samples) - self.receptive) // self.stride + 1
        samples = samples[: self.samples(frames)]
        if self.normalise:
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        return samples


def norm_of(config: Mapping[str, Any]) -> str:
    """``group``: the first convolution's norm runs over time, so padding changes every frame; or ``layer``."""
    return str(config.get("feat_extract_norm", "group"))


def read_speech_config(folder: Path, types: Collection[str], what: str) -> dict[str, Any]:
    """A speech model's configuration, read without a model library.

    Args:
        folder: the model's folder.
        types: model types that are allowed.
        what: who reads it, for the message.

    Raises:
        BadInputError: not a model's folder, or of another type.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise BadInputError(f"{folder} is not a speech model's folder: it has no config.json")
    config: dict[str, Any] = json.loads(path.read_bytes())
    if config.get("model_type") not in types:
        allowed = ", ".join(repr(name) for name in types)
        raise BadInputError(f"{path}: model_type is {config.get('model_type')!r}; {what} takes {allowed}")
    return config


def equal_lengths(sounds: Sequence[Samples]) -> Iterator[list[int]]:
    """Places of the sounds that are equally long, the shortest first."""
    order = sorted(range(len(sounds)), key=lambda index: len(sounds[index]))
    for _, group in groupby(order, key=lambda index: len(sounds[index])):
        yield list(group)
