import numpy as np
from sklearn.utils import murmurhash3_32

from extractors.protocol import Item
from extractors.registry import create


def vectors(*texts: str, **settings: str):
    made = create("hashing", settings)
    made.load("cpu")
    return [
        outcome["text"] for outcome in made.extract([Item(f"c/{n}", text) for n, text in enumerate(texts)])
    ]


def test_each_word_adds_its_signed_hash():
    (features,) = vectors("happy happy Sad")
    wanted = np.zeros(768)
    for word in ("happy", "happy", "sad"):
        hashed = murmurhash3_32(word, seed=0)  # signed 32 bit
        wanted[abs(hashed) % 768] += 1 if hashed >= 0 else -1
    np.testing.assert_allclose(features.value, wanted / np.linalg.norm(wanted), atol=1e-6)
    assert features.value.dtype == np.float32


def test_word_order_and_case_do_not_count():
    first, second = vectors("so happy today", "Today HAPPY so!")
    np.testing.assert_array_equal(first.value, second.value)


def test_texts_without_words_are_nothings():
    notes = [(each.value, each.note) for each in vectors("", "  ", "I", "?!", "...")]
    assert notes == [(None, "empty text")] * 2 + [(None, "no words")] * 3


def test_the_width_is_the_recipes_field():
    made = create("hashing", {"width": "64"})
    assert made.recipes()["text"].width == 64
    assert made.recipes()["text"].settings == {}
    assert vectors("hello", width="64")[0].value.shape == (64,)
    assert create("hashing").recipes()["text"].width == 768
