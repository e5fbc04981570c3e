"""Log parameters, curves and scores to MLflow."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_trackers.rows import curve_name, flatten, numbers_of, require

MOST_PARAMETERS = 100
"""Parameters that MLflow takes in one request."""
LONGEST_VALUE = 500
"""Characters of a value that every MLflow server stores; longer ones are cut."""


class MLflow:
    """Logs the recipe as parameters, the numbers of each row, and the final scores.

    The server is that of ``MLFLOW_TRACKING_URI``, or MLflow's default: a database in the working directory.

    Args:
        experiment: experiment that the run belongs to; created if it does not exist.
    """

    def __init__(self, experiment: str) -> None:
        self.experiment = experiment

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Start a run, or continue that of a resumed one.

        Raises:
            DataError: mlflow is not installed.
        """
        require("mlflow", "mlflow", "mlflow")
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = MlflowClient()
        stored = folder / "mlflow" / "run-id"
        if stored.exists():
            self._run = stored.read_text()
            self._client.update_run(self._run, status="RUNNING")
            return
        found = self._client.get_experiment_by_name(self.experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(self.experiment)
        self._run = self._client.create_run(experiment, run_name=folder.name).info.run_id
        stored.parent.mkdir(exist_ok=True)
        stored.write_text(self._run)
        parameters = [Param(key, str(value)[:LONGEST_VALUE]) for key, value in flatten(recipe)]
        for start in range(0, len(parameters), MOST_PARAMETERS):
            self._client.log_batch(self._run, params=parameters[start : start + MOST_PARAMETERS])

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Log the numbers of one row as ``CURVE/NAME``, by the step of its training."""
        numbers = {f"{curve_name(row)}/{name}": value for name, value in numbers_of(row).items()}
        self._log(numbers, row["step"])

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """Log the scores and the verdict, and end the run."""
        scores = dict(flatten(report["scores"], "scores"))
        self._log({name: value for name, value in scores.items() if isinstance(value, int | float)}, 0)
        self._client.set_tag(self._run, "verdict", report["verdict"]["sentence"])
        self._client.set_terminated(self._run)

    def _log(self, numbers: Mapping[str, float], step: int) -> None:
        """Log numbers; those that are not finite are left out, because some servers refuse them."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in numbers.items() if math.isfinite(value)]
        self._client.log_batch(self._run, metrics=metrics)
