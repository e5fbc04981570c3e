"""A finished run with every part of a report, and names that would be markup."""

from __future__ import annotations

import copy
from typing import Any

import pytest

EVIL = "<img src=x onerror=alert(1)>"


def _scores(accuracy: float) -> dict[str, Any]:
    costs = {"parameters": 1000, "bytes": 4000, "latency_ms": 0.2, "latency_p95_ms": 0.3}
    return {"accuracy": accuracy, "nll": 0.1, **costs}


def _details(points: Any = None) -> dict[str, Any]:
    return {
        "per_class": {"recall": [0.9, None]},
        "confusion": [[9, 1], [0, 0]],
        "reliability": [[0.55, 0.5, 4], [0.95, 0.9, 6]],
        "points": points or {},
    }


def _curve(*values: float) -> list[dict[str, float]]:
    return [
        {"step": 10 * n, "epoch": n, "task_loss": 1 / n, "kd_loss": 2 / n, "accuracy": value}
        for n, value in enumerate(values, 1)
    ]


REPORT: dict[str, Any] = {
    "run": "try",
    "task": "classification",
    "strategy": "mean",
    "metric": {"name": "accuracy", "higher_is_better": True},
    "verdict": {"difference": 0.1, "interval": [0.05, 0.15], "sentence": f"It helped. {EVIL}"},
    "scores": {
        "student": _scores(0.8),
        "alone": _scores(0.7),
        "ensemble": {**_scores(1.0), "bytes": 40000, "latency_ms": 1.0},
        "teachers": {"good": _scores(0.9), EVIL: _scores(0.6)},
    },
    "details": {"student": _details(), "alone": _details(), "ensemble": _details(), "teachers": {}},
    "curves": {"student": _curve(0.5, 0.8), "alone": _curve(0.4, 0.7)},
    "weights": {"mean": [0.7, 0.3], "per_class": {EVIL: [0.9, 0.1], "b": [0.5, 0.5]}},
    "data": {"name": "mine", "classes": [EVIL, "b"], "train": 90, "train_labelled": 9, "val": 5, "test": 10},
    "teachers": [
        {"name": name, "model": "mlp:8", "hash": "0a1b", "labels_seen": "all", "classes": {}}
        for name in ("good", EVIL)
    ],
    "student": {"model": "mlp:4"},
    "engine": {"mtkd": "0.1.0", "threads": 2},
    "versions": {"mtkd": "0.1.0", "torch": "2"},
    "machine": "Linux",
    "repeat": "mtkd distill runs/try/recipe.yaml",
}


@pytest.fixture
def report() -> dict[str, Any]:
    return copy.deepcopy(REPORT)
