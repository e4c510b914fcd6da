"""The conversation model: what a turn sees, and of whom it is told."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

from feature_repo.errors import BadInputError
from tests.trainers.fusion.fusion_batches import unscanned
from tests.trainers.fusion.test_mamba_fusion import mamba_parameters
from trainers.fusion.config import ConversationConfig
from trainers.fusion.conversation import ConversationModel, DialogueBatch
from trainers.fusion.slots import Slot
from trainers.mamba.mamba2 import Mamba2

SLOTS = (Slot("text", 10), Slot("speech", 4))
LENGTHS = (6, 1, 4, 3)
# What float32 sums of other shapes may differ by.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
each_kind = pytest.mark.parametrize(
    ("context", "speakers"), list(product(["past", "both"], ["role", "same", "none"]))
)


def _model(context: str, speakers: str) -> ConversationModel:
    torch.manual_seed(1)
    config = ConversationConfig(width=16, dropout=0.0, context=context, speakers=speakers, depth=2)
    model = ConversationModel(SLOTS, 7, config).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def _batch() -> DialogueBatch:
    draw = torch.Generator().manual_seed(0)
    values = {slot.name: torch.randn(4, 6, slot.width, generator=draw) for slot in SLOTS}
    present = {slot.name: torch.rand(4, 6, generator=draw) < 0.7 for slot in SLOTS}
    speakers = torch.randint(-1, 3, (4, 6), generator=draw)
    return DialogueBatch(values, present, torch.tensor(LENGTHS), speakers)


def _one(given: DialogueBatch, row: int, turns: int) -> DialogueBatch:
    return DialogueBatch(
        {name: values[row : row + 1, :turns] for name, values in given.values.items()},
        {name: present[row : row + 1, :turns] for name, present in given.present.items()},
        torch.tensor([turns]),
        given.speakers[row : row + 1, :turns],
    )


@each_kind
def test_many_dialogues_are_as_each_alone_without_padding(context: str, speakers: str) -> None:
    model, given = _model(context, speakers), _batch()
    together = model(given)
    assert together.shape == (4, 6, 7)
    for row, turns in enumerate(LENGTHS):
        torch.testing.assert_close(model(_one(given, row, turns))[0], together[row, :turns], **CLOSE)


@pytest.mark.parametrize("speakers", ["role", "same", "none"])
def test_the_past_is_all_that_a_turn_sees(speakers: str) -> None:
    model, given = _model("past", speakers), _batch()
    whole = model(given)
    for turns in range(1, 6):
        # As if the dialogue had not gone on: neither words nor speakers nor the number of later turns are told.
        torch.testing.assert_close(model(_one(given, 0, turns))[0], whole[0, :turns], **CLOSE)


@each_kind
def test_a_later_turn_is_seen_in_both_directions_alone(context: str, speakers: str) -> None:
    model, given = _model(context, speakers), _batch()
    given.present["text"][:] = True
    before = model(given)
    given.values["text"][0, 4] += 3.0
    moved = (model(given) - before)[0].abs().amax(1) > 1e-5
    assert moved.tolist() == ([True] * 6 if context == "both" else [False] * 4 + [True] * 2)


@each_kind
def test_padding_and_absent_vectors_never_matter(context: str, speakers: str) -> None:
    model, given = _model(context, speakers), _batch()
    exists = torch.arange(6)[None] < given.turns[:, None]
    before = model(given)[exists]
    for name, values in given.values.items():
        values[~(given.present[name] & exists)] = torch.nan
        given.present[name][~exists] = True
    given.speakers[~exists] = 2
    assert torch.equal(model(given)[exists], before)


def test_speakers_are_told_by_who_is_who_not_by_their_numbers() -> None:
    given = _batch()
    renamed = replace(given, speakers=torch.where(given.speakers >= 0, 40 - 7 * given.speakers, -1))
    swapped = replace(given, speakers=torch.where(given.speakers >= 0, torch.arange(6) % 2, -1))
    for speakers in ("role", "same"):
        model = _model("past", speakers)
        assert torch.equal(model(renamed), model(given))
        assert not torch.allclose(model(swapped)[0], model(given)[0], atol=1e-4)
    silent = _model("past", "none")
    assert torch.equal(silent(swapped), silent(given))


def test_same_speaker_marks_are_those_of_the_turn_itself() -> None:
    model, given = _model("both", "same"), _batch()
    assert model.speaker is not None
    given.speakers[0] = torch.tensor([5, 9, 5, 9, 9, -1])
    turns = model.projection(_steps(model, given))[:1]
    for target, marks in ((0, [1, 0, 1, 0, 0, 2]), (3, [0, 1, 0, 1, 1, 2]), (5, [2, 2, 2, 2, 2, 1])):
        told = turns + model.speaker.weight[torch.tensor(marks)]
        expected = model.blocks(told, torch.tensor([6]))[0, target]
        torch.testing.assert_close(model.hidden(given)[0, target], expected, **CLOSE)


def _steps(model: ConversationModel, given: DialogueBatch) -> torch.Tensor:
    parts = []
    for name, gap in zip(("text", "speech"), model.steps.absent, strict=True):
        parts.append(torch.where(given.present[name][..., None], given.values[name], gap))
    return torch.cat(parts, dim=2)


@each_kind
def test_gradients_reach_every_parameter(context: str, speakers: str) -> None:
    model, given = _model(context, speakers).train(), _batch()
    exists = torch.arange(6)[None] < given.turns[:, None]
    for name, values in given.values.items():  # of padding even a gradient of zero would be zero times this
        values[~exists] = torch.nan
        given.present[name][~exists] = True
    labels = torch.where(exists, torch.arange(24).view(4, 6) % 7, -1)
    nn.functional.cross_entropy(model(given).flatten(0, 1), labels.flatten(), ignore_index=-1).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_size() -> None:
    model = ConversationModel(SLOTS, 7, ConversationConfig(context="both", width=32, roles=5))
    projection, speakers, norms, head = 14 * 32 + 32, 6 * 32, 2 * 32, 32 * 7 + 7
    counted = 14 + projection + speakers + 2 * mamba_parameters(32, 16) + norms + head
    assert sum(parameter.numel() for parameter in model.parameters()) == counted


def test_the_second_version_of_mamba() -> None:
    model = ConversationModel(SLOTS, 7, ConversationConfig(width=32, version=2, context="both"))
    assert {type(block) for block in (*model.blocks.forwards, *model.blocks.backwards)} == {Mamba2}
    assert torch.isfinite(model(_batch())).all()


def test_its_state_loads_and_modalities_are_dropped_in_training_alone() -> None:
    config = ConversationConfig(width=16, dropout=0.0, modality_dropout=0.5)
    torch.manual_seed(0)
    one, other, given = ConversationModel(SLOTS, 7, config), ConversationModel(SLOTS, 7, config), _batch()
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.eval()(given), other.eval()(given))
    assert not torch.allclose(one.train()(given), one.eval()(given))


def test_shapes_that_do_not_fit() -> None:
    model, given = _model("past", "role"), _batch()
    with pytest.raises(BadInputError, match="slot 'text' has values .*allowed: the 4 dialogues x 5 turns"):
        model(replace(given, speakers=given.speakers[:, :5]))
    with pytest.raises(BadInputError, match="present None"):
        model(replace(given, present={"text": given.present["text"]}))


@each_kind
def test_no_number_is_looked_at_and_nothing_is_left_on_the_cpu(context: str, speakers: str) -> None:
    # Tensors on the meta device have no numbers: what would wait for a GPU, or stay behind on the CPU, raises here.
    given = _batch()
    there = DialogueBatch(
        {name: values.to("meta") for name, values in given.values.items()},
        {name: present.to("meta") for name, present in given.present.items()},
        given.turns.to("meta"),
        given.speakers.to("meta"),
    )
    # Which scan a block takes on which device is the block's matter.
    logits = unscanned(_model(context, speakers)).to("meta")(there)
    assert (logits.device.type, logits.shape) == ("meta", (4, 6, 7))
