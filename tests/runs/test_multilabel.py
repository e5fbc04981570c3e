"""Several labels a sample, from data to report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.report import results
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run

RECIPE = """
task: multilabel
data: {name: digit-scenes, scenes: 80, test_scenes: 40, labels: 40}
teachers: [{model: "convnet:8-16", fit: all}, {model: "mlp:16", fit: all}]
strategy: weighted
student: convnet:8
fit: {epochs: 2, labels: all}
train: {epochs: 2, lr: 1e-2}
"""


@pytest.mark.parametrize("augment", ["auto", "{mixup: 1, cutmix: 1}"])
def test_a_run_goes_from_scenes_to_a_report(context: Callable[..., Any], augment: str) -> None:
    Path("r.yaml").write_text(RECIPE)
    made = context(f"augment={augment}", recipe="r.yaml")
    report = results.as_json(pipeline.distill(made, Run("run"), baseline=True))
    assert report["metric"] == {"name": "map", "higher_is_better": True}
    assert 0 < report["scores"]["student"]["map"] < 1
