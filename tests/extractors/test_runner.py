"""The runner with planted extractors: who is called, with what, and what comes of errors."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import av
import numpy as np
import polars as pl
import pytest

from extractors.frame_extractor import FrameExtractor
from extractors.protocol import Extractor, Frame, Item
from extractors.runner import Runner, attempt
from extractors.settings import Settings
from extractors.throughput import past_rates
from feature_repo.errors import BadInputError
from feature_repo.outcome import Fault, Features
from feature_repo.recipe import Recipe
from tests.extractors.conftest import wav_bytes
from tests.extractors.numbered_video import number_of, write_video


class Planted(Extractor):
    """Writes down what it is asked; raises for the ids in ``bad``."""

    name, modality, Settings = "planted", "text", Settings
    uses_device = False

    def __init__(
        self, name: str, needs: str, modality: str, bad: Sequence[str] = (), two: bool = False
    ) -> None:
        super().__init__(Settings(batch_size=4))
        self.name, self.needs, self.modality = name, needs, modality  # type: ignore[misc]
        self.bad, self.two = set(bad), two
        self.loads = 0
        self.batches: list[list[str]] = []

    def recipes(self) -> Mapping[str, Recipe]:
        reads = "text" if self.needs == "text" else "media"
        recipes = {self.modality: Recipe(self.modality, self.name, 1, reads, "pooled", 1)}
        if self.two:
            recipes[f"{self.modality}_steps"] = Recipe(self.modality, self.name, 1, reads, "steps", 1)
        return recipes

    def cost(self, item: Item) -> float:
        if self.needs == "nothing":
            return 1.0
        return len(item.text) if item.audio is None else len(item.audio)

    def load(self, device: str) -> None:
        self.loads += 1

    def extract(self, batch: Sequence[Item]) -> list:
        self.batches.append([item.utterance_id for item in batch])
        if any(item.utterance_id in self.bad for item in batch):
            raise ValueError("planted")
        outcomes = []
        for item in batch:
            outputs = {self.modality: Features(np.array([self.cost(item)], np.float32))}
            if self.two:
                outputs[f"{self.modality}_steps"] = Features(np.ones((2, 1), np.float32))
            outcomes.append(outputs)
        return outcomes


def manifest(rows: Mapping[str, Mapping[str, object]]) -> pl.DataFrame:
    columns = {"text": pl.String, "language": pl.String, "media_uri": pl.String, "media_size": pl.Int64,
               "start_s": pl.Float64, "end_s": pl.Float64}  # fmt: skip
    listed = [{"utterance_id": key, **dict.fromkeys(columns), **row} for key, row in rows.items()]
    return pl.DataFrame(listed, schema={"utterance_id": pl.String, **columns})


TEXTS = manifest({f"c/{n}": {"text": "x" * (n + 1)} for n in range(10)})


def view(extractor: Extractor, output: str) -> str:
    return extractor.recipes()[output].view


def test_each_missing_pair_comes_once_and_only_what_is_missing():
    planted = Planted("pa", "text", "text", two=True)
    pooled, steps = view(planted, "text"), view(planted, "text_steps")
    missing = {pooled: ["c/1", "c/2"], steps: ["c/2", "c/3"]}
    found = list(Runner([planted], TEXTS).compute(missing))
    assert sorted((name, key) for name, key, _ in found) == sorted(
        (n, k) for n in missing for k in missing[n]
    )
    values = {(name, key): outcome for name, key, outcome in found}
    assert values[pooled, "c/2"].value.tolist() == [3.0]
    assert values[steps, "c/2"].value.shape == (2, 1)
    assert planted.loads == 1
    assert sorted(key for batch in planted.batches for key in batch) == ["c/1", "c/2", "c/3"]


def test_largest_first_in_batches_of_the_settings():
    planted = Planted("pa", "text", "text")
    list(Runner([planted], TEXTS).compute({view(planted, "text"): [f"c/{n}" for n in range(10)]}))
    assert planted.batches == [["c/9", "c/8", "c/7", "c/6"], ["c/5", "c/4", "c/3", "c/2"], ["c/1", "c/0"]]


def test_a_model_without_missing_work_is_not_loaded():
    idle, busy = Planted("pa", "text", "text"), Planted("pb", "text", "text")
    told: list[str] = []
    runner = Runner([idle, busy], TEXTS, on_load=told.append)
    list(runner.compute({view(busy, "text"): ["c/1"]}))
    assert (idle.loads, busy.loads, runner.loaded, told) == (0, 1, ["pb"], ["pb"])


def test_the_culprits_of_a_batch_are_found_and_the_others_computed():
    planted = Planted("pa", "text", "text", bad=["c/3", "c/8"])
    found = list(Runner([planted], TEXTS).compute({view(planted, "text"): [f"c/{n}" for n in range(10)]}))
    faults = {key: outcome for _, key, outcome in found if isinstance(outcome, Fault)}
    assert set(faults) == {"c/3", "c/8"}
    assert (faults["c/3"].stage, faults["c/3"].error, faults["c/3"].message) == (
        "extract",
        "ValueError",
        "planted",
    )
    assert len(found) == 10


def test_an_extractor_that_loses_count_is_at_fault():
    planted = Planted("pa", "text", "text")
    planted.extract = lambda batch: [{"text": Features(np.ones(1))}] * (len(batch) + 1)  # type: ignore[method-assign]
    (outcome,) = attempt(planted, [Item("c/0", "x")])
    assert isinstance(outcome, Fault)
    assert "gave 2 outcomes for 1 utterances" in outcome.message


def test_an_output_that_was_not_given_is_a_fault():
    planted = Planted("pa", "text", "text", two=True)
    planted.extract = lambda batch: [{"text": Features(np.ones(1))} for _ in batch]  # type: ignore[method-assign]
    found = list(Runner([planted], TEXTS).compute({view(planted, "text_steps"): ["c/1"]}))
    assert found[0][2].error == "MissingOutput"


def test_interrupts_are_no_faults():
    planted = Planted("pa", "text", "text")

    def interrupt(batch: object) -> list:
        raise KeyboardInterrupt

    planted.extract = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        list(Runner([planted], TEXTS).compute({view(planted, "text"): ["c/1"]}))


def sounds(write_wav, lengths: Mapping[str, float]) -> pl.DataFrame:
    rows = {}
    for key, seconds in lengths.items():
        samples = np.full(round(seconds * 16_000), 0.25, np.float32)
        rows[key] = {
            "media_uri": write_wav(samples, name=f"{key[2:]}.wav"),
            "media_size": len(samples) * 2 + 44,
        }
    rows["c/gone"] = {"media_uri": "/no/such/clip.wav"}
    return manifest(rows)


def opened(monkeypatch) -> Counter[str]:
    """How often each file is opened by ffmpeg from now on."""
    counts: Counter[str] = Counter()
    original = av.open

    def count(source, *arguments, **options):
        counts[source] += 1
        return original(source, *arguments, **options)

    monkeypatch.setattr(av, "open", count)
    return counts


def test_each_file_is_decoded_once_for_all_extractors(write_wav, monkeypatch):
    first, second = Planted("pa", "audio", "speaker"), Planted("pb", "audio", "speech")
    rows = sounds(write_wav, {f"c/{n}": 0.1 * (n + 1) for n in range(6)})
    decoded = opened(monkeypatch)
    ids = rows["utterance_id"].to_list()
    missing = {view(first, "speaker"): ids, view(second, "speech"): ids[:3]}
    found = list(Runner([first, second], rows, window_s=0.5, decode_threads=2).compute(missing))
    assert len(found) == 7 + 3
    assert set(decoded.values()) == {1}
    assert len(decoded) == 6
    values = {(name, key): outcome for name, key, outcome in found}
    assert values[view(first, "speaker"), "c/4"].value.tolist() == [8000.0]
    gone = values[view(first, "speaker"), "c/gone"]
    assert (gone.stage, gone.error) == ("media", "MissingMedia")
    assert gone.facts["path"] == "/no/such/clip.wav"


def test_a_fault_of_an_extractor_carries_the_medias_facts(write_wav):
    planted = Planted("pa", "audio", "speaker", bad=["c/1"])
    rows = sounds(write_wav, {"c/0": 0.1, "c/1": 0.2})
    found = {
        key: outcome
        for _, key, outcome in Runner([planted], rows).compute({view(planted, "speaker"): ["c/0", "c/1"]})
    }
    assert found["c/1"].facts["path"].endswith("1.wav")
    assert found["c/1"].facts["rate"] == 16_000


def test_spans_of_one_file(write_wav):
    path = write_wav(np.full(48_000, 0.25, np.float32))
    rows = manifest(
        {f"c/{n}": {"media_uri": path, "start_s": float(n), "end_s": n + 0.5 * (n + 1)} for n in range(2)}
    )
    planted = Planted("pa", "audio", "speaker")
    found = {
        key: outcome
        for _, key, outcome in Runner([planted], rows).compute({view(planted, "speaker"): ["c/0", "c/1"]})
    }
    assert found["c/0"].value.tolist() == [8000.0]
    assert found["c/1"].value.tolist() == [16_000.0]


def test_decoding_runs_ahead_but_not_without_bound(write_wav, monkeypatch):
    rows = sounds(write_wav, {f"c/{n:02}": 0.1 for n in range(40)})
    decoded = opened(monkeypatch)
    planted = Planted("pa", "audio", "speaker")
    ids = [each for each in rows["utterance_id"] if each != "c/gone"]
    found = Runner([planted], rows, window_s=0.1, decode_threads=2).compute({view(planted, "speaker"): ids})
    next(found)
    time.sleep(0.3)
    assert 2 <= decoded.total() <= 1 + 4 * 2 + 1
    found.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_a_package_that_is_not_installed_is_told():
    planted = Planted("pa", "text", "text")

    def load(device: str) -> None:
        raise ModuleNotFoundError("No module named 'absent'", name="absent")

    planted.load = load  # type: ignore[method-assign]
    with pytest.raises(BadInputError, match=r"'pa' needs the package 'absent'.*affectstore\[text\]"):
        list(Runner([planted], TEXTS).compute({view(planted, "text"): ["c/1"]}))


def test_a_model_that_does_not_load_ends_the_run():
    planted = Planted("pa", "text", "text")

    def load(device: str) -> None:
        raise OSError("weights are half there")

    planted.load = load  # type: ignore[method-assign]
    with pytest.raises(BadInputError, match="could not be loaded: weights are half there"):
        list(Runner([planted], TEXTS).compute({view(planted, "text"): ["c/1"]}))


def test_a_run_leaves_its_throughput():
    planted = Planted("pa", "text", "text")
    rows = manifest({f"c/{n}": {"text": "x"} for n in range(60)})
    list(
        Runner([planted], rows, device="cpu").compute({view(planted, "text"): rows["utterance_id"].to_list()})
    )
    assert [key.split(":")[0::2] for key in past_rates()] == [["pa", "cpu"]]


def test_provenance_tells_versions_and_device():
    planted = Planted("pa", "text", "text")
    told = Runner([planted], TEXTS, device="cuda:1").provenance()[view(planted, "text")]
    assert told["device"] == "cuda:1"
    assert told["torch"].startswith("2.")


class PlantedEye(FrameExtractor):
    """Keeps the numbers of the pictures; refuses to look before it is loaded, and at the files in ``bad``."""

    name, modality, Settings = "eye", "faces", Settings
    uses_device = False

    def __init__(self, name: str, sampling: str = "seconds", bad: Sequence[int] = (), keep: int = 0) -> None:
        super().__init__(Settings(batch_size=4))
        self.name, self._sampling, self.bad, self.keep = name, sampling, set(bad), keep  # type: ignore[misc]
        self.loads = 0
        self.threads: set[str] = set()
        self.batches: list[list[str]] = []
        self.items: dict[str, Item] = {}

    @property
    def sampling(self):
        return self._sampling

    def recipes(self) -> Mapping[str, Recipe]:
        modality = "faces" if self._sampling == "seconds" else "offsets"
        return {modality: Recipe(modality, self.name, 1, "media", "steps", 1)}

    def cost(self, item: Item) -> float:
        return len(item.seen)

    def load(self, device: str) -> None:
        self.loads += 1

    def look(self, frames: Sequence[Frame]) -> list:
        assert self.loads == 1
        self.threads.add(threading.current_thread().name)
        numbers = [number_of(frame.image) for frame in frames]
        if self.bad & set(numbers):
            raise ValueError("planted")
        return [(frame.time_s, number, np.zeros(self.keep, np.uint8))
                for frame, number in zip(frames, numbers, strict=True)]  # fmt: skip

    def extract(self, batch: Sequence[Item]) -> list:
        self.batches.append([item.utterance_id for item in batch])
        self.items |= {item.utterance_id: item for item in batch}
        (output,) = self.recipes()
        return [
            {output: Features(np.array([[number] for _, number, _ in item.seen], np.float32))}
            for item in batch
        ]


@pytest.fixture
def clips(tmp_path) -> pl.DataFrame:
    """Clips of 2, 3 and 4 s, one without sound, a sound without pictures, and one that is not there."""
    rows = {}
    for place, (seconds, heard) in enumerate([(2, True), (3, True), (4, False)]):
        sound = np.full((1, seconds * 16_000), 0.25, np.float32) if heard else None
        path = write_video(tmp_path / f"{place}.mp4", seconds * 10, sound=sound)
        rows[f"c/{place}"] = {"media_uri": path, "media_size": 1000 - place}
    rows["c/sound"] = {"media_uri": str(tmp_path / "sound.wav"), "media_size": 10}
    (tmp_path / "sound.wav").write_bytes(wav_bytes(np.full(16_000, 0.25, np.float32)))
    rows["c/gone"] = {"media_uri": str(tmp_path / "gone.mp4"), "media_size": 5}
    return manifest(rows)


def results(runner: Runner, missing: Mapping[str, Sequence[str]]) -> dict:
    found = list(runner.compute(missing))
    assert sorted((name, key) for name, key, _ in found) == sorted(
        (n, k) for n in missing for k in missing[n]
    )
    return {(name, key): outcome for name, key, outcome in found}


def test_sound_frames_and_a_second_ear_share_one_decode(clips, monkeypatch):
    ear, eye, asr = Planted("pa", "audio", "speaker"), PlantedEye("eye"), Planted("pb", "audio", "transcript")
    counts = opened(monkeypatch)
    ids = clips["utterance_id"].to_list()
    missing = {view(ear, "speaker"): ids, view(eye, "faces"): ids, view(asr, "transcript"): ids}
    found = results(Runner([ear, eye, asr], clips, decode_threads=2), missing)
    assert set(counts.values()) == {1}
    assert len(counts) == 4
    assert found[view(eye, "faces"), "c/1"].value.ravel().tolist() == [5, 15, 25]
    assert found[view(eye, "faces"), "c/2"].value.ravel().tolist() == [5, 15, 25, 35]
    errors = {
        (name[:4], key): outcome.error for (name, key), outcome in found.items() if isinstance(outcome, Fault)
    }
    assert errors == {
        ("spea", "c/2"): "NoAudioTrack", ("tran", "c/2"): "NoAudioTrack", ("face", "c/sound"): "NoVideoTrack",
        **{(kind, "c/gone"): "MissingMedia" for kind in ("spea", "tran", "face")},
    }  # fmt: skip
    assert all(thread.startswith("decode") for thread in eye.threads)
    assert eye.items["c/1"].facts["width"] == 160
    assert eye.batches[0] == ["c/2", "c/1", "c/0"]  # pooled over clips, the longest first


def test_who_lacks_what_decides_what_is_decoded(clips, monkeypatch):
    ear, eye, around = Planted("pa", "audio", "speaker"), PlantedEye("eye"), PlantedEye("eye", "offsets")
    asked: dict[str, tuple[bool, int]] = {}
    from extractors import decoding

    original = decoding.decode_clip

    def note(uri, start, end, *, sound, watchers, **rest):
        asked[uri[-5:]] = (sound, len(watchers))
        return original(uri, start, end, sound=sound, watchers=watchers, **rest)

    monkeypatch.setattr(decoding, "decode_clip", note)
    missing = {
        view(ear, "speaker"): ["c/0"],
        view(eye, "faces"): ["c/1", "c/2"],
        view(around, "offsets"): ["c/2"],
    }
    runner = Runner([ear, eye, around], clips)
    found = results(runner, missing)
    assert asked == {"0.mp4": (True, 0), "1.mp4": (False, 1), "2.mp4": (False, 2)}
    assert found[view(eye, "faces"), "c/2"].value.ravel().tolist() == [5, 15, 25, 35]
    assert found[view(around, "offsets"), "c/2"].value.ravel().tolist()[:5] == [1, 2, 3, 4, 6]
    assert (eye.loads, around.loads, runner.loaded) == (1, 1, ["pa", "eye", "eye"])


def test_a_fault_in_looking_hits_its_extractor_alone(clips):
    ear, bad, good = Planted("pa", "audio", "speaker"), PlantedEye("ea", bad=[25]), PlantedEye("eb")
    ids = ["c/0", "c/1"]
    missing = {view(ear, "speaker"): ids, view(bad, "faces"): ids, view(good, "faces"): ids}
    found = results(Runner([ear, bad, good], clips), missing)
    faults = {(name, key): outcome for (name, key), outcome in found.items() if isinstance(outcome, Fault)}
    assert set(faults) == {(view(bad, "faces"), "c/1")}
    (fault,) = faults.values()
    assert (fault.stage, fault.error, fault.facts["path"][-5:]) == ("extract", "ValueError", "1.mp4")


@pytest.mark.parametrize(
    ("limits", "batches"),
    [({}, [["c/2", "c/1", "c/0"]]), ({"window_bytes": 4500}, [["c/1", "c/0"], ["c/2"]])],
)
def test_a_window_is_bounded_by_what_was_seen(clips, limits, batches):
    eye = PlantedEye("eye", keep=1000)
    results(Runner([eye], clips, **limits), {view(eye, "faces"): ["c/0", "c/1", "c/2"]})
    assert eye.batches == batches


def test_a_window_is_bounded_by_its_clips(clips, monkeypatch):
    monkeypatch.setattr("extractors.runner.WINDOW_CLIPS", 2)
    eye = PlantedEye("eye")
    results(Runner([eye], clips), {view(eye, "faces"): ["c/0", "c/1", "c/2"]})
    assert eye.batches == [["c/1", "c/0"], ["c/2"]]


def test_who_needs_nothing_reads_no_media(clips, monkeypatch):
    given = Planted("given", "nothing", "transcript")
    counts = opened(monkeypatch)
    ids = clips["utterance_id"].to_list()
    found = results(Runner([given], clips), {view(given, "transcript"): ids})
    assert not counts
    assert {outcome.value.tolist()[0] for outcome in found.values()} == {1.0}
    assert sorted(key for batch in given.batches for key in batch) == sorted(ids)
