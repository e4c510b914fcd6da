"""Run folders: keys, round trips, and that an unfinished folder is no run."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from feature_repo.errors import BadInputError, StoreWriteError, UnknownNameError
from feature_repo.files import FileLayer
from trainers.config import AdapterConfig, identity_values
from trainers.runs import run as module
from trainers.runs.run import Run, find_run, finished_run, finished_runs, ids_digest, run_key, write_run

IDENTITY = {"settings": {"lr": 0.001}, "protocol": "official", "fold": 0, "seed": 0, "snapshot": "a" * 64}
CONFIG = {"trainer": "mlp", "settings": {"lr": {"value": 1e-3, "source": "papers/000 III-B2"}}}
EPOCHS = pl.DataFrame({"number": [1, 2], "lr": [1e-3, 1e-4], "best": [True, False]})
PARTS = pl.DataFrame({"utterance_id": ["c/é", "c/b"], "speaker_id": ["x", None], "part": ["train", "test"]})
PREDICTIONS = pl.DataFrame(
    {"utterance_id": ["c/b"], "fold": [0], "true": ["joy"], "predicted": ["joy"], "p_joy": [1.0]}
)


def _write(files: FileLayer, key: str, **record: Any) -> Run:
    told = {
        "key": key,
        "created": "2026-11-21",
        "classes": ["joy", "fear"],
        "confusion": [[3, 1], [0, 2]],
        **record,
    }
    return write_run(
        files, told, config=CONFIG, epochs=EPOCHS, parts=PARTS, predictions=PREDICTIONS, checkpoint=b"weights"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"fold": 1},
        {"protocol": "speaker-folds"},
        {"snapshot": "b" * 64},
        {"settings": {"lr": 0.01}},
    ],
)
def test_a_key_changes_with_all_that_decides_the_numbers(change: dict[str, Any]) -> None:
    key = run_key(IDENTITY)
    assert len(key) == 12
    assert run_key(dict(reversed(IDENTITY.items()))) == key
    assert run_key(IDENTITY | change) != key


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (AdapterConfig(), "c5a1a2012aca"),
        (AdapterConfig(lr=1e-4, class_weights={"fear": 15.0}, selection="uar"), "710ae30caa6f"),
    ],
)
def test_the_keys_of_runs_that_are_stored_stand(config: AdapterConfig, key: str) -> None:
    """Keys as they were before the adapters had more settings: else every stored run would be run again."""
    identity = {
        "trainer": "mlp",
        "settings": identity_values(config),
        "protocol": "official",
        "folds": 1,
        "fold": 0,
        "seed": 0,
        "labels": "seven",
        "views": ["a" * 64],
        "snapshot": "b" * 64,
    }
    assert run_key(identity) == key


def test_a_key_changes_with_the_trainers_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_key(IDENTITY)
    monkeypatch.setattr(module, "CODE_VERSION", module.CODE_VERSION + 1)
    assert run_key(IDENTITY) != before


def test_ids_digest_is_of_the_set() -> None:
    assert ids_digest(pl.Series(["a", "b"])) == ids_digest(pl.Series(["b", "a"]))
    assert ids_digest(pl.Series(["a", "b"])) != ids_digest(pl.Series(["a", "c"]))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    files = FileLayer(str(tmp_path))
    _write(files, "aaaa00000000", seed=3)
    got = finished_run(files, "aaaa00000000")
    assert got is not None
    assert got.record["seed"] == 3
    assert got.config() == CONFIG
    assert got.checkpoint() == b"weights"
    assert got.test.accuracy == pytest.approx(5 / 6)
    for frame, expected in ((got.epochs(), EPOCHS), (got.parts(), PARTS), (got.predictions(), PREDICTIONS)):
        assert frame.equals(expected)


def test_a_folder_without_its_last_file_is_no_run(tmp_path: Path) -> None:
    files = FileLayer(str(tmp_path))
    order: list[str] = []

    def fail_at_the_record(moment: str, operation: str, path: str) -> None:
        if moment == "before" and operation == "replace":
            order.append(path)
            if path.endswith("run.json"):
                raise OSError("power cut")

    broken = FileLayer(str(tmp_path), hook=fail_at_the_record)
    with pytest.raises((OSError, StoreWriteError)):
        _write(broken, "aaaa00000000")
    assert (tmp_path / "runs/aaaa00000000/model.safetensors").exists()
    assert finished_run(files, "aaaa00000000") is None
    assert finished_runs(files) == []
    with pytest.raises(UnknownNameError, match="none exist yet"):
        find_run(files, "aaaa")
    _write(files, "aaaa00000000")  # and it can be trained again over what was left
    assert finished_run(files, "aaaa00000000") is not None


def test_runs_are_found_by_a_beginning_that_only_one_has(tmp_path: Path) -> None:
    files = FileLayer(str(tmp_path))
    _write(files, "abcd00000000", created="2026-02")
    _write(files, "abff00000000", created="2026-01")
    files.write("runs/abce00000000/resume.pt", b"unfinished")
    assert find_run(files, "abc").key == "abcd00000000"
    assert [run.key for run in finished_runs(files)] == ["abff00000000", "abcd00000000"]
    for name in ("ab", "x", ""):
        with pytest.raises(UnknownNameError, match="allowed: abcd00000000, abff00000000"):
            find_run(files, name)


def test_damage_is_told_with_the_file(tmp_path: Path) -> None:
    files = FileLayer(str(tmp_path))
    run = _write(files, "aaaa00000000")
    files.remove("runs/aaaa00000000/model.safetensors")
    with pytest.raises(BadInputError, match=r"aaaa00000000 has lost its model\.safetensors"):
        run.checkpoint()
    (tmp_path / "runs/aaaa00000000/run.json").write_text("{")
    with pytest.raises(BadInputError, match=r"run\.json is unreadable"):
        finished_run(files, "aaaa00000000")
    (tmp_path / "runs/aaaa00000000/run.json").write_text(json.dumps([]))
    with pytest.raises(BadInputError, match=r"run\.json is unreadable"):
        finished_run(files, "aaaa00000000")
