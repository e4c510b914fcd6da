"""The runner with planted extractors: who is called, with what, and what comes of errors."""

import threading
import time
from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest

from extractors.protocol import Item
from extractors.runner import Runner, attempt
from extractors.throughput import past_rates
from feature_repo.errors import BadInputError
from feature_repo.outcome import Fault, Features
from tests.extractors.planted_extractors import Planted, manifest, opened, view

TEXTS = manifest({f"c/{n}": {"text": "x" * (n + 1)} for n in range(10)})


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


@pytest.mark.parametrize(("needs", "slot", "what"), [("text", "text", "texts"), ("audio", "speech", "media")])
def test_what_came_with_an_export_is_not_computed_from_nothing_or_from_a_file_of_the_same_name(
    needs, slot, what
):
    # As `import --with-manifest` leaves it: the keys of a text and of a file, and neither of them.
    rows = TEXTS.with_columns(
        media_key=pl.lit("ab" * 16), text=pl.lit(None, pl.String), media_uri=pl.lit(None, pl.String)
    )
    planted = Planted("pa", needs, slot)
    for compute in (Runner([planted], rows).compute, Runner([planted], rows).blocks):
        with pytest.raises(BadInputError, match=f"2 utterances, such as 'c/1', came .* without their {what}"):
            list(compute({view(planted, slot): ["c/1", "c/2"]}))
    assert planted.batches == []


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
