"""Hidden states of RoBERTa or BERT: load, tokenise, forward, pool (Liu et al. 2019; papers/003 sections 2.2, 3.3)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from extractors.encoders.hidden_states import Encoded, Pooling, pool, pooled_width, steps_of
from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    import torch

# Type to the positions that it leaves unused: RoBERTa counts from behind its padding token's id.
_UNUSED_POSITIONS = {"roberta": 2, "xlm-roberta": 2, "bert": 0}
TEXT_TYPES = tuple(_UNUSED_POSITIONS)


@dataclass(frozen=True)
class RobertaConfig:
    """What a model folder says of its sizes, with transformers' defaults where it is silent.

    Attributes:
        width: numbers per hidden state.
        positions: tokens of a text that the model can read, special ones included.
    """

    width: int
    positions: int

    @classmethod
    def read(cls, folder: Path) -> RobertaConfig:
        """The sizes stated in a model folder, read without a model library.

        Raises:
            BadInputError: not the folder of such a model.
        """
        path = folder / "config.json"
        if not path.is_file():
            raise BadInputError(f"{folder} is not a text model's folder: it has no config.json")
        config: dict[str, Any] = json.loads(path.read_bytes())
        kind = config.get("model_type")
        if kind not in _UNUSED_POSITIONS:
            allowed = ", ".join(repr(name) for name in TEXT_TYPES)
            raise BadInputError(f"{path}: model_type is {kind!r}; the encoder of text takes {allowed}")
        positions = int(config.get("max_position_embeddings", 512)) - _UNUSED_POSITIONS[kind]
        return cls(int(config.get("hidden_size", 768)), positions)


class RobertaEncoder:
    """A loaded model, its tokenizer, and how its hidden states are pooled.

    Args:
        folder: the model's folder.
        device: ``cpu``, ``cuda``, ``cuda:1``.
        compute_dtype: number type of the weights and of the forward pass; autocast is the caller's business.
        max_length: tokens that are read of a text, special ones included; 0 is the model's own limit.
        pooling: ``cls``, the first token (papers/003 section 3.3); ``mean`` or ``mean-std`` over all tokens of a text,
            special ones included as in sentence-transformers.
        truncation_side: which end of a text that is too long is cut: ``left`` where it ends in what matters.

    Attributes:
        model: the transformers model, in evaluation mode; a trainer may set it to training mode.
        config: its sizes.
        state_width: numbers per token.
        width: numbers per pooled vector.
        max_length: tokens that are read of a text.

    Raises:
        BadInputError: not the folder of such a model.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        *,
        compute_dtype: str = "float32",
        max_length: int = 0,
        pooling: Pooling = "cls",
        truncation_side: Literal["left", "right"] = "right",
    ) -> None:
        self.config = RobertaConfig.read(folder)
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        import torch  # seconds to import, like transformers
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        loaded: Any = AutoModel.from_pretrained(
            str(folder),
            local_files_only=True,
            dtype=getattr(torch, compute_dtype),
            add_pooling_layer=False,  # a checkpoint of masked words has none, and nothing here reads it
        )
        self.model: torch.nn.Module = loaded.to(device).eval()
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        tokenizer.truncation_side = truncation_side
        self.tokenizer = tokenizer
        own = min(self.config.positions, tokenizer.model_max_length)
        self.max_length = min(max_length, own) if max_length else own
        self.pooling: Pooling = pooling
        self.state_width = self.config.width
        self.width = pooled_width(pooling, self.state_width)
        # An unknown word is a token like any other, although tokenizers count its id among the special ones.
        self._special = torch.tensor(sorted(set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}))

    def tokenise(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """Padded token tensors on the model's device, ``input_ids`` and ``attention_mask`` ``[texts, longest]``."""
        features = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
            return_token_type_ids=False,
        )
        model: Any = self.model
        return {name: tensor.to(model.device, non_blocking=True) for name, tensor in features.items()}

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Hidden states of the last layer ``[texts, longest, state width]``."""
        states: torch.Tensor = self.model(**features).last_hidden_state
        return states

    def pooled(self, texts: Sequence[str]) -> torch.Tensor:
        """Pooled vectors float32 ``[texts, width]`` in order, with a gradient where gradients are on."""
        features = self.tokenise(texts)
        return pool(self.forward(features), features["attention_mask"].bool(), self.pooling)

    def encode(self, texts: Sequence[str], *, tokens: bool = False) -> Encoded:
        """Pooled vectors, and the states of each word where asked for, without gradients.

        Args:
            texts: at least one.
            tokens: whether the states are wanted; special tokens have none.
        """
        import torch  # loaded with the model

        with torch.inference_mode():
            features = self.tokenise(texts)
            states, there = self.forward(features), features["attention_mask"].bool()
            pooled = pool(states, there, self.pooling).cpu().numpy()
            if not tokens:
                return Encoded(pooled, None)
            special = torch.isin(features["input_ids"], self._special.to(there.device))
            return Encoded(pooled, steps_of(states, there & ~special))
