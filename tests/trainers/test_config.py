"""Settings: the paper's values, what is assumed, and answers to bad keys and values."""

import dataclasses

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.config import (
    AdapterConfig,
    KANConfig,
    TrainingConfig,
    described,
    identity_values,
    resolve,
    values,
)

# papers/000 III-B2, copied by hand.
PAPER = {
    "lr": 0.001,
    "weight_decay": 1e-5,
    "batch_size": 32,
    "max_epochs": 100,
    "patience": 10,
    "plateau_factor": 0.1,
    "plateau_patience": 5,
    "hidden": [256, 128],
    "dropout": 0.3,
    "optimizer": "adam",
}


def test_defaults_are_the_papers_values_with_their_section() -> None:
    told = described(resolve(AdapterConfig))
    assert {name: told[name]["value"] for name in PAPER} == PAPER
    assert all(told[name]["source"] == "papers/000 III-B2" for name in PAPER)


def test_every_value_that_no_paper_states_is_marked_assumed_with_a_reason() -> None:
    told = described(resolve(AdapterConfig))
    assert set(told) == {item.name for item in dataclasses.fields(AdapterConfig)}
    for name, entry in told.items():
        assert ("source" in entry) == (name in PAPER)
        assert entry.get("assumed", False) is (name not in PAPER)
        assert entry.get("assumed") is None or entry["why"]


def test_a_changed_value_of_the_paper_is_assumed_and_tells_the_papers() -> None:
    entry = described(resolve(AdapterConfig, ["lr=1e-4"]))["lr"]
    assert entry == {"value": 1e-4, "assumed": True, "why": "given; papers/000 III-B2 has 0.001"}


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("lr=1e-4", "lr", 1e-4),
        ("hidden=[64,32]", "hidden", [64, 32]),
        ("selection=uar", "selection", "uar"),
        ("class_weights.fear=15", "class_weights", {"fear": 15.0}),
        ("clip_norm=1", "clip_norm", 1.0),
        ("accumulate=4", "accumulate", 4),
        ("ema=0.999", "ema", 0.999),
        ("precision=bfloat16", "precision", "bfloat16"),
        ("corpus_weights.meld=4", "corpus_weights", {"meld": 4.0}),
        ("class_weights={fear: 15, joy: 1}", "class_weights", {"fear": 15.0, "joy": 1.0}),
    ],
)
def test_overrides(override: str, name: str, value: object) -> None:
    got = values(resolve(AdapterConfig, [override]))
    assert got == values(resolve(AdapterConfig)) | {name: value}
    assert type(got[name]) is type(value)


def test_class_weights_of_several_overrides_add_up() -> None:
    config = resolve(TrainingConfig, ["class_weights.fear=15", "class_weights.joy=2"])
    assert config.class_weights == {"fear": 15.0, "joy": 2.0}


def test_an_unknown_key_is_named_with_those_that_exist() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown config key 'learning_rate'; allowed: .*\blr\b"
    ) as caught:
        resolve(AdapterConfig, ["learning_rate=1"])
    assert caught.value.allowed == sorted(item.name for item in dataclasses.fields(AdapterConfig))


@pytest.mark.parametrize(
    "override",
    [
        "lr",
        "lr=fast",
        "lr=0",
        "lr.x=1",
        "batch_size=2.5",
        "batch_size=1",
        "hidden=[]",
        "hidden=[64,x]",
        "dropout=1",
        "selection=f2",
        "class_weights.fear=0",
        "class_weights=3",
        "patience=0",
        "validation_share=1",
        "clip_norm=-1",
        "accumulate=0",
        "ema=1",
        "precision=float8",
        "corpus_weights.meld=0",
        "lr=[",
    ],
)
def test_a_bad_value_names_its_key(override: str) -> None:
    with pytest.raises(BadInputError, match=override.split("=")[0].split(".")[0]):
        resolve(AdapterConfig, [override])


@pytest.mark.parametrize("override", ["grid=0", "order=0", "span=0", "dropout=1"])
def test_a_bad_value_of_the_kan_adapter_names_its_key(override: str) -> None:
    with pytest.raises(BadInputError, match=override.split("=")[0]):
        resolve(KANConfig, [override])


def test_the_kan_adapters_own_settings_are_no_papers() -> None:
    told = described(resolve(KANConfig))
    for name in ("hidden", "dropout", "grid", "order", "span"):
        assert told[name]["assumed"] is True
        assert "papers/002" in told[name]["why"]
    assert told["lr"] == {"value": 0.001, "source": "papers/000 III-B2"}


@pytest.mark.parametrize("kind", [AdapterConfig, KANConfig])
def test_a_key_holds_a_later_setting_only_where_it_was_changed(kind: type[AdapterConfig]) -> None:
    later = {"clip_norm", "accumulate", "ema", "precision", "corpus_weights", "optimizer"}
    later |= {"class_balance", "corpus_balance"}
    plain = identity_values(kind())
    assert set(plain) == {item.name for item in dataclasses.fields(kind)} - later
    changed = identity_values(resolve(kind, ["ema=0.99", "lr=0.001", "accumulate=1"]))
    assert changed == plain | {"ema": 0.99}
