"""A sentence-transformers model: load, tokenise, forward; pooled and token vectors from one pass."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from extractors.encoders.hidden_states import Encoded, steps_of
from feature_repo.errors import BadInputError

_HIDDEN_KEYS = ("hidden_size", "d_model", "dim")


@dataclass(frozen=True)
class SentenceWidths:
    """Numbers per pooled vector and per token vector."""

    pooled: int
    token: int


def sentence_widths(folder: Path) -> SentenceWidths:
    """The widths that a model folder states in its JSON files, without loading it.

    Raises:
        BadInputError: not a model folder, or one that states no width.
    """
    token = _hidden_size(folder)
    modules = folder / "modules.json"
    if not modules.is_file():
        return SentenceWidths(token, token)  # a bare encoder: sentence-transformers pools it by the mean
    pooled = token
    for module in json.loads(modules.read_bytes()):
        kind, config = str(module["type"]).rsplit(".", 1)[-1], folder / str(module["path"]) / "config.json"
        if kind == "Pooling" and config.is_file():
            pooled = token * _pooling_modes(json.loads(config.read_bytes()))
        elif kind == "Dense" and config.is_file():
            pooled = int(json.loads(config.read_bytes())["out_features"])
    return SentenceWidths(pooled, token)


def _hidden_size(folder: Path) -> int:
    config = folder / "config.json"
    if not config.is_file():
        raise BadInputError(f"{folder} is not a text model's folder: it has no config.json")
    stated = json.loads(config.read_bytes())
    for key in _HIDDEN_KEYS:
        if key in stated:
            return int(stated[key])
    raise BadInputError(f"{config} states no width; looked for {', '.join(_HIDDEN_KEYS)}")


def _pooling_modes(config: dict[str, Any]) -> int:
    mode = config.get("pooling_mode")
    if mode is not None:
        return 1 if isinstance(mode, str) else len(mode)
    return sum(bool(value) for key, value in config.items() if key.startswith("pooling_mode_")) or 1


class SentenceEncoder:
    """A loaded sentence-transformers model.

    Args:
        folder: the model's folder.
        device: ``cpu``, ``cuda``, ``cuda:1``.
        max_length: tokens that are read of a text, special ones included; 0 is the model's own limit.
        compute_dtype: number type of the forward pass.
        truncation_side: which end of a text that is too long is cut; None is the model's own.

    Attributes:
        model: the SentenceTransformer; a trainer may set it to training mode.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        *,
        max_length: int = 0,
        compute_dtype: str = "float32",
        truncation_side: Literal["left", "right"] | None = None,
    ) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        import torch  # these three cost seconds to import
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.model = SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            model_kwargs={"dtype": getattr(torch, compute_dtype)},
        ).eval()
        self._own_length = own = self.model.max_seq_length
        if max_length:
            self.model.max_seq_length = min(max_length, own) if own else max_length
        self._device = torch.device(device)
        tokenizer = self.model.tokenizer
        if truncation_side:
            tokenizer.truncation_side = truncation_side
        # An unknown word is a token like any other, although tokenizers count its id among the special ones.
        special = sorted(set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})
        self._special = torch.tensor(special, device=self._device)
        name = self.model.default_prompt_name
        self.prompt: str | None = self.model.prompts.get(name) if name else None

    def save(self, folder: Path) -> None:
        """Write the model as a sentence-transformers folder that reads texts as far as the one that was loaded."""
        reads, self.model.max_seq_length = self.model.max_seq_length, self._own_length
        try:
            self.model.save_pretrained(str(folder), create_model_card=False)
        finally:
            self.model.max_seq_length = reads

    def tokenise(self, texts: Sequence[str]) -> dict[str, Any]:
        """Padded token tensors on the device: ``input_ids`` and ``attention_mask`` ``[texts, longest]``."""
        features = self.model.preprocess(list(texts), prompt=self.prompt)
        return {
            key: value.to(self._device, non_blocking=True) if hasattr(value, "to") else value
            for key, value in features.items()
        }

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        """The model's ``sentence_embedding`` ``[texts, w]`` and ``token_embeddings`` ``[texts, longest, w]``."""
        return dict(self.model(features))

    def word_mask(self, features: dict[str, Any]) -> Any:
        """Which tokens are words: bool ``[texts, longest]``, false at padding and special tokens."""
        special = (features["input_ids"][..., None] == self._special).any(-1)
        return features["attention_mask"].bool() & ~special

    def encode(self, texts: Sequence[str], *, tokens: bool) -> Encoded:
        """Pooled vectors, and token vectors in float16 when asked for, of texts in one forward pass."""
        import torch

        with torch.inference_mode():
            features = self.tokenise(texts)
            mask = self.word_mask(features) if tokens else None
            outputs = self.forward(features)
            pooled = outputs["sentence_embedding"].float().cpu().numpy()
            if mask is None:
                return Encoded(pooled, None)
            return Encoded(pooled, steps_of(outputs["token_embeddings"], mask))
