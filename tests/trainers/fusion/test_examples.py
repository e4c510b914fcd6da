"""Batches against the training set row by row: values, presence, lengths, turns; on a device the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from feature_repo.errors import BadInputError
from feature_repo.store import Store
from tests.trainers.planted_sequences import planted_sequences
from trainers.fusion.conversation import DialogueBatch
from trainers.fusion.device_steps import DeviceSteps, fits_device
from trainers.fusion.examples import DialogueExamples, UtteranceExamples, slots_of, target_labels
from trainers.fusion.inputs import SlotInput, check_batch
from trainers.fusion.slots import Slot

SLOTS = ("speaker", "text_steps", "face_steps")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted_sequences(tmp_path_factory.mktemp("examples"))


def test_text_sets_the_steps_and_a_voice_stands_on_each(store: Store) -> None:
    slots = slots_of(store, store.pull(SLOTS))
    assert slots == (Slot("text_steps", 6), Slot("speaker", 4, True), Slot("face_steps", 5))


def test_a_batch_holds_what_the_training_set_has(store: Store) -> None:
    data = store.pull(SLOTS, join="outer")
    examples = UtteranceExamples(data, slots_of(store, data))
    which = torch.tensor([7, 0, 12, 5, 9])
    ((batch,), rows) = examples.batch(which)
    assert torch.equal(rows, which)
    assert torch.equal(examples.targets(rows), torch.from_numpy(data.labels[which.numpy()]))
    check_batch(slots_of(store, data), batch)
    voice: SlotInput = batch["speaker"]
    assert voice.present.tolist() == [True, True, True, False, True]  # row 5 of ten lacks it
    assert torch.equal(voice.values, torch.from_numpy(data.pooled["speaker"][which.numpy()]))
    for slot in ("text_steps", "face_steps"):
        given = batch[slot]
        assert given.values.dtype == torch.float32
        assert given.lengths.tolist() == [len(data.steps[slot].row(int(row))) for row in which]
        assert given.present.tolist() == (given.lengths > 0).tolist()
        for place, row in enumerate(which.tolist()):
            expected = np.array(data.steps[slot].row(row), np.float32)
            assert np.array_equal(given.values[place, : len(expected)].numpy(), expected)
    # A sequence that nobody in the batch has is left out: rows 1 and 3 of ten show no face.
    ((alone,), _) = examples.batch(torch.tensor([1, 11]))
    assert set(alone) == {"speaker", "text_steps"}


def test_the_cost_is_the_longest_sequence_and_vectors_are_all_steps(store: Store) -> None:
    data = store.pull(SLOTS, join="outer")
    examples = UtteranceExamples(data, slots_of(store, data))
    lengths = [max(len(data.steps[slot].row(row)) for slot in SLOTS[1:]) for row in range(len(data))]
    assert examples.cost is not None
    assert examples.cost.tolist() == lengths
    rows = np.array([3, 4, 5, 6])
    expected = np.concatenate([data.steps["text_steps"].row(row) for row in rows]).astype(np.float32)
    assert np.array_equal(examples.vectors("text_steps", rows).numpy(), expected)
    # Rows 3 and 5 have no voice, which is not a voice of zeros.
    assert np.array_equal(examples.vectors("speaker", rows).numpy(), data.pooled["speaker"][[4, 6]])
    pooled = UtteranceExamples(store.pull(["speaker"]), [Slot("speaker", 4, True)])
    assert pooled.cost is None


def test_dialogues_are_batches_of_their_turns(store: Store) -> None:
    dialogues = store.pull(["speaker"], by="dialogue", join="outer")
    examples = DialogueExamples(dialogues, [Slot("speaker", 4, True)])
    assert len(examples) == 24
    which = torch.tensor([5, 2])
    ((batch,), rows) = examples.batch(which)
    assert isinstance(batch, DialogueBatch)
    data = dialogues.training_set
    for place, dialogue in enumerate(which.tolist()):
        names = [data.ids[row] for row in rows[place].tolist() if row >= 0]
        assert names == [f"toy/u{10 * dialogue + turn:03}" for turn in range(10)]
        for turn, row in enumerate(rows[place].tolist()):
            assert bool(batch.present["speaker"][place, turn]) == (turn not in (3, 5))
            assert np.array_equal(batch.values["speaker"][place, turn].numpy(), data.pooled["speaker"][row])
    assert batch.turns.tolist() == [10, 10]
    assert torch.equal(examples.targets(rows), torch.from_numpy(data.labels)[rows])
    # A dialogue is asked for by any of its turns.
    assert examples.holding(np.array([29, 50, 51])).tolist() == [2, 5]
    assert np.array_equal(examples.vectors("speaker", np.array([2, 3])).numpy(), data.pooled["speaker"][[2]])


def test_turns_that_are_context_alone_have_no_label(store: Store) -> None:
    import dataclasses

    dialogues = store.pull(["speaker"], by="dialogue", join="outer")
    targets = dialogues.targets.copy()
    targets[0, 4] = False
    found = target_labels(dataclasses.replace(dialogues, targets=targets))
    expected = dialogues.training_set.labels.copy()
    expected[dialogues.index[0, 4]] = -1
    assert np.array_equal(found, expected)


def test_padding_is_no_target(store: Store) -> None:
    ids = [name for name in store.pull(["text_steps"]).ids if name not in {"toy/u012", "toy/u014"}]
    dialogues = store.pull(["text_steps", "speaker"], ids=ids, by="dialogue")
    assert len(set(dialogues.lengths.tolist())) > 1
    examples = DialogueExamples(dialogues, [Slot("speaker", 4, True)])
    ((batch,), rows) = examples.batch(torch.tensor([0, 1]))
    assert (rows < 0).sum() == 2
    assert examples.targets(rows)[rows < 0].tolist() == [-1, -1]
    assert not batch.values["speaker"][rows < 0].any()
    assert (batch.speakers[rows < 0] == -1).all()


def test_sequences_on_a_device_are_gathered_as_from_the_mirror(store: Store) -> None:
    data = store.pull(["text_steps"], join="outer")
    steps = data.steps["text_steps"]
    device = torch.device("cpu")
    there = DeviceSteps(steps, device)
    for index in ([4, 0, 239, 3], [3, 13], [17]):  # rows 3 and 13 have nothing
        values, mask = there.gather(np.array(index), device=device)
        expected, known = steps.gather(index, device=device)
        assert torch.equal(values, expected)
        assert torch.equal(mask, known)
    assert not fits_device(steps, device)


def test_a_model_without_any_of_its_slots_is_refused(store: Store) -> None:
    with pytest.raises(BadInputError, match="pulled speaker; allowed: one or more of text"):
        UtteranceExamples(store.pull(["speaker"]), [Slot("text", 3)])
    assert Path(store.root).is_dir()
