"""Text states against transformers called directly, on tiny models with random weights."""

import json

import numpy as np
import pytest
import torch

from extractors.encoders.roberta import RobertaConfig, RobertaEncoder
from feature_repo.errors import BadInputError
from tests.extractors.encoders.tiny_roberta import POSITIONS, WIDTH, build_tiny_bert, build_tiny_roberta

TEXTS = ["I am so happy!", "No.", "What are you doing in there? </s> I am so sad 🙂.", "a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny_roberta(tmp_path_factory.mktemp("text") / "roberta")


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return build_tiny_bert(tmp_path_factory.mktemp("text") / "bert")


def states_of(folder, text, **options):
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tokens = tokenizer(text, return_tensors="pt", **options)
    with torch.no_grad():
        return model(**tokens).last_hidden_state[0].numpy(), tokens.input_ids[0].tolist()


@pytest.mark.parametrize("kind", ["folder", "bert"])
@pytest.mark.parametrize("pooling", ["cls", "mean", "mean-std"])
def test_vectors_are_those_of_the_model(request, kind, pooling):
    place = request.getfixturevalue(kind)
    encoder = RobertaEncoder(place, "cpu", pooling=pooling)
    found = encoder.encode(TEXTS).pooled
    assert found.shape == (4, encoder.width) == (4, WIDTH * (2 if pooling == "mean-std" else 1))
    for text, pooled in zip(TEXTS, found, strict=True):
        states, _ = states_of(place, text, truncation=True)
        wanted = {
            "cls": states[0],
            "mean": states.mean(0),
            "mean-std": np.concatenate([states.mean(0), states.std(0)]),
        }[pooling]
        np.testing.assert_allclose(pooled, wanted, atol=1e-5)


def test_steps_are_the_words_without_special_tokens(folder):
    found = RobertaEncoder(folder, "cpu").encode(TEXTS, tokens=True)
    for text, steps in zip(TEXTS, found.steps, strict=True):
        states, ids = states_of(folder, text)
        words = [place for place, number in enumerate(ids) if number not in (0, 1, 2, 4)]
        np.testing.assert_allclose(steps, states[words], atol=5e-3)
        assert steps.dtype == np.float16


def test_the_separator_of_turns_is_the_tokenizers_own(folder):
    encoder = RobertaEncoder(folder, "cpu")
    ids = encoder.tokenise(["No. </s> No."])["input_ids"][0].tolist()
    assert ids.count(encoder.tokenizer.sep_token_id) == 2, "between the turns, and at the end"


@pytest.mark.parametrize(("max_length", "read"), [(0, POSITIONS), (8, 8), (999, POSITIONS)])
def test_a_long_text_is_cut_at_the_right_or_at_the_left(folder, max_length, read):
    text = "abcdefghij" * 10  # a token each
    for side in ("right", "left"):
        encoder = RobertaEncoder(folder, "cpu", max_length=max_length, truncation_side=side)
        ids = encoder.tokenise([text])["input_ids"]
        assert ids.shape == (1, read)
        words = encoder.tokenizer.decode(ids[0], skip_special_tokens=True)
        assert words == (text[: read - 2] if side == "right" else text[-read + 2 :])
        assert np.isfinite(encoder.encode([text]).pooled).all()


def test_the_limit_of_a_tokenizer_that_states_none_is_the_models(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    stated = json.loads((tmp_path / "copy/tokenizer_config.json").read_text())
    del stated["model_max_length"]
    (tmp_path / "copy/tokenizer_config.json").write_text(json.dumps(stated))
    encoder = RobertaEncoder(tmp_path / "copy", "cpu")
    assert encoder.max_length == POSITIONS
    assert np.isfinite(encoder.encode(["abcdefghij" * 10]).pooled).all()


def test_vectors_in_training_are_those_that_are_stored_and_have_a_gradient(folder):
    encoder = RobertaEncoder(folder, "cpu")
    pooled = encoder.pooled(TEXTS)
    np.testing.assert_allclose(pooled.detach().numpy(), encoder.encode(TEXTS).pooled, atol=1e-6)
    pooled.square().sum().backward()
    assert all(each.grad is not None for name, each in encoder.model.named_parameters() if "query" in name)
    with torch.no_grad():
        assert not encoder.pooled(TEXTS).requires_grad


def test_half_precision_is_close(folder):
    wide, half = (RobertaEncoder(folder, "cpu", compute_dtype=each) for each in ("float32", "float16"))
    wanted, found = (each.encode(TEXTS).pooled for each in (wide, half))
    assert found.dtype == np.float32
    assert 0 < np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()


def test_other_models_are_refused(tmp_path):
    with pytest.raises(BadInputError, match="it has no config"):
        RobertaConfig.read(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(
        BadInputError, match="model_type is 't5'; the encoder of text takes 'roberta', 'xlm-roberta'"
    ):
        RobertaConfig.read(tmp_path)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "roberta", "max_position_embeddings": 514})
    )
    assert RobertaConfig.read(tmp_path) == RobertaConfig(768, 512)
