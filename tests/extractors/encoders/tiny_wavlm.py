"""Folders of speech models small enough for a test, their weights drawn by NumPy so that they never change."""

from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 32
LAYERS = 3


def build_tiny_wavlm(folder: Path, *, kind: str = "wavlm", norm: str = "group") -> Path:
    """A WavLM, wav2vec 2.0 or HuBERT of three layers and 32 units whose frames are 20 ms, as transformers saves it.

    Args:
        folder: to be written.
        kind: model type.
        norm: of the convolutions: ``group`` as in the base models, ``layer`` as in the large ones.
    """
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model(
        kind,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=(16, 16, 16),
        conv_stride=(5, 8, 8),
        conv_kernel=(10, 8, 8),
        conv_bias=norm == "layer",
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        vocab_size=8,
    )
    model: Any = AutoModel.from_config(config)
    draw_weights(model, 11)
    model.save_pretrained(folder)
    return folder


def draw_weights(model: Any, seed: int) -> None:
    """Replace a model's weights by numbers that keep the scale from layer to layer."""
    import torch

    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = rng.standard_normal(tuple(parameter.shape))
            if parameter.ndim > 1:
                values *= (len(values) / values.size) ** 0.5
            else:
                values = 0.05 * values + ("norm" in name.lower() and name.endswith("weight"))
            parameter.copy_(torch.from_numpy(np.asarray(values, np.float32)))
