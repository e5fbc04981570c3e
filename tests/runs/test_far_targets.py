"""Targets and columns far from zero, of tiny scale, and constant: the same answers in other units."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures.command_line import mtkd
from tests.fixtures.small_runs import Distill

RECIPE = """
task: regression
data: {name: table, path: data.csv, target: y}
teachers: [{model: 'mlp:8', fit: all, name: a}]
fit: {epochs: 20, lr: 3e-2, batch_size: 16}
strategy: mean
student: mlp:4
train: {epochs: 20, lr: 3e-2, batch_size: 16}
"""


@pytest.fixture
def run(distill: Distill) -> Distill:
    """Distill a table whose column ``a`` and target are moved and scaled; return the report."""
    draws = np.random.default_rng(0)
    x = draws.normal(size=(200, 2)).round(3)
    y = (x @ [1.0, -2.0]).round(3) + 0.125

    def make(name: str, column: float = 0, target: float = 0, scale: float = 1) -> dict[str, Any]:
        rows = [[a + column, b, c * scale + target] for (a, b), c in zip(x.tolist(), y.tolist(), strict=True)]
        Path("data.csv").write_text("a,b,y\n" + "".join(f"{a!r},{b!r},{c!r}\n" for a, b, c in rows))
        Path("r.yaml").write_text(RECIPE)
        return distill(name=name, recipe="r.yaml")

    return make


def r2(report: dict[str, Any]) -> list[float]:
    scores = report["scores"]
    return [row["r2"] for row in (scores["student"], scores["teachers"]["a"])]


def test_r2_is_the_same_wherever_zero_is(run: Distill) -> None:
    near = run("near")
    assert r2(near)[1] > 0.5
    for name, change in {
        "far": {"target": 1.7e9},
        "farther": {"target": 1.7e12},
        "column": {"column": 1.7e12},
        "tiny": {"scale": 1e-18},
    }.items():
        report = run(name, **change)
        assert r2(report) == pytest.approx(r2(near), abs=0.01), name
        rmse = near["scores"]["student"]["rmse"] * change.get("scale", 1)
        assert report["scores"]["student"]["rmse"] == pytest.approx(rmse, rel=0.05, abs=0), name


def test_r2_of_a_constant_target_is_none_in_the_report_and_said(run: Distill) -> None:
    report = run("constant", scale=0, target=0.1)
    assert r2(report) == [None, None]
    json.dumps(report, allow_nan=False)
    out = mtkd("evaluate", "constant").output
    assert "undefined" in out


def test_a_student_of_far_targets_predicts_and_is_exported_in_the_users_units(run: Distill) -> None:
    run("far", target=1.7e9, column=1.7e9)
    with Path("data.csv").open() as file:
        labels = [float(row["y"]) for row in csv.DictReader(file)]
    told = mtkd("predict", "far", "data.csv", "--output", "said.csv")
    assert told.exit_code == 0, told.output
    with Path("said.csv").open() as file:
        answers = [float(row["y"]) for row in csv.DictReader(file)]
    assert np.corrcoef(np.subtract(answers, 1.7e9), np.subtract(labels, 1.7e9))[0, 1] > 0.8
    assert len(set(answers)) > 150
    done = mtkd("export", "far", "--format", "pt2", "--output", "far.pt2")
    assert done.exit_code == 0, done.output
