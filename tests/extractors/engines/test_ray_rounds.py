"""What is done about blocks that are lost with their worker, with a Ray that is played."""

import contextlib
import pickle

import pytest

from extractors.engines.packing import Message
from extractors.engines.ray_cluster import Workers
from extractors.engines.ray_engine import RayEngine, with_absolute_files
from extractors.runner import Runner
from feature_repo.errors import BadInputError
from tests.extractors.engines.ray_extractors import Letters, LettersSettings, letters
from tests.extractors.planted_extractors import manifest, view

TEXTS = manifest({f"c/{n:02d}": {"text": f"{n:02d} is said"} for n in range(20)})
IDS = TEXTS["utterance_id"].to_list()


class PlayedRay(RayEngine):
    """Answers in this process; ``lose`` names those of a block's ids, in a round, that its worker dies of half way."""

    def __init__(self, lose, place=None):
        self.extractor = Letters(LettersSettings())
        super().__init__(Runner([self.extractor], TEXTS), place)
        self.lose = lose
        self.rounds = []

    def _answers(self, blocks, workers, again):
        assert again == bool(self.rounds)
        self.rounds.append([pickle.loads(data).utterance_ids for data in blocks])
        worker = Runner([Letters(LettersSettings())], TEXTS.clear())
        for number, data in enumerate(blocks):
            block = pickle.loads(data)
            found = tuple(worker.compute_block(block))
            lost = self.lose(block.utterance_ids, len(self.rounds))
            before = tuple(each for each in found if each[1] not in lost)[: len(found) // 2]
            yield Message(number, "outcomes", before if lost else found)
            if not lost:
                yield Message(number, "done")

    def run(self):
        return self.compute({view(self.extractor, "text"): IDS})


@pytest.fixture(autouse=True)
def played(monkeypatch):
    monkeypatch.setattr("extractors.runner.BLOCK_ITEMS", 8)
    monkeypatch.setattr("extractors.engines.ray_engine.connected", lambda place: contextlib.nullcontext())
    monkeypatch.setattr("extractors.engines.ray_engine.room", lambda place, on_gpus: Workers(2, 1))


def check_all(found, without=()):
    assert sorted(key for _, key, _ in found) == sorted(set(IDS) - set(without))
    for _, key, outcome in found:
        assert outcome.value.tolist() == letters(f"{key[2:]} is said").tolist()


def test_a_block_that_was_lost_once_is_computed_again_whole_and_told_once():
    engine = PlayedRay(lambda ids, number: {"c/09"} & set(ids) if number == 1 else set())
    check_all(list(engine.run()))
    assert engine.rounds == [[IDS[:8], IDS[8:16], IDS[16:]], [IDS[8:16]]]


def test_whoever_ends_its_workers_is_found_by_halving_and_everything_else_is_told():
    engine = PlayedRay(lambda ids, number: {"c/03", "c/12"} & set(ids))
    found = []
    with pytest.raises(BadInputError, match=r"^c/03, c/12: every worker that computed this died") as told:
        found.extend(engine.run())
    assert "everything else is stored" in str(told.value)
    check_all(found, without=("c/03", "c/12"))
    assert [max(map(len, blocks)) for blocks in engine.rounds] == [8, 8, 4, 2, 1, 1]


def test_answers_that_went_with_their_node_are_computed_again_and_nobody_is_blamed():
    lost = pytest.importorskip("ray").exceptions.ObjectLostError("00" * 28, None, "")

    class Losing(PlayedRay):
        def _answers(self, blocks, workers, again):
            for message in super()._answers(blocks, workers, again):
                if len(self.rounds) <= 2 and message.block == 1:
                    raise lost
                yield message

    engine = Losing(lambda ids, number: set())
    check_all(list(engine.run()))
    assert engine.rounds == [[IDS[:8], IDS[8:16], IDS[16:]], [IDS[8:16], IDS[16:]], [IDS[16:]]]


def test_a_ray_that_loses_everything_is_told_of():
    lost = pytest.importorskip("ray").exceptions.ObjectLostError("00" * 28, None, "")

    def losing(blocks, workers, again):
        raise lost
        yield

    engine = PlayedRay(lambda ids, number: set())
    engine._answers = losing
    with pytest.raises(BadInputError, match="Ray can't go on: .*object"):
        list(engine.run())


def test_many_deadly_ones_are_counted():
    engine = PlayedRay(lambda ids, number: set(ids))
    with pytest.raises(BadInputError, match=r"c/00, c/01, c/02 and 17 more: every worker"):
        list(engine.run())


def test_a_refusal_ends_the_run():
    engine = PlayedRay(lambda ids, number: set())
    engine._answers = lambda blocks, workers, again: iter(
        [Message(0, "refused", reason="node a: other weights")]
    )
    with pytest.raises(BadInputError, match="node a: other weights"):
        list(engine.run())


def test_workers_on_gpus_use_them():
    assert PlayedRay(None)._job(Workers(1, 4, 0.5)).device == "cuda"
    job = PlayedRay(None)._job(Workers(1, 4))
    assert (job.device, job.decode_threads, job.seen) == ("auto", 4, ())


def test_workers_look_for_media_that_the_driver_sees(tmp_path):
    for n in range(9):
        (tmp_path / f"{n}.wav").write_bytes(b"")
    uris = [str(tmp_path / "gone.wav"), *(str(tmp_path / f"{n}.wav") for n in range(9))]
    rows = manifest({f"c/{n}": {"media_uri": uri} for n, uri in enumerate(uris)})
    engine = PlayedRay(None)
    engine.runner = Runner([engine.extractor], rows)
    engine.extractor.needs = "audio"
    job = engine._job(Workers(1, 1))
    assert len(job.seen) == 3
    assert set(job.seen) < set(uris[1:])


def test_files_that_settings_name_are_found_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_text("w")
    found = with_absolute_files(LettersSettings(weights="weights", deaths="not there"))
    assert found == LettersSettings(weights=str(tmp_path / "weights"), deaths="not there")
