"""Tracker `mlflow` with a local database: the same numbers as metrics.jsonl, and one run after a resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from mtkd_trackers.mlflow import MLflow
from mtkd_trackers.rows import curve_name, numbers_of


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


def test_logs_parameters_curves_and_scores(distill: Callable[..., dict[str, Any]]) -> None:
    report = distill("trackers=[{name: mlflow, experiment: mine}]", "train.lr=[0.01,0.02]", name="watched")
    client = MlflowClient()
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == "watched"
    assert run.data.params["loss.temperature"] == "1.0"
    assert run.data.metrics["scores.student.accuracy"] == report["scores"]["student"]["accuracy"]
    assert run.data.tags["verdict"] == report["verdict"]["sentence"]
    rows = [json.loads(line) for line in Path("runs/watched/metrics.jsonl").read_text().splitlines()]
    curve = curve_name(rows[-1])
    for name in numbers_of(rows[-1]):
        found = client.get_metric_history(run.info.run_id, f"{curve}/{name}")
        expected = [(row["step"], row[name]) for row in rows if curve_name(row) == curve]
        assert sorted((metric.step, metric.value) for metric in found) == expected


def test_resumed_run_continues_the_same_run(tmp_path: Path) -> None:
    for step in (1, 2):
        tracker = MLflow("mtkd")
        tracker.run_started({"task": "x"}, tmp_path)
        tracker.epoch_finished({"phase": "fit", "step": step, "loss": 0.5, "other": float("nan")})
    client = MlflowClient()
    experiment = client.get_experiment_by_name("mtkd")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert [m.step for m in client.get_metric_history(run.info.run_id, "fit/loss")] == [1, 2]
    assert not client.get_metric_history(run.info.run_id, "fit/other")
