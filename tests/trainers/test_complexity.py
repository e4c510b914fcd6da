"""What models cost, by hand."""

import pytest
import torch
from torch import Tensor, nn

from feature_repo.errors import BadInputError
from tests.trainers.fusion.fusion_batches import CLASSES, SLOTS, UTTERANCE_MODELS, batch, small
from trainers import complexity as measured
from trainers.adapters.mlp_adapter import MLPAdapter
from trainers.complexity import batch_rows, complexity, forward_flops, forward_seconds, parameter_count, take
from trainers.fusion.config import ConversationConfig, CrossModalTransformerConfig, MambaFusionConfig
from trainers.fusion.conversation import ConversationModel, DialogueBatch
from trainers.fusion.cross_modal_transformer import CrossModalTransformer
from trainers.fusion.inputs import SlotInput
from trainers.fusion.mamba_fusion import MambaFusion
from trainers.fusion.registry import build
from trainers.fusion.slots import Slot
from trainers.mamba import backend
from trainers.mamba.mamba import Mamba
from trainers.mamba.mamba2 import Mamba2


def _mamba_flops(rows: int, steps: int, width: int, states: int, rank: int) -> int:
    """A block of expand 2 and d_conv 4: its products, its convolution, its scan."""
    inner = 2 * width
    at_each_step = (
        2 * width * 2 * inner  # in
        + 2 * inner * (rank + 2 * states)  # step sizes, B and C
        + 2 * rank * inner  # step sizes of the channels
        + 2 * inner * width  # out
        + inner
        * (states * (1 + 1 + 1 + 1 + 1 + 2) + 1 + 2 + 1)  # exponent, exp, decay, enter, add, read; u, D, gate
    )
    return rows * (steps * at_each_step + 2 * (steps + 3) * inner * 4)


def _layer_flops(rows: int, tokens: int, width: int, hidden: int) -> int:
    """A Transformer layer: four projections, scores and values of every pair, two layers forward."""
    return rows * (
        2 * tokens * 4 * width * width + 2 * 2 * tokens * tokens * width + 2 * 2 * tokens * width * hidden
    )


class _Block(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, batch: Tensor) -> Tensor:
        made: Tensor = self.block(batch)
        return made


@pytest.mark.parametrize("scan", ["numba", "plain"])
def test_a_mamba_block(scan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if scan == "numba":
        pytest.importorskip("numba", reason="the extra cpu-kernels")
    else:
        for module in (backend, measured):
            monkeypatch.setattr(module, "best_backend", lambda device, dtype: "plain")
    block = Mamba(16, 4, dt_rank=3)
    assert forward_flops(_Block(block), torch.randn(2, 5, 16)) == _mamba_flops(2, 5, 16, 4, rank=3)


def test_a_mamba_2_block_of_one_chunk() -> None:
    rows, steps, width, states, heads, each = 2, 5, 16, 4, 4, 8
    convolved = 32 + 2 * states
    products = steps * (2 * width * (32 + convolved + heads) + 2 * 32 * width)
    convolution = 2 * (steps + 3) * convolved * 4
    # Scores of all pairs, then values; what the chunk leaves behind; what the chunk before it had left.
    scan = 2 * steps * steps * states + heads * 2 * steps * steps * each
    scan += heads * 2 * steps * each * states * 2
    block = Mamba2(width, states, headdim=each)
    assert forward_flops(_Block(block), torch.randn(rows, steps, width)) == rows * (
        products + convolution + scan
    )


def test_a_transformer() -> None:
    model = CrossModalTransformer(
        (Slot("text", 12), Slot("face", 8)), 7, CrossModalTransformerConfig(width=32, depth=2, heads=4)
    )
    given = {name: one for name, one in batch(rows=3).items() if name != "speaker"}
    tokens = 1 + 7 + 4
    projections = 3 * 2 * (7 * 12 + 4 * 8) * 32
    expected = projections + 2 * _layer_flops(3, tokens, 32, 128) + 3 * 2 * 32 * 7
    assert forward_flops(model, given) == expected
    assert torch.backends.mha.get_fastpath_enabled()


def test_mamba_fusion_and_its_head() -> None:
    model = MambaFusion((Slot("text", 32),), 7, MambaFusionConfig(d_state=8, depth=2))
    text = SlotInput(torch.randn(3, 6, 32), torch.ones(3, dtype=torch.bool), torch.tensor([6, 2, 1]))
    assert forward_flops(model, {"text": text}) == 2 * _mamba_flops(3, 6, 32, 8, rank=2) + 3 * 2 * 32 * 7


def test_parameters_count_once_and_only_those_that_are_learned() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    model[1].weight = model[0].weight
    model[0].bias.requires_grad_(False)
    assert parameter_count(model) == 9 + 3 + 6


@pytest.mark.parametrize("name", UTTERANCE_MODELS)
def test_a_models_costs(name: str) -> None:
    torch.manual_seed(0)
    model, given = build(name, SLOTS, CLASSES, small(name)).train(), batch(rows=6)
    before = {key: part.clone() for key, part in model.state_dict().items()}
    told = complexity(model, given, batch_sizes=(1, 8), least_seconds=0.01)
    assert told.parameters == sum(one.numel() for one in model.parameters())
    assert told.flops == round(forward_flops(model, given) / 6) > 1000
    assert set(told.latency_ms) == {1, 8}
    assert min(told.latency_ms.values()) > 0
    assert model.training
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(part, before[key]) for key, part in model.state_dict().items())


def test_adapters_and_conversations_too() -> None:
    adapter = complexity(MLPAdapter(8, 3, hidden=(4,)), torch.randn(5, 8), least_seconds=0.01)
    assert adapter.flops == 2 * 8 * 4 + 2 * 4 * 3
    model = ConversationModel(
        (Slot("text", 12),), 7, ConversationConfig(width=16, d_state=4, speakers="none")
    )
    dialogues = DialogueBatch(
        {"text": torch.randn(2, 3, 12)},
        {"text": torch.ones(2, 3, dtype=torch.bool)},
        torch.tensor([3, 1]),
        torch.zeros(2, 3, dtype=torch.int64),
    )
    told = complexity(model, dialogues, batch_sizes=(4,), least_seconds=0.01)
    assert told.flops == _mamba_flops(1, 3, 16, 4, rank=1) + 3 * 2 * (12 * 16 + 16 * 7)


def test_latency_is_of_passes_in_evaluation_mode_and_the_median() -> None:
    class Noted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.modes: set[tuple[bool, bool]] = set()

        def forward(self, batch: Tensor) -> Tensor:
            self.modes.add((self.training, torch.is_inference_mode_enabled()))
            return batch

    model = Noted()
    assert 0 < forward_seconds(model, torch.zeros(1), least_seconds=0.01) < 0.01
    assert model.modes == {(False, True)}
    assert model.training


def test_rows_are_taken_over_and_over() -> None:
    given = batch(rows=3)
    taken = take(given, torch.tensor([2, 0, 2]))
    assert batch_rows(taken) == 3
    for name, one in given.items():
        assert torch.equal(taken[name].values, one.values[[2, 0, 2]])
        assert taken[name].lengths is None or torch.equal(taken[name].lengths, one.lengths[[2, 0, 2]])
    with pytest.raises(BadInputError, match="without rows"):
        complexity(MLPAdapter(8, 3), torch.zeros(0, 8))
