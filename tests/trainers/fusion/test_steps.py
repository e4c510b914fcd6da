"""The steps of an utterance, against a plain loop over rows."""

import numpy as np
import pytest
import torch

from tests.trainers.fusion.fusion_batches import SLOTS, batch, every_subset
from trainers.fusion.inputs import SlotInput, SlotInputs
from trainers.fusion.slots import Slot
from trainers.fusion.steps import StepConcatenation


def _of(steps: int, parts: int) -> list[list[int]]:
    """Which of `parts` each step meets."""
    if parts <= steps:
        groups = np.array_split(np.arange(steps), parts)
        return [[part] for part, group in enumerate(groups) for _ in group]
    return [group.tolist() for group in np.array_split(np.arange(parts), steps)]


def _by_loop(given: dict[str, SlotInput], row: int, gaps: dict[str, np.ndarray]) -> np.ndarray:
    here = {
        name: (slot.values[row] if slot.lengths is None else slot.values[row, : slot.lengths[row]]).numpy()
        for name, slot in given.items()
        if slot.present[row]
    }
    steps = len(here.get("text", here.get("face", [0])))
    columns = []
    for name, gap in gaps.items():
        if name not in here:
            columns.append(np.tile(gap, (steps, 1)))
        elif name == "speaker":
            columns.append(np.tile(here[name], (steps, 1)))
        else:
            columns.append(np.stack([here[name][met].mean(0) for met in _of(steps, len(here[name]))]))
    return np.concatenate(columns, 1)


@pytest.mark.parametrize(("tokens", "frames"), [(7, 4), (3, 9)])
def test_every_subset_of_slots_is_as_the_loop_puts_it(tokens: int, frames: int) -> None:
    torch.manual_seed(0)
    given = every_subset(batch(rows=7, tokens=tokens, frames=frames))
    layer = StepConcatenation(SLOTS)
    assert layer.width == 12 + 8 + 6
    for gap in layer.absent:
        torch.nn.init.normal_(gap)
    gaps = {slot.name: gap.detach().numpy() for slot, gap in zip(SLOTS, layer.absent, strict=True)}
    with torch.no_grad():
        steps, counts = layer(SlotInputs(SLOTS)(given))
    for row in range(7):
        expected = _by_loop(given, row, gaps)
        assert counts[row] == len(expected)
        np.testing.assert_allclose(steps[row, : len(expected)], expected, rtol=1e-5, atol=1e-6)
        assert not steps[row, len(expected) :].any()


def test_pooled_text_is_one_step_and_takes_the_mean_of_the_frames() -> None:
    given = batch(rows=4, frames=4)
    given["text"] = SlotInput(torch.randn(4, 12), torch.ones(4, dtype=torch.bool))
    steps, counts = StepConcatenation(SLOTS)(SlotInputs(SLOTS)(given))
    assert counts.tolist() == [1, 1, 1, 1]
    frames = [given["face"].values[row, : row + 1].mean(0) for row in range(4)]
    expected = torch.cat([given["text"].values, torch.stack(frames), given["speaker"].values], dim=1)
    torch.testing.assert_close(steps[:, 0], expected)


def test_an_absent_slot_is_zeros_until_it_is_learned() -> None:
    read = SlotInputs(SLOTS)(every_subset(batch(rows=7)))
    learned, zero = StepConcatenation(SLOTS), StepConcatenation(SLOTS, learned=False)
    assert torch.equal(learned(read)[0], zero(read)[0])
    assert not list(zero.parameters())
    assert sum(parameter.numel() for parameter in learned.parameters()) == 26


@pytest.mark.parametrize(
    "widths", [{"text": 768}, {"text": 768, "face": 128}, {"text": 768, "speaker": 128, "face": 128}]
)
def test_widths_are_the_papers(widths: dict[str, int]) -> None:
    slots = [Slot(name, width, every_step=name == "speaker") for name, width in widths.items()]
    # papers/000 III-B3: 768 for text, 896 with the face, 1024 with both.
    assert StepConcatenation(slots).width == {1: 768, 2: 896, 3: 1024}[len(widths)]


def test_a_sequence_of_a_slot_that_is_on_every_step_is_its_mean() -> None:
    slots = (Slot("text", 12), Slot("face", 8, every_step=True))
    given = batch(rows=4)
    del given["speaker"]
    steps, counts = StepConcatenation(slots)(SlotInputs(slots)(given))
    for row, count in enumerate(counts.tolist()):
        expected = given["face"].values[row, : row + 1].mean(0).expand(count, -1)
        torch.testing.assert_close(steps[row, :count, 12:], expected)
