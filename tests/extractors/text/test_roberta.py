"""RoBERTa as an extractor: what its settings do to the recipe, and which texts give what."""

import json
import shutil

import numpy as np
import pytest

from extractors.encoders.roberta import RobertaEncoder
from extractors.protocol import Item
from extractors.registry import create
from feature_repo.errors import BadInputError, UnknownNameError
from tests.extractors.encoders.tiny_roberta import WIDTH, build_tiny_bert


def roberta(folder, **settings):
    return create("roberta", {"model": str(folder), **settings})


def test_what_is_stored_is_what_a_training_with_the_encoder_sees(tiny_roberta_states):
    made = roberta(tiny_roberta_states, tokens="yes")
    made.load("cpu")
    texts = ["Yes.", "", "I am here.", " "]
    outcomes = made.extract([Item(f"c/{place}", text) for place, text in enumerate(texts)])
    in_the_loop = RobertaEncoder(tiny_roberta_states, "cpu").pooled(["Yes.", "I am here."]).detach().numpy()
    np.testing.assert_allclose([outcomes[place]["text"].value for place in (0, 2)], in_the_loop, atol=1e-6)
    assert outcomes[0]["text_steps"].value.shape == (4, WIDTH)
    for blank in (outcomes[1], outcomes[3]):
        assert {output: features.note for output, features in blank.items()} == {
            "text": "empty text",
            "text_steps": "empty text",
        }


def test_recipes_say_what_changes_the_numbers(tiny_roberta_states):
    plain = roberta(tiny_roberta_states).recipes()
    assert set(plain) == {"text"}
    assert (plain["text"].width, plain["text"].languages, plain["text"].settings) == (WIDTH, ("en",), {})
    wide = roberta(tiny_roberta_states, pooling="mean-std", context="7", prefix="yes", tokens="yes").recipes()
    assert (wide["text"].width, wide["text_steps"].width) == (2 * WIDTH, WIDTH)
    assert wide["text"].settings == {"pooling": "mean-std", "context": 7, "prefix": True}
    assert wide["text_steps"].settings == {"context": 7, "prefix": True}, "words are not pooled"
    assert wide["text"].identity() | {"weights": ""} == {
        "modality": "text",
        "extractor": "roberta",
        "code_version": 1,
        "reads": "text",
        "layout": "pooled",
        "width": 2 * WIDTH,
        "weights": "",
        "languages": ["en"],
        "settings": {"pooling": "mean-std", "context": 7, "prefix": True},
    }, "a field more would move the key of what is stored"
    same = roberta(tiny_roberta_states, batch_size="3", tokens="yes").recipes()
    assert same["text"] == plain["text"]
    with pytest.raises(UnknownNameError, match="roberta pooling 'max'; allowed: cls, mean, mean-std"):
        roberta(tiny_roberta_states, pooling="max")
    with pytest.raises(BadInputError, match="max_length=2"):
        roberta(tiny_roberta_states, max_length="2")


def test_a_bert_is_read_too_and_another_model_refused(tmp_path, tiny_roberta_states):
    made = roberta(build_tiny_bert(tmp_path / "bert"))
    made.load("cpu")
    (outcome,) = made.extract([Item("c/0", "I am so happy!")])
    assert outcome["text"].value.shape == (WIDTH,)
    shutil.copytree(tiny_roberta_states, tmp_path / "other")
    stated = json.loads((tmp_path / "other/config.json").read_text())
    (tmp_path / "other/config.json").write_text(json.dumps(stated | {"model_type": "gpt2"}))
    with pytest.raises(BadInputError, match="model_type is 'gpt2'"):
        roberta(tmp_path / "other").recipes()


def test_of_a_context_that_is_too_long_the_oldest_words_are_cut(tiny_roberta_states):
    cut, own = (roberta(tiny_roberta_states, max_length="8", context=turns) for turns in ("3", "0"))
    for made in (cut, own):
        made.load("cpu")
    (found,), (start,) = (made.extract([Item("c/0", "abcdefghij")]) for made in (cut, own))
    (wanted,), (first,) = (own.extract([Item("c/0", text)]) for text in ("efghij", "abcdef"))
    np.testing.assert_allclose(found["text"].value, wanted["text"].value, atol=1e-6)
    np.testing.assert_allclose(start["text"].value, first["text"].value, atol=1e-6)
