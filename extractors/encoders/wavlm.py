"""Hidden states of WavLM, wav2vec 2.0 or HuBERT: load, prepare, forward, pool (Chen et al. 2022; papers/003 2.1)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from extractors.encoders.hidden_states import Encoded, pool, pooled_width, steps_of
from extractors.encoders.sound_frames import (
    Samples,
    SoundFrames,
    equal_lengths,
    norm_of,
    read_speech_config,
)
from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    import torch

SPEECH_TYPES = ("wavlm", "wav2vec2", "hubert")
SpeechPooling = Literal["mean-std", "mean"]


@dataclass(frozen=True)
class WavLMConfig(SoundFrames):
    """What a model folder says of its sizes, with transformers' defaults where it is silent.

    Attributes:
        width: numbers per hidden state.
        layers: of the Transformer; there is one hidden state more, that which enters the first.
        padded: whether sounds of different lengths may share a pass.
    """

    width: int
    layers: int
    padded: bool

    @classmethod
    def read(cls, folder: Path) -> WavLMConfig:
        """The sizes stated in a model folder, read without a model library.

        Raises:
            BadInputError: not the folder of such a model.
        """
        config = read_speech_config(folder, SPEECH_TYPES, "the encoder of speech")
        sound = SoundFrames.of(folder, config)
        width, layers = int(config.get("hidden_size", 768)), int(config.get("num_hidden_layers", 12))
        return cls(sound.receptive, sound.stride, sound.normalise, width, layers, norm_of(config) == "layer")


class WavLMEncoder:
    """A loaded model and how its hidden states are pooled.

    Args:
        folder: the model's folder.
        device: ``cpu``, ``cuda``, ``cuda:1``.
        compute_dtype: number type of the weights and of the forward pass; autocast is the caller's business.
        pooling: ``mean-std`` (papers/003 section 3.3) or ``mean`` over an utterance's frames.
        layer: which hidden state: 0 is what enters the first layer, 1 what leaves it; -1 is the model's output, behind
            its last norm.

    Attributes:
        model: the transformers model, in evaluation mode; a trainer may set it to training mode.
        config: its sizes.
        state_width: numbers per frame.
        width: numbers per pooled vector.

    Raises:
        BadInputError: not the folder of such a model, or a layer that it does not have.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        *,
        compute_dtype: str = "float32",
        pooling: SpeechPooling = "mean-std",
        layer: int = -1,
    ) -> None:
        self.config = WavLMConfig.read(folder)
        check_layer(layer, self.config)
        import torch  # seconds to import, like transformers
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        loaded: Any = AutoModel.from_pretrained(
            str(folder), local_files_only=True, dtype=getattr(torch, compute_dtype)
        )
        # In training it would mask ten frames in a row, which a short utterance does not have.
        loaded.config.apply_spec_augment = False
        self.model: torch.nn.Module = loaded.to(device).eval()
        self.pooling: SpeechPooling = pooling
        self.layer = layer
        self.state_width = self.config.width
        self.width = pooled_width(pooling, self.state_width)

    def forward(self, sounds: Sequence[Samples]) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Hidden states of sounds, in passes of those that may share one.

        Where the convolutions' norm runs over time only equal lengths share a pass: padded samples would change every
        frame, mask or not.

        Args:
            sounds: float32 ``[samples]`` each, mono, 16 kHz.

        Returns:
            For each pass the sounds' places ``[n]``, states ``[n, longest, width]``, and bool ``[n, longest]``: where
            there is a frame.

        Raises:
            BadInputError: a sound without a whole frame.
        """
        prepared = [self._prepared(sound) for sound in sounds]
        if self.config.padded and prepared:
            yield self._pass(prepared, list(range(len(prepared))))
            return
        for places in equal_lengths(prepared):
            yield self._pass(prepared, places)

    def pooled(self, sounds: Sequence[Samples]) -> torch.Tensor:
        """Pooled vectors float32 ``[sounds, width]`` in order, with a gradient where gradients are on.

        Args:
            sounds: float32 ``[samples]`` each, mono, 16 kHz; at least one.

        Raises:
            BadInputError: a sound without a whole frame.
        """
        import torch  # loaded with the model

        order: list[int] = []
        vectors = []
        for places, states, mask in self.forward(sounds):
            order += places
            vectors.append(pool(states, mask, self.pooling))
        back = torch.tensor(np.argsort(order), device=vectors[0].device)
        return torch.cat(vectors)[back]

    def encode(self, sounds: Sequence[Samples], *, steps: bool = False) -> Encoded:
        """Pooled vectors, and the states of each frame where asked for, without gradients.

        Args:
            sounds: float32 ``[samples]`` each, mono, 16 kHz.
            steps: whether the states are wanted.

        Raises:
            BadInputError: a sound without a whole frame.
        """
        import torch  # loaded with the model

        out = np.empty((len(sounds), self.width), np.float32)
        kept: dict[int, Any] = {}
        with torch.inference_mode():
            for places, states, mask in self.forward(sounds):
                out[places] = pool(states, mask, self.pooling).cpu().numpy()
                if steps:
                    kept.update(zip(places, steps_of(states, mask), strict=True))
        return Encoded(out, [kept[place] for place in range(len(sounds))] if steps else None)

    def _prepared(self, sound: Samples) -> Samples:
        if len(sound) < self.config.receptive:
            raise BadInputError(f"a sound of {len(sound)} samples: one frame needs {self.config.receptive}")
        return self.config.prepare(sound)

    def _pass(
        self, prepared: Sequence[Samples], places: list[int]
    ) -> tuple[list[int], torch.Tensor, torch.Tensor]:
        import torch  # loaded with the model

        lengths = [len(prepared[place]) for place in places]
        batch = np.zeros((len(places), max(lengths)), np.float32)
        for row, place in enumerate(places):
            batch[row, : lengths[row]] = prepared[place]
        model: Any = self.model
        samples = torch.from_numpy(batch).to(model.device, model.dtype)
        frames = torch.tensor([(n - self.config.receptive) // self.config.stride + 1 for n in lengths])
        mask = torch.arange(int(frames.max()))[None] < frames[:, None]
        options: dict[str, Any] = {}
        if len(set(lengths)) > 1:
            there = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
            options["attention_mask"] = there.long().to(model.device)
        with warnings.catch_warnings():
            # WavLM gives torch one mask of bools and one of numbers, which is a matter between the two.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            if self.layer == -1:
                states = model(samples, **options).last_hidden_state
            else:
                states = model(samples, output_hidden_states=True, **options).hidden_states[self.layer]
        return places, states, mask.to(model.device)


def check_layer(layer: int, config: WavLMConfig) -> None:
    """Refuse a layer that the model does not have.

    Raises:
        BadInputError: there is no such hidden state.
    """
    if not -config.layers - 1 <= layer <= config.layers:
        raise BadInputError(
            f"layer={layer}: the model has hidden states 0 to {config.layers}, or -1 for its output"
        )
