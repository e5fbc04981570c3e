"""Regressions from data to report."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import skops.io
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from mtkd_cli.errors import UsageError
from mtkd_cli.report import results
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from tests.fixtures.small_runs import Distill

SMALL = (
    "train.epochs=3",
    "fit.epochs=3",
    "train.lr=1e-2",
    "teachers=[{model: mlp:16, fit: all}, {model: mlp:8-8, fit: all}]",
)


@pytest.fixture
def distill(context: Callable[..., Any]) -> Distill:
    """Run the diabetes recipe, small, and return the report."""
    names = itertools.count()

    def run(*overrides: str, baseline: bool = False) -> dict[str, Any]:
        made = context(*SMALL, *overrides, recipe="diabetes")
        return results.as_json(pipeline.distill(made, Run(f"run-{next(names)}"), baseline))

    return run


def test_a_head_is_fitted_in_the_units_of_the_target(distill: Distill) -> None:
    """Outputs are brought to the target's units behind the head, once, while it is fitted and after."""
    Path("features.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "from mtkd_cli.interfaces import InputSpec, Model\n"
        "def build(outputs, channels):\n"
        "    torch.manual_seed(0)\n"
        "    layers = nn.Sequential(nn.Linear(channels, 64), nn.ReLU(), nn.Linear(64, outputs))\n"
        "    return Model(layers, InputSpec(), head='2', trained=True)\n"
    )
    fit = "{train: head, epochs: 60, lr: 0.01}"
    report = distill(
        f"teachers=[{{name: t, model: 'python:features.py:build', fit: {fit}}}]", "data.labels=null"
    )
    assert report["scores"]["teachers"]["t"]["r2"] > 0.2


@pytest.mark.parametrize("objective", ["squared", "huber", "nll"])
def test_a_regression_runs_from_a_table_to_its_report(distill: Distill, objective: str) -> None:
    report = distill(f"task.objective={objective}", "task.gate=3", baseline=True)
    scores = report["scores"]
    assert report["metric"] == {"name": "rmse", "higher_is_better": False}
    assert 20 < scores["student"]["rmse"] < 170, "in the units of the labels, which go from 25 to 346"
    assert set(scores["teachers"]) == {"mlp-16", "mlp-8-8"}
    assert "times the ensemble's" in report["verdict"]["sentence"]


def test_values_of_mixed_rows_are_learned(distill: Distill) -> None:
    report = distill("augment={mixup: 1}", "views=2", "task.gate=3", "data.labels=60", baseline=True)
    assert 20 < report["scores"]["student"]["rmse"] < 170


def test_two_budgets_of_labels_do_not_share_a_teacher_that_was_fitted_in_other_units(
    distill: Distill,
) -> None:
    """The teacher sees all labels both times, and validation is the same; the deviation is not."""
    few = distill("data.labels=40", "data.val=0.5")
    more = distill("data.labels=80", "data.val=0.25")
    assert few["teachers"][0]["hash"] != more["teachers"][0]["hash"]


def test_a_run_has_a_forest_and_a_net_as_teachers_and_records_anew_when_the_file_changes(
    context: Callable[..., Any],
) -> None:
    data = load_diabetes(scaled=False)

    def distilled(seed: int) -> dict[str, Any]:
        forest = RandomForestRegressor(10, random_state=seed).fit(data.data, data.target)
        skops.io.dump(forest, "forest.skops")
        teachers = "teachers=[sklearn:forest.skops, {model: mlp:16, fit: all}]"
        made = context(teachers, "train.epochs=2", "train.lr=1e-2", "fit.epochs=2", recipe="diabetes")
        return results.as_json(pipeline.distill(made, Run(f"run-{seed}"), baseline=False))

    first, second = distilled(0), distilled(1)
    assert first["scores"]["teachers"]["forest.skops"]["r2"] > 0.8, "it saw the test rows"
    assert first["costs"]["teachers"]["forest.skops"]["parameters"] is None
    hashes = [[teacher["hash"] for teacher in report["teachers"]] for report in (first, second)]
    assert hashes[0][0] != hashes[1][0]
    assert hashes[0][1] == hashes[1][1]


def test_a_teacher_without_parameters_cannot_be_fitted(distill: Distill) -> None:
    skops.io.dump(Ridge().fit([[0.0] * 10, [1.0] * 10], [1.0, 2.0]), "ridge.skops")
    with pytest.raises(UsageError, match="no trainable parameters"):
        distill("teachers=[{model: sklearn:ridge.skops, fit: all}]")
