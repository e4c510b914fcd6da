"""Widths stated by a folder's files are those of the loaded model."""

import json

import pytest

from extractors.encoders.sentence import SentenceEncoder, sentence_widths
from extractors.weights import locate
from feature_repo.errors import BadInputError
from tests.extractors.conftest import MINILM


def write(folder, config, modules=None, **parts):
    (folder / "config.json").write_text(json.dumps(config))
    if modules is not None:
        listed = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in modules]
        (folder / "modules.json").write_text(json.dumps(listed))
    for name, part in parts.items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(part))
    return sentence_widths(folder)


def test_the_real_model_states_its_widths():
    folder = locate(MINILM)
    widths = sentence_widths(folder)
    model = SentenceEncoder(folder, "cpu").model
    assert (widths.pooled, widths.token) == (model.get_embedding_dimension(), 384)


def test_a_dense_module_sets_the_pooled_width(tmp_path):
    modules = [("Transformer", ""), ("Pooling", "pool"), ("Dense", "dense"), ("Normalize", "norm")]
    pooling = {"word_embedding_dimension": 768, "pooling_mode_mean_tokens": True}
    widths = write(tmp_path, {"hidden_size": 768}, modules, pool=pooling, dense={"out_features": 512})
    assert (widths.pooled, widths.token) == (512, 768)


@pytest.mark.parametrize(
    ("pooling", "pooled"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, 1536),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, 768),
        ({"pooling_mode": ["cls", "max", "mean"]}, 2304),
        ({"pooling_mode": "cls"}, 768),
    ],
)
def test_each_pooling_mode_adds_its_width(tmp_path, pooling, pooled):
    widths = write(tmp_path, {"d_model": 768}, [("Transformer", ""), ("Pooling", "pool")], pool=pooling)
    assert widths.pooled == pooled


def test_a_bare_encoder_is_pooled_by_the_mean(tmp_path):
    assert write(tmp_path, {"dim": 256}).pooled == 256


def test_a_config_without_a_width_is_told(tmp_path):
    with pytest.raises(BadInputError, match="states no width"):
        write(tmp_path, {"layers": 3})
