"""The paper's settings, and answers to slips."""

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.config import described, resolve
from trainers.text_encoder.config import TextEncoderConfig


def test_defaults_are_the_papers() -> None:
    told = described(TextEncoderConfig())
    stated = {name: entry["value"] for name, entry in told.items() if "source" in entry}
    assert stated == {
        "per_emotion": 6200,
        "epochs": 3,
        "lr": 2e-5,
        "batch_size": 16,
        "weight_decay": 0.01,
        "validate_every": 0,
    }
    assert all(entry["assumed"] and entry["why"] for entry in told.values() if "source" not in entry)


def test_overrides_are_told_beside_the_papers() -> None:
    config = resolve(TextEncoderConfig, ["lr=1e-4", "shortfall=oversample", "languages=[en,de]"])
    assert (config.lr, config.shortfall, config.languages) == (1e-4, "oversample", ("en", "de"))
    assert described(config)["lr"]["why"] == "given; papers/000 III-B1c has 2e-05"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("lr=0", "'lr' is 0.0; allowed: above 0"),
        ("per_emotion=0", "1 or more"),
        ("test_share=0.95", "below 1 together with validation_share"),
        ("max_length=2", "0, or 3 and more"),
        ("warmup=1", "from 0 to below 1"),
        ("precision=float8", "config key 'precision'"),
        ("shortfall=some", "Invalid value 'some', expected one of .'cap', 'oversample'"),
        ("splits=mine", "expected one of .'own', 'drawn'"),
    ],
)
def test_values_out_of_range_are_told(override: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        resolve(TextEncoderConfig, [override])


def test_an_unknown_key_is_told() -> None:
    with pytest.raises(UnknownNameError, match="'speed'; allowed: accumulate, batch_size"):
        resolve(TextEncoderConfig, ["speed=1"])
