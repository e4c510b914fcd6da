"""A run that is killed with -9 and started again ends with the numbers of one that nothing disturbed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from feature_repo.errors import BadInputError
from feature_repo.files import FileLayer
from feature_repo.store import open_store
from tests.trainers.conftest import Planted
from tests.trainers.planted_sequences import planted_sequences
from trainers.config import AdapterConfig
from trainers.runs.resumption import Resumption
from trainers.runs.run import Run, finished_runs
from trainers.train import train

ROOT = Path(__file__).parents[3]
SCRIPT = """
import json, sys
from feature_repo.errors import BadInputError
from feature_repo.files import FileLayer
from feature_repo.store import open_store
from trainers.runs import resumption
from trainers.config import resolve
from trainers.models import model_config
from trainers.start import started_runs
from trainers.train import Progress, train

root, settings, stop, model, slots = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:6]
resumption._TIMES_THE_LAST = 0  # every epoch is saved


def on_epoch(epoch):
    print(epoch.number, flush=True)
    if epoch.number == stop:
        sys.stdin.read()  # until it is killed


config = resolve(model_config(model), values={"max_epochs": 8, "lr": 0.01, "plateau_patience": 1, **settings})
store = open_store(root)
start = started_runs(store.files, sys.argv[6]) if sys.argv[6] else ()
progress = Progress(on_epoch=on_epoch)
train(store, slots.split(","), config=config, protocol="official", start=start, progress=progress)
"""


def _start(
    root: str, settings: dict[str, float], stop: int, model: str, slots: str, begun: str = ""
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, root, json.dumps(settings), str(stop), model, slots, begun],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _finished(root: str) -> Run:
    """The newest run."""
    return finished_runs(open_store(root).files)[-1]


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        pytest.param("mlp", {}, marks=pytest.mark.long),
        pytest.param("mlp", {"ema": 0.9, "accumulate": 2, "clip_norm": 1.0}, marks=pytest.mark.long),
        # Batches of like length, modalities dropped by chance, a scan: all drawn again as they were.
        ("mamba", {"d_state": 4, "modality_dropout": 0.3, "dropout": 0.2}),
    ],
)
def test_a_killed_run_ends_with_the_same_numbers(
    planted: Planted, tmp_path: Path, model: str, settings: dict[str, float]
) -> None:
    slots = "text" if model == "mlp" else "text_steps,speaker"
    root = planted.store.root if model == "mlp" else planted_sequences(tmp_path / "more").root
    other = root + "_killed"
    shutil.copytree(root, other)
    _check_killed(root, other, settings, model, slots)


@pytest.mark.long
def test_a_killed_run_that_began_with_anothers_weights_does_too(planted: Planted) -> None:
    store = planted.store
    first = train(store, ["text"], config=AdapterConfig(max_epochs=2, lr=0.02), protocol="official").runs[0]
    other = store.root + "_killed"
    shutil.copytree(store.root, other)
    _check_killed(store.root, other, {"ema": 0.9}, "mlp", "text", first.key)
    assert _finished(other).record["start"] == first.key


def _check_killed(
    root: str, other: str, settings: dict[str, float], model: str, slots: str, begun: str = ""
) -> None:
    """Train in one store, kill and train again in its copy: everything is equal."""
    before = len(finished_runs(open_store(other).files))
    whole = _start(root, settings, 0, model, slots, begun)
    assert whole.communicate(timeout=100)[0].split() == list("12345678")
    killed = _start(other, settings, 4, model, slots, begun)
    assert killed.stdout is not None
    assert [killed.stdout.readline().strip() for _ in range(4)] == list("1234")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(finished_runs(open_store(other).files)) == before
    again = _start(other, settings, 0, model, slots, begun)
    assert again.communicate(timeout=100)[0].split() == list("5678")  # and not from the beginning
    one, two = _finished(root), _finished(other)
    assert two.key == one.key
    assert two.record["scores"] == one.record["scores"]
    assert two.checkpoint() == one.checkpoint()
    assert two.epochs().drop("seconds").equals(one.epochs().drop("seconds"))
    assert two.predictions().equals(one.predictions())
    assert two.record.get("start") == one.record.get("start")
    assert set(two.files.list_files(f"runs/{two.key}")) == set(one.files.list_files(f"runs/{one.key}"))
    assert "resume.pt" not in two.files.list_files(f"runs/{two.key}")


@pytest.mark.parametrize("keep", [0, 5, 0.5])
def test_a_damaged_state_is_told_with_its_file(tmp_path: Path, keep: float) -> None:
    resumption = Resumption(FileLayer(str(tmp_path)), "abc", "cpu")
    assert resumption.load() is None
    resumption.save({"epochs": [1, 2]})
    assert resumption.load() == {"epochs": [1, 2]}
    file = tmp_path / resumption.path
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else int(keep)])
    with pytest.raises(BadInputError, match=r"resume\.pt is damaged; remove it"):
        resumption.load()


def test_a_state_of_another_torch_or_device_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumption = Resumption(FileLayer(str(tmp_path)), "abc", "cpu")
    resumption.save({"epochs": []})
    monkeypatch.setattr(Resumption, "_made_by", lambda self: ["1.0", "cpu"])
    assert resumption.load() is None
