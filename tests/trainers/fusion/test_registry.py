"""What every registered model keeps to."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from feature_repo.errors import BadInputError, UnknownNameError
from tests.trainers.fusion.fusion_batches import (
    CLASSES,
    SLOTS,
    UTTERANCE_MODELS,
    batch,
    every_subset,
    small,
    unscanned,
)
from trainers.fusion.config import GatedFusionConfig
from trainers.fusion.inputs import SlotInput
from trainers.fusion.registry import build, fusion_model, fusion_names

# What float32 sums of other shapes may differ by.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
each_model = pytest.mark.parametrize("name", UTTERANCE_MODELS)


def _model(name: str) -> nn.Module:
    torch.manual_seed(1)
    model = build(name, SLOTS, CLASSES, small(name)).eval()
    for parameter in model.parameters():  # so that nothing is told apart by its initial zeros
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model


def test_names() -> None:
    assert fusion_names() == [
        "conversation",
        "cross-modal-transformer",
        "gated",
        "mamba",
        "mamba-adapter",
        "token-transformer",
    ]
    assert UTTERANCE_MODELS == [
        "cross-modal-transformer",
        "gated",
        "mamba",
        "mamba-adapter",
        "token-transformer",
    ]
    with pytest.raises(UnknownNameError, match="fusion model 'mamba3'"):
        fusion_model("mamba3")
    with pytest.raises(
        BadInputError, match="'mamba' has settings GatedFusionConfig; allowed: MambaFusionConfig"
    ):
        build("mamba", SLOTS, CLASSES, GatedFusionConfig())


@pytest.mark.parametrize("name", fusion_names())
def test_each_is_built_of_its_defaults_and_its_state_loads(name: str) -> None:
    torch.manual_seed(0)
    one, other = build(name, SLOTS, CLASSES), build(name, SLOTS, CLASSES)
    other.load_state_dict(one.state_dict())
    assert sum(parameter.numel() for parameter in one.parameters()) > 1000
    if fusion_model(name).reads == "utterances":
        given = batch()
        assert torch.equal(one.eval()(given), other.eval()(given))


@each_model
def test_shapes_and_what_the_head_reads(name: str) -> None:
    model, given = _model(name), batch()
    hidden = model.hidden(given)
    assert hidden.shape == (6, model.head.in_features)
    torch.testing.assert_close(model.head(hidden), model(given))
    assert model(given).shape == (6, CLASSES)


@each_model
def test_many_rows_are_as_each_alone_without_padding(name: str) -> None:
    model, given = _model(name), every_subset(batch(rows=7))
    together = model(given)
    for row in range(7):
        alone = {}
        for slot, one in given.items():
            if one.present[row]:
                cut = one.rows(slice(row, row + 1))
                alone[slot] = (
                    cut if cut.lengths is None else replace(cut, values=cut.values[:, : cut.lengths[0]])
                )
        torch.testing.assert_close(model(alone), together[row : row + 1], **CLOSE)


@each_model
@pytest.mark.parametrize("garbage", [1e4, float("nan")])
def test_padding_and_absent_modalities_never_matter(name: str, garbage: float) -> None:
    model, given = _model(name), every_subset(batch(rows=7))
    expected = model(given)
    assert torch.isfinite(expected).all()
    for one in given.values():
        one.values[~one.present] = garbage
        if one.lengths is not None:
            for row, length in enumerate(one.lengths.tolist()):
                one.values[row, length:] = garbage
    assert torch.equal(model(given), expected)


@each_model
def test_every_present_modality_matters(name: str) -> None:
    model, given = _model(name), batch()
    before = model(given)
    for slot, one in given.items():
        changed = model(given | {slot: replace(one, values=one.values + torch.randn_like(one.values))})
        assert ((changed - before).abs().amax(1) > 1e-5).all(), slot
        hidden = model(given | {slot: replace(one, present=torch.zeros_like(one.present))})
        assert ((hidden - before).abs().amax(1) > 1e-5).all(), slot


@each_model
def test_the_order_of_rows_is_kept(name: str) -> None:
    model, given = _model(name), every_subset(batch(rows=7))
    order = torch.tensor([3, 0, 6, 5, 1, 4, 2])
    shuffled = {slot: one.rows(order) for slot, one in given.items()}
    torch.testing.assert_close(model(shuffled), model(given)[order], **CLOSE)


def _gradients(model: nn.Module, given: Mapping[str, SlotInput]) -> dict[str, Tensor | None]:
    torch.manual_seed(2)
    logits = model(given)
    nn.functional.cross_entropy(logits, torch.arange(len(logits)) % CLASSES).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@each_model
def test_gradients_reach_every_parameter(name: str) -> None:
    for parameter, gradient in _gradients(_model(name).train(), every_subset(batch(rows=7))).items():
        assert gradient is not None, parameter
        assert torch.isfinite(gradient).all(), parameter
        assert gradient.abs().sum() > 0, parameter


@each_model
def test_gradients_are_numbers_where_a_row_has_nothing_or_garbage(name: str) -> None:
    given = batch()
    given["text"].values[2] = torch.nan
    given = {slot: replace(one, present=torch.arange(6) != 2) for slot, one in given.items()}
    for parameter, gradient in _gradients(_model(name), given).items():
        assert gradient is None or torch.isfinite(gradient).all(), parameter


@each_model
def test_modality_dropout_hides_slots_in_training_alone(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, SLOTS, CLASSES, replace(small(name), modality_dropout=0.5))
    given = batch(rows=1)

    def repeated(times: int) -> dict[str, SlotInput]:
        return {slot: one.rows(torch.zeros(times, dtype=torch.long)) for slot, one in given.items()}

    with torch.no_grad():
        allowed = model.eval()(every_subset(repeated(7)))
        drawn = model.train()(repeated(400))
    nearest = torch.cdist(drawn, allowed, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    assert (nearest.values < 1e-4).all()
    # 1/8 of the draws each; the one that would drop all adds a third of its share to each single slot.
    shares = torch.bincount(nearest.indices, minlength=7) / 400
    expected = torch.tensor([1 / 8] * 4 + [1 / 6] * 3)
    # Five standard errors of a share of 1/6 among 400.
    assert (shares - expected).abs().max() < 5 * (1 / 6 * 5 / 6 / 400) ** 0.5


@each_model
def test_a_step_of_training_lowers_the_loss(name: str) -> None:
    torch.manual_seed(0)
    model, given, labels = _model(name).train(), batch(rows=12), torch.arange(12) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(given), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


@each_model
def test_no_number_is_looked_at_and_nothing_is_left_on_the_cpu(name: str) -> None:
    # Tensors on the meta device have no numbers: what would wait for a GPU, or stay behind on the CPU, raises here.
    # Which scan a block takes on which device is the block's matter.
    built = build(name, SLOTS, CLASSES, replace(small(name), modality_dropout=0.5))
    model = unscanned(built).to("meta").train()
    logits = model({slot: one.to("meta") for slot, one in batch().items()})
    assert (logits.device.type, logits.shape) == ("meta", (6, CLASSES))


@each_model
def test_bfloat16_changes_little(name: str) -> None:
    model, given = _model(name), every_subset(batch(rows=7))
    with torch.autocast("cpu", torch.bfloat16):
        made = model(given)
    # bfloat16 keeps eight bits of a number: some hundredths after a few layers.
    torch.testing.assert_close(made.float(), model(given), rtol=0.05, atol=0.1)


def test_settings_are_known_without_torch() -> None:
    code = "import sys, trainers.fusion.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0
