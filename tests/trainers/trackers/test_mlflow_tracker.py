"""What MLflow is told, by a stand-in that keeps it; and MLflow itself where it is installed."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from feature_repo.files import FileLayer
from tests.trainers.planted_runs import planted_run
from trainers.runs.run import Run
from trainers.trackers.mlflow_tracker import MLflowTracker
from trainers.training_loop import Epoch


def epoch(number: int) -> Epoch:
    return Epoch(number, 1e-3, 2 / number, 1 / number, 0.1, 0.2, 0.3, 0.4, best=True, seconds=1.0)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    ids = ["u0", "u1"]
    return planted_run(
        FileLayer(str(tmp_path / "store")), "abc", ids=ids, true=["joy", "anger"], predicted=["joy", "joy"]
    )


class StandIn:
    """The part of MlflowClient that is used, keeping runs in memory."""

    experiments: dict[str, str]
    runs: dict[str, SimpleNamespace]
    uri: str

    def __init__(self, tracking_uri: str) -> None:
        StandIn.uri = tracking_uri

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="1") if name in self.experiments else None

    def create_experiment(self, name: str, artifact_location: str | None) -> str:
        self.experiments[name] = artifact_location
        return "1"

    def search_runs(self, experiments: list[str], query: str, max_results: int) -> list[Any]:
        assert experiments == ["1"]
        return [
            one
            for one in self.runs.values()
            if f"'{one.tags['affectstore.key']}'" in query and one.status != "FINISHED"
        ][:max_results]

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
        name = f"r{len(self.runs)}"
        made = SimpleNamespace(
            info=SimpleNamespace(run_id=name),
            name=run_name,
            tags=tags,
            status="RUNNING",
            metrics=[],
            params={},
        )
        self.runs[name] = made
        return made

    def update_run(self, run: str, status: str) -> None:
        self.runs[run].status = status

    def get_metric_history(self, run: str, name: str) -> list[Any]:
        return [metric for metric in self.runs[run].metrics if metric.key == name]

    def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
        self.runs[run].metrics += metrics
        self.runs[run].params |= {param.key: param.value for param in params}

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[run].status = status


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    StandIn.experiments, StandIn.runs = {}, {}
    module, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    module.MlflowClient = StandIn
    entities.Metric = lambda key, value, timestamp, step: SimpleNamespace(key=key, value=value, step=step)
    entities.Param = lambda key, value: SimpleNamespace(key=key, value=value)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return StandIn


def test_curves_parameters_and_test_scores(client: type[StandIn], tmp_path: Path, run: Run) -> None:
    tracker = MLflowTracker(tmp_path / "mlflow")
    tracker.begin("abc", "mlp abc", {"lr": 1e-3, "hidden": "256, 128"})
    for number in (1, 2):
        tracker.epoch(epoch(number))
    tracker.end(run)
    (told,) = client.runs.values()
    assert (told.name, told.status, told.params) == (
        "mlp abc",
        "FINISHED",
        {"lr": "0.001", "hidden": "256, 128"},
    )
    assert [(m.step, m.value) for m in told.metrics if m.key == "loss/train"] == [(1, 2.0), (2, 1.0)]
    assert [(m.step, m.value) for m in told.metrics if m.key == "validation/uar"] == [(1, 0.4), (2, 0.4)]
    assert [(m.step, m.value) for m in told.metrics if m.key == "test/accuracy"] == [(2, 0.5)]
    assert client.uri == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert client.experiments == {"affectstore": (tmp_path / "mlflow" / "artifacts").as_uri()}


def test_a_run_that_was_stopped_goes_on_without_a_step_twice(
    client: type[StandIn], tmp_path: Path, run: Run
) -> None:
    first = MLflowTracker(tmp_path)
    first.begin("abc", "mlp abc", {})
    for number in (1, 2, 3):
        first.epoch(epoch(number))
    first.close()
    assert [one.status for one in client.runs.values()] == ["KILLED"]
    again = MLflowTracker(tmp_path)
    again.begin("other", "mlp other", {})
    again.begin("abc", "mlp abc", {})
    assert client.runs["r0"].status == "RUNNING"
    for number in (2, 3, 4):  # its state had been saved after the first epoch
        again.epoch(epoch(number))
    again.end(run)
    assert [m.step for m in client.runs["r0"].metrics if m.key == "lr"] == [1, 2, 3, 4]
    assert [one.status for one in client.runs.values()] == ["FINISHED", "KILLED"]


def test_a_finished_run_is_never_written_to(client: type[StandIn], tmp_path: Path, run: Run) -> None:
    for _ in range(2):
        tracker = MLflowTracker(tmp_path)
        tracker.begin("abc", "mlp abc", {})
        tracker.epoch(epoch(1))
        tracker.end(run)
    assert [len(one.metrics) for one in client.runs.values()] == [11, 11]


def test_the_users_server_is_taken(
    client: type[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    tracker = MLflowTracker(tmp_path / "mlflow")
    tracker.begin("abc", "mlp abc", {})
    assert client.uri == tracker.where() == "http://server:5000"
    assert client.experiments == {"affectstore": None}  # the server says where files go
    assert not (tmp_path / "mlflow").exists()


def test_nothing_is_reported_to_its_makers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    MLflowTracker(tmp_path)
    assert os.environ.pop("MLFLOW_DISABLE_TELEMETRY") == "true"


@pytest.mark.long
@pytest.mark.skipif(find_spec("mlflow") is None, reason="MLflow is not installed")
def test_mlflow_itself(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    first = MLflowTracker(tmp_path / "mlflow")
    first.begin("abc", "mlp abc", {"lr": 1e-3})
    first.epoch(epoch(1))
    first.epoch(epoch(2))
    first.close()
    again = MLflowTracker(tmp_path / "mlflow")
    again.begin("abc", "mlp abc", {"lr": 1e-3})
    again.epoch(epoch(2))
    again.epoch(epoch(3))
    again.end(run)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=again.uri)
    (told,) = client.search_runs([client.get_experiment_by_name("affectstore").experiment_id])
    assert told.info.status == "FINISHED"
    assert told.data.params == {"lr": "0.001"}
    assert told.data.metrics["test/accuracy"] == 0.5
    history = client.get_metric_history(told.info.run_id, "loss/train")
    assert [(metric.step, metric.value) for metric in history] == [
        (1, 2.0),
        (2, 1.0),
        (3, pytest.approx(2 / 3)),
    ]
