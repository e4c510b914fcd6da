"""Runs for MLflow: its server where ``MLFLOW_TRACKING_URI`` names one, else a database beside the store."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers.trackers.tracking import scalars, test_scores

if TYPE_CHECKING:
    from trainers.runs.run import Run
    from trainers.training_loop import Epoch

EXPERIMENT = "affectstore"
_SERVER = "MLFLOW_TRACKING_URI"
_TAG = "affectstore.key"


class MLflowTracker:
    """One MLflow run per run, found again by its key when it goes on."""

    def __init__(self, folder: Path) -> None:
        # MLflow reports its use to its makers otherwise; who wants that says so.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self.folder = folder
        self.uri = os.environ.get(_SERVER) or f"sqlite:///{folder / 'mlflow.db'}"
        self._client: Any = None
        self._run: str | None = None
        self._told = 0  # the last epoch that MLflow has

    def begin(self, key: str, name: str, parameters: Mapping[str, Any]) -> None:
        """Begin the run, or go on with the one of the same key that was stopped."""
        self.close()
        from mlflow.entities import Param

        client, experiment = self._connected()
        found = client.search_runs(
            [experiment], f"tags.`{_TAG}` = '{key}' and attributes.status != 'FINISHED'", max_results=1
        )
        if found:
            self._run = str(found[0].info.run_id)
            client.update_run(self._run, status="RUNNING")
            history = client.get_metric_history(self._run, "lr")
            self._told = max((metric.step for metric in history), default=0)
        else:
            made = client.create_run(experiment, run_name=name, tags={_TAG: key})
            self._run = str(made.info.run_id)
            self._told = 0
            told = [Param(each, str(value)) for each, value in parameters.items()]
            client.log_batch(self._run, params=told)

    def epoch(self, epoch: Epoch) -> None:
        """Log the epoch's scalars; one that it has from before the run was stopped is the same and left as it is."""
        if epoch.number > self._told:
            self._log(scalars(epoch), epoch.number)
            self._told = epoch.number

    def end(self, run: Run) -> None:
        """Log the test scores at the kept epoch and finish the run."""
        self._log(test_scores(run), int(run.record["best_epoch"]))
        self._terminate("FINISHED")

    def close(self) -> None:
        """A run that has not ended was stopped."""
        self._terminate("KILLED")

    def where(self) -> str:
        """The command that shows it, or the server."""
        return os.environ.get(_SERVER) or f"mlflow ui --backend-store-uri {self.uri}"

    def _connected(self) -> tuple[Any, str]:
        from mlflow import MlflowClient  # seconds

        if self._client is None:
            if _SERVER not in os.environ:
                self.folder.mkdir(parents=True, exist_ok=True)
            self._client = MlflowClient(tracking_uri=self.uri)
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return self._client, str(found.experiment_id)
        # Without a place of its own it would write into the working directory.
        place = None if _SERVER in os.environ else (self.folder / "artifacts").as_uri()
        return self._client, str(self._client.create_experiment(EXPERIMENT, artifact_location=place))

    def _log(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def _terminate(self, status: str) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            self._client.set_terminated(run, status)
