"""Every model by its name: settings, what it reads, and the same model again from a run."""

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from trainers.config import AdapterConfig
from trainers.fusion.config import ConversationConfig, MambaFusionConfig
from trainers.fusion.slots import Slot
from trainers.models import fresh_model, model_config, model_name, model_names, model_reads


def test_names_settings_and_what_they_read() -> None:
    assert (model_reads("kan"), model_reads("mamba"), model_reads("conversation")) == (
        "rows",
        "utterances",
        "dialogues",
    )
    assert model_config("mlp") is AdapterConfig
    assert model_config("mamba") is MambaFusionConfig
    for name in model_names():
        assert model_name(model_config(name)()) == name
    with pytest.raises(UnknownNameError, match="'cnn'; allowed: conversation, .*kan, mamba"):
        model_config("cnn")
    with pytest.raises(BadInputError, match="reads texts, not views"):
        model_reads("text-encoder")


def test_an_adapter_takes_the_slots_side_by_side_and_fusion_each() -> None:
    slots = (Slot("text", 7), Slot("speaker", 5, True))
    adapter = fresh_model(slots, 3, AdapterConfig(hidden=(4,)))
    assert adapter.mean.shape == (12,)  # type: ignore[union-attr]
    conversation = fresh_model(slots, 3, ConversationConfig(width=8))
    assert conversation.projection.in_features == 12  # type: ignore[union-attr]
