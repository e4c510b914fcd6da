"""What a batch may be, and how it is cleaned and scaled."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from feature_repo.errors import BadInputError, UnknownNameError
from tests.trainers.fusion.fusion_batches import SLOTS, batch
from trainers.fusion.inputs import SlotInput, SlotInputs, check_batch
from trainers.fusion.slots import Slot


def test_padding_and_absent_rows_are_zeros_whatever_they_held() -> None:
    given = batch(rows=3)
    text = given["text"]
    text.values[1, 6:] = torch.nan  # row 1 has 6 tokens
    given["speaker"] = replace(given["speaker"], present=torch.tensor([True, False, True]))
    given["speaker"].values[1] = torch.inf
    read = SlotInputs(SLOTS)(given)
    assert read.lengths.tolist() == [[7, 1, 1], [6, 2, 0], [5, 3, 1]]
    assert read.present.tolist() == [[True, True, True], [True, True, False], [True, True, True]]
    assert not read.values[0][1, 6:].any()
    assert not read.values[2][1].any()
    assert torch.equal(read.values[0][1, :6], text.values[1, :6])
    np.testing.assert_allclose(read.pooled()[0][1], text.values[1, :6].mean(0), rtol=1e-5)


def test_a_sequence_of_no_steps_is_absent_and_so_is_a_slot_that_is_not_named() -> None:
    values = torch.randn(2, 3, 8)
    face = SlotInput(values, torch.tensor([True, True]), torch.tensor([0, 3]))
    read = SlotInputs(SLOTS)({"face": face})
    assert read.present.tolist() == [[False, False, False], [False, True, False]]


def test_scaling_is_by_the_training_vectors_and_is_saved() -> None:
    slots = (Slot("a", 2), Slot("b", 1))
    inputs = SlotInputs(slots)
    inputs.scale_by("a", torch.tensor([[1.0, 10.0], [3.0, 24.0]]))
    inputs.scale_by("b", torch.tensor([[4.0], [4.0]]))
    loaded = SlotInputs(slots)
    loaded.load_state_dict(inputs.state_dict())
    present = torch.tensor([True])
    read = loaded(
        {"a": SlotInput(torch.tensor([[3.0, 24.0]]), present), "b": SlotInput(torch.tensor([[5.0]]), present)}
    )
    # Deviations of a: 1 and 7, whose root mean square is 5; b never varies and is only centred.
    np.testing.assert_allclose(read.values[0], [[[0.2, 1.4]]], rtol=1e-6)
    np.testing.assert_allclose(read.values[1], [[[1.0]]])
    with pytest.raises(UnknownNameError, match="slot 'c'"):
        inputs.scale_by("c", torch.ones(2, 1))


def test_modalities_are_dropped_in_training_only() -> None:
    torch.manual_seed(0)
    inputs, given = SlotInputs(SLOTS, modality_dropout=0.5), batch(rows=200)
    dropped = inputs(given)
    assert 0.3 < 1 - dropped.present.float().mean() < 0.6
    assert dropped.present.any(1).all()
    assert not dropped.values[0][~dropped.present[:, 0]].any()
    assert inputs.eval()(given).present.all()


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("text", {"values": torch.zeros(6, 7, 11)}, "slot 'text' has values [6, 7, 11]"),
        ("text", {"lengths": None}, "no lengths"),
        ("speaker", {"lengths": torch.ones(6, dtype=torch.int64)}, "slot 'speaker'"),
        ("face", {"present": torch.ones(5, dtype=torch.bool)}, "slot 'face'"),
    ],
)
def test_shapes_that_do_not_fit(name: str, change: dict[str, torch.Tensor], told: str) -> None:
    given = batch()
    given[name] = replace(given[name], **change)
    with pytest.raises(BadInputError) as error:
        SlotInputs(SLOTS)(given)
    assert told in str(error.value)


def test_a_batch_is_checked_before_it_goes_to_a_device() -> None:
    given = batch()
    check_batch(SLOTS, given)
    none = torch.zeros(6, dtype=torch.bool)
    nobody = {name: replace(slot, present=none) for name, slot in given.items()}
    with pytest.raises(BadInputError, match="6 rows have no slot, the first is row 0"):
        check_batch(SLOTS, nobody)
    with pytest.raises(BadInputError, match="lengths up to 8; allowed: 0 to 7"):
        check_batch(SLOTS, given | {"text": replace(given["text"], lengths=torch.full((6,), 8))})
    with pytest.raises(UnknownNameError, match="slot 'speech'"):
        check_batch(SLOTS, given | {"speech": given["text"]})
    with pytest.raises(BadInputError, match="without a slot"):
        check_batch(SLOTS, {})
    given["text"].values[1, 6] = torch.nan
    check_batch(SLOTS, given)  # in the padding
    given["text"].values[1, 5] = torch.nan
    with pytest.raises(BadInputError, match="'text' has a value that is not finite"):
        check_batch(SLOTS, given)


@pytest.mark.parametrize("slots", [[], [Slot("a", 2), Slot("a", 3)]])
def test_slots_are_one_or_more_of_different_names(slots: list[Slot]) -> None:
    with pytest.raises(BadInputError, match="one or more, each name once"):
        SlotInputs(slots)


@pytest.mark.parametrize(("name", "width"), [("", 3), ("a", 0)])
def test_a_slot_has_a_name_and_a_width(name: str, width: int) -> None:
    with pytest.raises(BadInputError, match="allowed: a name and a width of 1 or more"):
        Slot(name, width)
