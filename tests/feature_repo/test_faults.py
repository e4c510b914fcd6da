"""The fault ledger: every fault is kept, whatever it holds, and the newest counts."""

import json
import time

import numpy as np
import polars as pl
import pytest

from feature_repo.faults import FaultLedger
from feature_repo.feature_table import QuarantineWarning
from feature_repo.files import FileLayer
from feature_repo.outcome import Fault
from tests.feature_repo.planted import memory_root

VIEW = "text_x_1"


@pytest.fixture(params=["folder", "memory"])
def ledger(request, tmp_path) -> FaultLedger:
    return FaultLedger(FileLayer(str(tmp_path / "store") if request.param == "folder" else memory_root()))


def found(ledger: FaultLedger) -> dict[tuple[str, str], tuple[str, int]]:
    """(message, attempts) by utterance and content key."""
    return {(row[0], row[1]): (row[4], row[6]) for row in ledger.entries(VIEW).iter_rows()}


def fault(message: str = "no") -> Fault:
    return Fault("decode", "ValueError", message, {"channels": 6})


def test_what_was_filed_is_found_by_another_reader(ledger):
    ledger.add(VIEW, {("c/1", "k1"): fault("one"), ("c/2", "k2"): fault("two")})
    (first, second) = FaultLedger(ledger.files).entries(VIEW).sort("utterance_id").to_dicts()
    assert (first["stage"], first["error"], first["message"], first["attempts"]) == (
        "decode",
        "ValueError",
        "one",
        1,
    )
    assert json.loads(second["facts"]) == {"channels": 6}
    assert ledger.views() == [VIEW]
    assert ledger.entries("another").is_empty()


def test_attempts_are_counted_per_content(ledger):
    for attempt in range(3):
        ledger.add(VIEW, {("c/1", "k1"): fault(f"try {attempt}")})
    ledger.add(VIEW, {("c/1", "k2"): fault("other content")})
    assert found(ledger) == {("c/1", "k1"): ("try 2", 3), ("c/1", "k2"): ("other content", 1)}


def test_a_clock_that_goes_backwards_does_not_hide_the_newest(ledger, monkeypatch):
    ledger.add(VIEW, {("c/1", "k1"): fault("first")})
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    ledger.add(VIEW, {("c/1", "k1"): fault("second")})
    ledger.merge(VIEW)
    ledger.add(VIEW, {("c/1", "k1"): fault("third")})
    assert found(ledger) == {("c/1", "k1"): ("third", 3)}


def test_merging_keeps_the_newest_in_one_file(ledger):
    for attempt in range(4):
        ledger.add(VIEW, {("c/1", "k1"): fault(f"try {attempt}"), (f"c/x{attempt}", "k"): fault()})
    before = found(ledger)
    ledger.merge(VIEW)
    assert found(FaultLedger(ledger.files)) == before
    assert len(ledger.files.list_files(f"faults/{VIEW}")) == 1


def test_nothing_to_file_writes_nothing(ledger):
    ledger.add(VIEW, {})
    assert ledger.views() == []


@pytest.mark.parametrize(
    "facts",
    [
        {"rate": np.float32(16000), "n": np.int64(3)},
        {"path": "caf\udce9.wav"},
        {"peak": float("nan")},
        {"shape": (1, 2), "what": object()},
    ],
)
def test_no_fault_is_lost_over_what_it_tells(ledger, facts):
    ledger.add(VIEW, {("c/1", "k1"): Fault("decode", "ValueError", "caf\udce9.wav can't be read", facts)})
    (row,) = FaultLedger(ledger.files).entries(VIEW).to_dicts()
    assert row["message"] == r"caf\udce9.wav can't be read"
    assert set(json.loads(row["facts"])) == set(facts)


def test_erasing_leaves_the_others(ledger):
    ledger.add(VIEW, {("c/1", "k1"): fault(), ("c/2", "k2"): fault()})
    ledger.add(VIEW, {("c/1", "k9"): fault()})
    ledger.erase(VIEW, ["c/1"])
    assert set(found(FaultLedger(ledger.files))) == {("c/2", "k2")}


@pytest.mark.parametrize("keep", [0, 4, 0.5])
def test_half_a_fault_file_goes_to_quarantine_and_the_rest_stays(ledger, keep):
    ledger.add(VIEW, {("c/1", "k1"): fault()})
    (name,) = ledger.files.list_files(f"faults/{VIEW}")
    ledger.add(VIEW, {("c/2", "k2"): fault()})
    data = ledger.files.read(f"faults/{VIEW}/{name}")
    ledger.files.write(f"faults/{VIEW}/{name}", data[: int(keep * len(data)) if keep == 0.5 else keep])
    with pytest.warns(QuarantineWarning, match=name):
        assert set(found(FaultLedger(ledger.files))) == {("c/2", "k2")}
    assert ledger.files.list_files(f"quarantine/{VIEW}") == [name]
    assert set(found(FaultLedger(ledger.files))) == {("c/2", "k2")}, "told once"


def test_types_are_the_same_for_an_empty_and_a_full_ledger(ledger):
    empty = ledger.entries(VIEW)
    ledger.add(VIEW, {("c/1", "k1"): fault()})
    assert ledger.entries(VIEW).schema == empty.schema
    assert isinstance(empty, pl.DataFrame)


def test_a_cancelled_fault_is_gone_and_counts_from_one_again(ledger):
    ledger.add(VIEW, {("c/1", "k1"): fault(), ("c/2", "k2"): fault()})
    ledger.cancel(VIEW, [("c/1", "k1")])
    assert set(found(FaultLedger(ledger.files))) == {("c/2", "k2")}
    ledger.merge(VIEW)
    assert set(found(FaultLedger(ledger.files))) == {("c/2", "k2")}
    ledger.add(VIEW, {("c/1", "k1"): fault("again")})
    assert found(ledger)["c/1", "k1"] == ("again", 1)
