"""Hidden states of WavLM, wav2vec 2.0 or HuBERT: how it is spoken (papers/003 sections 2.1 and 3.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from extractors.audio_extractor import AudioExtractor, AudioModelSettings, Embedded
from extractors.encoders.hidden_states import pooled_width
from extractors.encoders.wavlm import SpeechPooling, WavLMConfig, WavLMEncoder, check_layer
from extractors.protocol import SAMPLE_RATE, Waveform
from extractors.registry import register
from extractors.settings import Settings, runtime
from extractors.weights import locate, weights_digest
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe

CODE_VERSION = 1


@dataclass(frozen=True)
class WavLMSettings(AudioModelSettings):
    """Settings of speech states.

    Attributes:
        model: a WavLM, wav2vec 2.0 or HuBERT.
        pooling: ``mean-std`` (papers/003 section 3.3) or ``mean`` over the frames.
        layer: which hidden state: 0 is what enters the first layer, 1 what leaves it; -1 is the model's output.
        frames: whether the states of each frame of 20 ms are stored too.
        max_seconds: 15 or 20 in papers/003 section 2.3; attention costs the square of it.
        compute_dtype: number type of the forward pass.
    """

    batch_size: int = runtime(16)
    model: str = runtime("microsoft/wavlm-base")
    pooling: SpeechPooling = "mean-std"
    layer: int = -1
    frames: bool = runtime(False)
    max_seconds: float = 15.0
    compute_dtype: Literal["float32", "float16", "bfloat16"] = runtime(
        "float32"
    )  # a field of the recipe itself


@register
class WavLM(AudioExtractor):
    """Hidden states of a self-supervised model, pooled and, where wanted, of each frame."""

    name: ClassVar[str] = "wavlm"
    modality: ClassVar[str] = "speech"
    Settings: ClassVar[type[Settings]] = WavLMSettings
    code_version: ClassVar[int] = CODE_VERSION
    batch_tolerance: ClassVar[float] = 2e-3  # float16 frames round at 5e-4 of their magnitude, twice
    summary: ClassVar[str] = "hidden states of WavLM, wav2vec 2.0 or HuBERT"
    settings: WavLMSettings

    def __init__(self, settings: WavLMSettings) -> None:
        super().__init__(settings)
        self._recipes: dict[str, Recipe] = {}
        self._encoder: WavLMEncoder | None = None

    def recipes(self) -> Mapping[str, Recipe]:
        """The pooled recipe, and that of the frames in float16."""
        if not self._recipes:
            settings = self.settings
            folder = locate(settings.model, download=settings.download)
            config = WavLMConfig.read(folder)
            check_layer(settings.layer, config)
            stated = self.identity()
            pooled = Recipe(
                "speech",
                self.name,
                self.code_version,
                "media",
                "pooled",
                pooled_width(settings.pooling, config.width),
                weights=weights_digest(folder),
                compute_dtype=settings.compute_dtype,
                settings=stated,
            )
            self._recipes["speech"] = pooled
            if settings.frames:
                stated.pop("pooling", None)  # changes no frame's states
                changed = {"layout": "steps", "width": config.width, "dtype": "float16", "settings": stated}
                self._recipes["speech_steps"] = Recipe.from_identity(pooled.identity() | changed)
        return self._recipes

    def shortest_s(self) -> float:
        """Seconds of one frame."""
        assert self._encoder is not None, "load() comes first"
        return self._encoder.config.samples(1) / SAMPLE_RATE

    def load(self, device: str) -> None:
        """Load the model onto the device."""
        settings = self.settings
        self._encoder = WavLMEncoder(
            locate(settings.model, download=settings.download),
            device,
            compute_dtype=settings.compute_dtype,
            pooling=settings.pooling,
            layer=settings.layer,
        )

    def embed(self, waveforms: Sequence[Waveform]) -> Sequence[Embedded]:
        """One vector a sound, and its frames where they are wanted."""
        assert self._encoder is not None, "load() comes first"
        encoded = self._encoder.encode(waveforms, steps=self.settings.frames)
        if encoded.steps is None:
            return list(encoded.pooled)
        return [
            {"speech": Features(pooled), "speech_steps": Features(frames)}
            for pooled, frames in zip(encoded.pooled, encoded.steps, strict=True)
        ]
