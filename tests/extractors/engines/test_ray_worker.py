"""A worker, called as Ray calls it: what it computes, and why it refuses to."""

import pickle
import warnings

import numpy as np
import pyarrow as pa
import pytest

from extractors.engines.packing import messages
from extractors.engines.ray_worker import Worker, WorkerJob, installed_version
from extractors.runner import Runner
from tests.extractors.engines.ray_extractors import Letters, LettersSettings, letters
from tests.extractors.planted_extractors import manifest, view

TEXTS = manifest({f"c/{n}": {"text": f"text {n}{' fail' * (n == 2)}"} for n in range(6)})


def job(**changes):
    settings = LettersSettings()
    told = {
        "extractors": ((Letters, settings),),
        "views": ((view(Letters(settings), "text"),),),
        "device": "cpu",
        "decode_threads": 1,
        "version": installed_version(),
    }
    return WorkerJob(**(told | changes))


def asked():
    extractor = Letters(LettersSettings())
    blocks = list(
        Runner([extractor], TEXTS).blocks({view(extractor, "text"): TEXTS["utterance_id"].to_list()})
    )
    return pa.table({"number": list(range(len(blocks))), "block": [pickle.dumps(block) for block in blocks]})


def answers(worker):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [message for rows in worker(asked()) for message in messages(rows)]


def test_a_block_is_computed_and_told_done(monkeypatch):
    monkeypatch.setattr("extractors.runner.BLOCK_ITEMS", 4)
    told = answers(Worker(pickle.loads(pickle.dumps(job()))))
    assert [(each.block, each.kind) for each in told] == [
        (0, "outcomes"),
        (0, "done"),
        (1, "outcomes"),
        (1, "done"),
    ]
    found = {key: outcome for each in told for _, key, outcome in each.outcomes}
    assert sorted(found) == TEXTS["utterance_id"].to_list()
    np.testing.assert_array_equal(found["c/3"].value, letters("text 3"))
    assert found["c/2"].error == "Failed"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": "0.0.1"}, "install the same on every node"),
        ({"views": (("text_letters_12345678",),)}, "its weights or its code differ"),
        ({"seen": ("/nowhere/clip.mp4",)}, "/nowhere/clip.mp4 is not there: media must lie at the same path"),
        ({"extractors": ((Letters, LettersSettings(weights="/nowhere")),)}, "/nowhere"),
    ],
)
def test_a_worker_that_is_no_use_says_why(changes, reason):
    (message,) = answers(Worker(job(**changes)))
    assert message.kind == "refused"
    assert reason in message.reason
    assert message.reason.startswith("node ")


def test_a_mount_that_goes_is_noticed_before_the_next_block(tmp_path, monkeypatch):
    monkeypatch.setattr("extractors.runner.BLOCK_ITEMS", 4)
    seen = tmp_path / "clip.mp4"
    seen.write_bytes(b"")
    told = []
    for rows in Worker(job(seen=(str(seen),)))(asked()):
        told += messages(rows)
        seen.unlink(missing_ok=True)
    assert [each.kind for each in told] == ["outcomes", "done", "refused"]


def test_a_model_that_can_not_be_loaded_refuses(monkeypatch):
    def load(self, device):
        raise ModuleNotFoundError("no", name="sklearn")

    monkeypatch.setattr(Letters, "load", load)
    (message,) = answers(Worker(job()))
    assert message.kind == "refused"
    assert "pip install 'affectstore[text]'" in message.reason
