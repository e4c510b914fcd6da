"""Resemblyzer's voice encoder, with the partial windows of many utterances in one pass (Wan et al. 2018)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH = 256


class ResemblyzerEncoder:
    """A loaded VoiceEncoder.

    Args:
        weights: its ``pretrained.pt``.
        device: ``cpu``, ``cuda``, ``cuda:1``.
    """

    def __init__(self, weights: Path, device: str) -> None:
        import torch  # seconds to import
        from resemblyzer.voice_encoder import VoiceEncoder

        class SafeVoiceEncoder(VoiceEncoder):  # type: ignore[misc]
            """VoiceEncoder without its own ``torch.load``, which may run code from the file."""

            def __init__(self) -> None:
                torch.nn.Module.__init__(self)
                self.lstm = torch.nn.LSTM(40, WIDTH, 3, batch_first=True)
                self.linear = torch.nn.Linear(WIDTH, WIDTH)
                self.relu = torch.nn.ReLU()

        self._device = torch.device(device)
        # weights_only: a file of weights is data, whoever wrote it
        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        self.model: Any = SafeVoiceEncoder()
        self.model.load_state_dict(state, strict=False)
        self.model.to(self._device).eval()

    def prepare(self, samples: npt.NDArray[np.float32], *, trim: bool) -> npt.NDArray[np.float32]:
        """The sound raised to -30 dBFS, and with ``trim`` without its long silences; may come back empty."""
        from resemblyzer import audio, hparams

        louder = audio.normalize_volume(samples, hparams.audio_norm_target_dBFS, increase_only=True)
        if trim:
            # Its 16-bit copy for the voice detector wraps around beyond full scale.
            louder = audio.trim_long_silences(np.clip(louder, -1.0, 1.0))
        return np.asarray(louder, np.float32)

    def encode(self, sounds: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """L2-normalised voice vectors ``[sounds, 256]`` of prepared, non-empty sounds.

        As ``VoiceEncoder.embed_utterance``: windows of 1.6 s, 1.3 a second, the mean of their vectors. The windows
        are equally long, so that those of many utterances share a pass without padding.
        """
        import torch
        from resemblyzer import audio

        windows: list[npt.NDArray[np.float32]] = []
        counts = []
        for sound in sounds:
            wav_slices, mel_slices = self.model.compute_partial_slices(
                len(sound), rate=1.3, min_coverage=0.75
            )
            padded = np.pad(sound, (0, max(wav_slices[-1].stop - len(sound), 0)))
            mel = audio.wav_to_mel_spectrogram(padded)
            windows += [mel[part] for part in mel_slices]
            counts.append(len(mel_slices))
        with torch.inference_mode():
            partial = self.model(torch.from_numpy(np.stack(windows)).to(self._device)).cpu().numpy()
        means = np.stack([part.mean(axis=0) for part in np.split(partial, np.cumsum(counts)[:-1])])
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)  # type: ignore[no-any-return]
