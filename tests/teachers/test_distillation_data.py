"""Teachers' outputs on whole views are kept in memory only if they are small, and the data says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtkd_cli.teachers import prepare
from mtkd_cli.teachers.distillation_data import distillation_data
from mtkd_cli.training import view_cache
from mtkd_cli.training.loop import Step
from tests.fixtures.small_runs import Contexts

ONE = ("teachers=[{model: 'mlp:8', fit: all}]", "data.labels=60", "fit={epochs: 1, labels: student}")


@pytest.mark.parametrize(
    ("views", "most", "kept"),
    [("1", view_cache.MAX_VIEW, True), ("1", 1000, False), ("live", view_cache.MAX_VIEW, False)],
    ids=["small", "large", "live"],
)
def test_it_says_whether_outputs_are_kept(
    views: str, most: int, kept: bool, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_cache, "MAX_VIEW", most)
    run = context(*ONE, f"views={views}")
    count = None if views == "live" else 1
    data = distillation_data(prepare.prepare_teachers(run, count), count, run)
    step = Step(0, 0, 0.0, np.array([3, 1]))
    data.teacher_outputs(replace(step, views=data.views(step)))
    assert data.keeps_outputs == kept
