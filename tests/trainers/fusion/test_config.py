"""Settings: what the papers state, what we assumed, what is refused."""

from dataclasses import fields

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.config import AdapterConfig, TrainingConfig, described, resolve
from trainers.fusion.config import (
    ConversationConfig,
    FusionConfig,
    MambaAdapterConfig,
    MambaFusionConfig,
    TokenTransformerConfig,
)
from trainers.fusion.registry import fusion_model, fusion_names


@pytest.mark.parametrize("name", fusion_names())
def test_every_setting_has_a_paper_or_a_reason(name: str) -> None:
    kind = fusion_model(name).config
    for setting, told in described(resolve(kind)).items():
        assert ("source" in told) != ("why" in told), setting
        assert told.get("source", told.get("why")), setting


def test_mamba_fusions_are_those_of_the_paper() -> None:
    told = described(resolve(MambaFusionConfig))
    stated = {name: one["value"] for name, one in told.items() if one.get("source") == "papers/000 III-B3"}
    # papers/000 III-B3, read off the text.
    assert stated == {
        "optimizer": "adamw",
        "lr": 1e-5,
        "batch_size": 32,
        "patience": 10,
        "selection": "weighted_f1",
        "label_smoothing": 0.2,
        "depth": 1,
        "d_state": 64,
        "d_conv": 4,
        "expand": 2,
    }


def test_the_mamba_adapter_trains_as_the_mlp_adapter() -> None:
    mine, theirs = MambaAdapterConfig(), AdapterConfig()
    common = {item.name for item in fields(TrainingConfig)} | {"dropout", "scaling"}
    assert {name: getattr(mine, name) for name in common} == {name: getattr(theirs, name) for name in common}
    assert mine.width == theirs.hidden[-1]


def test_the_reports_are_those_of_its_sections() -> None:
    told = described(resolve(TokenTransformerConfig))
    stated = {name: (one["value"], one["source"]) for name, one in told.items() if "source" in one}
    assert stated == {
        "optimizer": ("adamw", "papers/003 4.3"),
        "selection": ("uar", "papers/003 4.2"),
        "label_smoothing": (0.1, "papers/003 4.3"),
        "modality_dropout": (0.2, "papers/003 5.1"),
        "width": (256, "papers/003 3.2"),
        "depth": (4, "papers/003 3.2"),
        "heads": (8, "papers/003 3.2"),
        "ffn_mult": (4, "papers/003 3.2"),
    }


@pytest.mark.parametrize(
    ("kind", "override", "allowed"),
    [
        ("mamba", "depth=0", "1 or more"),
        ("mamba", "modality_dropout=1.0", "from 0 to below 1"),
        ("mamba", "version=3", "1, 2"),
        ("conversation", "version=0", "1, 2"),
        ("gated", "latent=0", "1 or more"),
        ("token-transformer", "heads=7", "a multiple of heads=7"),
        ("cross-modal-transformer", "depth=0", "1 or more"),
        ("conversation", "roles=0", "1 or more"),
        ("mamba-adapter", "width=0", "1 or more"),
        ("mamba-adapter", "version=3", "1, 2"),
        ("conversation", "dropout=-0.1", "from 0 to below 1"),
    ],
)
def test_values_out_of_range_are_refused(kind: str, override: str, allowed: str) -> None:
    with pytest.raises(BadInputError, match=f"config key .* allowed: {allowed}"):
        resolve(fusion_model(kind).config, [override])


def test_choices_are_refused_by_name() -> None:
    with pytest.raises(BadInputError, match="'block' is 'gru'; allowed: plain, residual"):
        MambaFusionConfig(block="gru")
    with pytest.raises(BadInputError, match="'context' is 'future'; allowed: past, both"):
        ConversationConfig(context="future")
    with pytest.raises(UnknownNameError, match="'d_states'"):
        resolve(MambaFusionConfig, ["d_states=16"])
    assert isinstance(resolve(MambaFusionConfig, ["absent=zero"]), FusionConfig)
