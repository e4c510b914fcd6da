"""Blocks: every missing pair once, and in a block the batches of a run that knows none."""

import pickle

import pytest

from extractors.block import Block
from extractors.runner import Runner
from tests.extractors.numbered_video import write_video
from tests.extractors.planted_extractors import Planted, PlantedEye, manifest, view

TEXTS = manifest({f"c/{n}": {"text": "x" * (n * 7 % 23 + 1), "language": "en"} for n in range(23)})


def pairs(found):
    return sorted((name, key) for name, key, _ in found)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("extractors.runner.BLOCK_ITEMS", 9)  # with batches of 4: two of them
    monkeypatch.setattr("extractors.runner.WINDOW_CLIPS", 3)


def test_texts_meet_in_the_same_batches_as_without_blocks(small_blocks):
    whole, torn = Planted("pa", "text", "text", two=True), Planted("pa", "text", "text", two=True)
    pooled, steps = view(whole, "text"), view(whole, "text_steps")
    ids = TEXTS["utterance_id"].to_list()
    missing = {pooled: ids[:20], steps: ids[3:]}
    found = list(Runner([whole], TEXTS).compute(missing))
    blocks = list(Runner([torn], TEXTS).blocks(missing))
    assert torn.loads == 0
    assert [len(block.texts) for block in blocks] == [8, 8, 7]
    worker = Runner([torn], TEXTS.clear())  # without a manifest: the block says everything
    again = [each for block in blocks for each in worker.compute_block(pickle.loads(pickle.dumps(block)))]
    assert torn.batches == whole.batches
    assert torn.loads == 1
    assert pairs(again) == pairs(found) == sorted((name, key) for name in missing for key in missing[name])


def test_a_text_extractor_gets_its_context_with_the_block():
    class Looking(Planted):
        def texts(self, rows):
            return rows["text"].shift(1).fill_null("")

    looking = Looking("pa", "text", "text")
    (block,) = Runner([looking], TEXTS).blocks({view(looking, "text"): ["c/2"]})
    assert block.texts == (("c/2", "x" * 8, "en"),)


def test_clips_meet_in_the_same_batches_and_are_decoded_for_who_lacks_them(tmp_path, small_blocks):
    rows = {}
    for n in range(7):
        path = write_video(tmp_path / f"{n}.mp4", 20)
        rows[f"c/{n}"] = {"media_uri": str(path), "media_size": 100 + n}
    whole, torn = PlantedEye("eye"), PlantedEye("eye")
    missing = {view(whole, "faces"): [key for key in rows if key != "c/4"]}
    found = list(Runner([whole], manifest(rows)).compute(missing))
    blocks = list(Runner([torn], manifest(rows)).blocks(missing))
    assert [[clip[0] for clip in block.clips] for block in blocks] == [
        ["c/6", "c/5", "c/3"],
        ["c/2", "c/1", "c/0"],
    ]
    worker = Runner([torn], manifest(rows).clear())
    again = [each for block in blocks for each in worker.compute_block(block)]
    assert torn.batches == whole.batches
    assert {key: outcome.value.tolist() for _, key, outcome in again} == {
        key: outcome.value.tolist() for _, key, outcome in found
    }


def test_a_block_is_halved_down_to_one_utterance():
    block = Block(
        {"a": ["c/0", "c/2"], "b": ["c/1"]}, 0, (("c/0", "x", None), ("c/1", "y", "en"), ("c/2", "", None))
    )
    first, second = block.halves()
    assert first == Block({"a": ["c/0"], "b": []}, 0, (("c/0", "x", None),))
    assert second == Block({"a": ["c/2"], "b": ["c/1"]}, 0, block.texts[1:])
    assert first.halves() == [first]
    assert [each.utterance_ids for each in second.halves()] == [["c/1"], ["c/2"]]
