"""Result files as versions 0.1 and 0.2 wrote them, with every part, and names that would be markup."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.report import results
from mtkd_cli.report.audit_result import Audit
from mtkd_cli.report.comparison_result import Comparison
from mtkd_cli.report.run_result import RunResult

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
def facts() -> dict[str, Any]:
    """What ``report.json`` of a version before had."""
    return copy.deepcopy(REPORT)


def run_result(facts: dict[str, Any] = REPORT) -> RunResult:
    found: RunResult = results.parsed(facts, Path("report.json"))
    return found


def _span(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def _classes(strength: float | None) -> list[dict[str, Any]]:
    facts = {"samples": 5, "strength": strength, "right": 0.5, "confidence": 0.9, "surely_wrong": True}
    return [{"name": EVIL, **facts}, {"name": "b", **facts}]


AUDIT: dict[str, Any] = {
    "recipe": {"data": {"name": "mine"}},
    "task": "classification",
    "metric": "accuracy",
    "higher_is_better": True,
    "samples": 10,
    "classes": [EVIL, "b"],
    "teachers": [
        {
            "name": name,
            "labels_seen": "all",
            "score": _span(score),
            "loss": _span(0.5),
            "metrics": {"accuracy": score, "nll": 0.5},
            "reliability": [[0.6, 0.5, 4], [0.9, 0.8, 6]],
            "classes": _classes(score),
        }
        for name, score in (("good", 0.9), (EVIL, 0.3))
    ],
    "pairs": [{"teachers": ["good", EVIL], "agreement": 0.5, "error_correlation": None}],
    "oracle": _span(0.95),
    "strategies": [
        {
            "name": name,
            "score": _span(score),
            "loss": _span(0.4),
            "metrics": {},
            "cross_fitted": name == "best",
            "weights": weights,
        }
        for name, score, weights in (
            ("mean", 0.8, [0.5, 0.5]),
            ("best", 0.9, [1.0, 0.0]),
            ("median", 0.7, []),
        )
    ],
    "not_measured": {"route": "needs metadata"},
    "left_out": [{"strategy": "mean", "teacher": EVIL, "gain": _span(0.1), "loss_gain": _span(0.2)}],
    "added": [],
    "configured": "mean",
    "recommended": "best",
    "advice": [{"about": "strategy", "sentence": f"use best; {EVIL} is wrong", "evidence": {}}],
}


def audit_result(facts: dict[str, Any] = AUDIT) -> Audit:
    found: Audit = results.parsed(facts, Path("audit.json"))
    return found


VERDICT = {
    "word": "BEATS",
    "seeds": 2,
    "gain": 0.1,
    "low": 0.05,
    "high": 0.15,
    "p_holm": 0.01,
    "seeds_to_settle": None,
}


def row(name: str, against: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "scores": [0.8, 0.9],
        "seeds": [{"train.seed": "0"}, {"train.seed": "1"}],
        "mean": 0.85,
        "interval": [0.8, 0.9],
        "runs": ["runs/a", "runs/b"] if against else [],
        "against": against,
    }


COMPARISON: dict[str, Any] = {
    "task": "classification",
    "metric": {"name": "accuracy", "higher_is_better": True},
    "test_samples": 100,
    "seeds": 2,
    "rows": [row("student alone", {}), row(EVIL, {"student alone": VERDICT})],
    "failures": {"strategy=mine": "it raised"},
    "tuned": [
        {
            "method": {"strategy": EVIL},
            "settings": {"loss.temperature": "2"},
            "score": 0.9,
            "loss": None,
            "trials": [{"loss.temperature": "2", "score": 0.9, "loss": None}],
        }
    ],
    "sentences": [f"{EVIL} BEATS the student alone"],
}


def comparison_result(facts: dict[str, Any] = COMPARISON) -> Comparison:
    found: Comparison = results.parsed(facts, Path("comparison.json"))
    return found
