"""Every adapter's settings name it, build it, and build it again from what a record keeps."""

import json

import pytest
import torch

from feature_repo.errors import UnknownNameError
from trainers.adapters.kan_adapter import KANAdapter
from trainers.adapters.mlp_adapter import MLPAdapter
from trainers.adapters.registry import ADAPTERS, adapter_config, adapter_name, adapter_shape, build_adapter
from trainers.config import resolve


@pytest.mark.parametrize(("name", "kind"), [("mlp", MLPAdapter), ("kan", KANAdapter)])
def test_a_name_gives_its_settings_and_they_its_name_and_model(name: str, kind: type) -> None:
    config = resolve(adapter_config(name), ["hidden=[6,3]"])
    assert adapter_name(config) == name
    assert type(build_adapter(name, 4, 2, adapter_shape(config))) is kind


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_a_record_keeps_builds_the_same_shapes(name: str) -> None:
    overrides = ["hidden=[6,3]", *(["grid=7", "order=2", "span=1.5"] if name == "kan" else [])]
    shape = adapter_shape(resolve(adapter_config(name), overrides))
    first = build_adapter(name, 4, 2, shape, dropout=0.3)
    again = build_adapter(name, 4, 2, json.loads(json.dumps({"key": "x", **shape})))
    again.load_state_dict(first.state_dict())
    rows = torch.randn(5, 4)
    assert torch.equal(first.eval()(rows), again.eval()(rows))


def test_an_unknown_adapter_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'cnn'; allowed: kan, mlp"):
        adapter_config("cnn")
