"""NAME=VALUE options: read, and refused where they are none."""

import pytest

from feature_repo.errors import BadInputError
from feature_repo.option_pairs import option_pairs


def test_pairs_by_name():
    assert option_pairs("--rule", ["tess=train", " a = b=c "]) == {"tess": "train", "a": "b=c"}
    assert option_pairs("--rule", ["a=b", "a=b"]) == {"a": "b"}
    assert option_pairs("--rule", None) == option_pairs("--rule", []) == {}


@pytest.mark.parametrize("text", ["tess", "=train", "tess=", ""])
def test_no_pair(text):
    with pytest.raises(BadInputError, match=f"--rule {text!r}: expected NAME=VALUE"):
        option_pairs("--rule", [text])


def test_a_name_twice():
    with pytest.raises(BadInputError, match="--rule a is given twice: 'b' and 'c'"):
        option_pairs("--rule", ["a=b", "a=c"])
