"""Folders of text models small enough for a test, their weights drawn by NumPy so that they never change."""

from pathlib import Path
from typing import Any

from tests.extractors.encoders.tiny_wavlm import draw_weights

WIDTH = 32
POSITIONS = 40  # tokens of a text that it can read

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_PAIRS = ("Ġ t", "h e", "Ġt he", "i n", "r e", "Ġ a", "o u", "e r", "l l", "Ġ s", "Ġ w", "n d", "Ġ I")


def build_tiny_roberta(folder: Path) -> Path:
    """A RoBERTa of two layers and 32 units with a byte-level tokenizer, as transformers saves it."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    pieces = [*_SPECIAL, *sorted(ByteLevel.alphabet()), *(pair.replace(" ", "") for pair in _PAIRS)]
    tokenizer: Any = RobertaTokenizerFast(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=[tuple(pair.split()) for pair in _PAIRS],
        model_max_length=POSITIONS,
    )
    config = RobertaConfig(
        vocab_size=len(pieces),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=POSITIONS + 2,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        type_vocab_size=1,
    )
    model: Any = RobertaModel(config, add_pooling_layer=False)
    draw_weights(model, 13)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_tiny_bert(folder: Path) -> Path:
    """A BERT of two layers and 32 units with whole words for tokens, as transformers saves it."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "i",
        "am",
        "so",
        "happy",
        "no",
        "what",
        "?",
        ".",
        "!",
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    tokenizer: Any = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=POSITIONS)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=POSITIONS,
    )
    model: Any = BertModel(config, add_pooling_layer=False)
    draw_weights(model, 17)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
