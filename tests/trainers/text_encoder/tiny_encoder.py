"""A sentence-transformers folder small enough for a test, its weights drawn by NumPy so that they never change."""

from pathlib import Path

import numpy as np

WORDS = (
    "i",
    "am",
    "so",
    "happy",
    "angry",
    "sad",
    "it",
    "is",
    "a",
    "day",
    "the",
    "was",
    "not",
    "very",
    "today",
)
LONGEST = 24


def build_tiny_encoder(folder: Path, *, normalise: bool = True) -> Path:
    """A BERT of two layers and 16 units with mean pooling, as all-MiniLM and all-mpnet are."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    plain = folder.with_name(f"{folder.name}_plain")
    plain.mkdir(parents=True)
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *WORDS,
        *(f"w{number}" for number in range(40)),
    ]
    (plain / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = BertTokenizerFast(str(plain / "vocab.txt"), model_max_length=LONGEST)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    model = BertModel(config)
    rng = np.random.default_rng(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = rng.standard_normal(tuple(parameter.shape)) * 0.3
            if parameter.ndim == 1:
                values = 0.05 * values + ("LayerNorm" in name and name.endswith("weight"))
            parameter.copy_(torch.from_numpy(np.asarray(values, np.float32)))
    model.save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    modules = [Transformer(str(plain), max_seq_length=LONGEST), Pooling(16)]
    SentenceTransformer(modules=modules + [Normalize()] * normalise, device="cpu").save(str(folder))
    return folder
