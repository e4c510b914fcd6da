"""What a training pulls: the rows that may be learned from, and what is told of the others."""

import dataclasses

import numpy as np
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.store import Store
from feature_repo.verified_list import import_list
from tests.trainers.planted_sequences import planted_sequences
from trainers.training_data import Request, TrainingData, scaling_rows


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted_sequences(tmp_path_factory.mktemp("data"))


def _pulled(store: Store, request: Request) -> TrainingData:
    return request.pull(store, request.views(store))


def test_rows_without_any_slot_are_no_targets_and_told(store: Store) -> None:
    data = _pulled(store, Request(("text_steps", "speaker"), "utterances", "outer"))
    assert len(data.rows) == 240
    nobody = [int(name[-3:]) % 10 == 3 for name in data.rows.ids]
    assert (data.labels[nobody] == -1).all()
    assert (data.labels[~np.array(nobody)] == data.rows.labels[~np.array(nobody)]).all()
    assert data.left_out == {"no slot": 24}


def test_turns_that_the_verdict_removed_are_context_and_told(store: Store) -> None:
    kept = [name for name in store.manifest()["utterance_id"] if not name.endswith("7")]
    path = store.cache / "kept.txt"
    path.write_text("\n".join(kept))
    store.verdicts.save(import_list(store, path, "kept").verdict)
    request = Request(("speaker",), "dialogues", "outer", verdict="kept")
    data = _pulled(store, request)
    assert len(data.rows) == 240
    assert int((data.labels >= 0).sum()) == 216
    assert data.left_out == {"removed by the verdict, kept as context": 24}


@pytest.mark.parametrize(
    ("changed", "error", "told"),
    [
        ({"join": "left"}, UnknownNameError, "unknown join 'left'; allowed: inner, outer"),
        ({"slots": ()}, BadInputError, "name one or more, each once"),
        ({"slots": ("speaker", "speaker")}, BadInputError, "name one or more, each once"),
        ({"reads": "rows"}, BadInputError, "an adapter needs every view of a row"),
        (
            {"reads": "rows", "join": "inner", "slots": ("text_steps",)},
            BadInputError,
            "'text_steps' is a sequence",
        ),
    ],
)
def test_what_can_not_be_pulled_is_told(
    store: Store, changed: dict, error: type[Exception], told: str
) -> None:
    request = dataclasses.replace(Request(("speaker",), "utterances", "outer"), **changed)
    with pytest.raises(error, match=told):
        _pulled(store, request)


def test_inputs_are_scaled_by_rows_from_the_whole_range() -> None:
    rows = np.arange(5, 3000)
    assert scaling_rows(rows) is rows
    many = scaling_rows(np.arange(100_000))
    assert len(many) == 4096
    assert (many[0], many[-1]) == (0, 99_999)
    assert np.diff(many).max() <= 25
