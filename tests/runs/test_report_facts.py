"""What the verdict says about the ensemble and its best teacher."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mtkd_cli.interfaces import InputSpec, LossOptions, TaskData
from mtkd_cli.report.costs import Costs
from mtkd_cli.runs.report_facts import Scored, Scores, make_verdict
from mtkd_tasks.classification import Classification

SAMPLES = 539
TASK = Classification(TaskData(("a", "b"), np.arange(2), InputSpec()), LossOptions())
LABELS = torch.arange(SAMPLES) % 2


def scored(wrong: int) -> Scored:
    """Return the scores of answers of which the first few are wrong."""
    answer = torch.where(torch.arange(SAMPLES) < wrong, 1 - LABELS, LABELS)
    statistics = TASK.statistics(4.0 * torch.nn.functional.one_hot(answer, 2), LABELS)
    return Scored(statistics, TASK.metrics(statistics), Costs())


def sentence(ensemble: int, **teachers: int) -> str:
    class Context:
        task = TASK

    context: Any = Context()
    each = {name: scored(wrong) for name, wrong in teachers.items()}
    return make_verdict(context, Scores(scored(20), {}, scored(ensemble), each)).sentence


def test_a_teacher_that_is_better_by_one_test_sample_is_no_reason_for_advice() -> None:
    said = sentence(4, first=9, second=3)
    assert "strategy=best" not in said
    assert "does not beat" not in said
    assert "No clear difference between the ensemble (0.993) and second alone (0.994)" in said


def test_a_teacher_that_is_clearly_better_than_the_ensemble_is_named() -> None:
    said = sentence(120, first=60, second=9)
    assert "The ensemble (0.777) does not beat its best teacher, second (0.983; 95 % interval" in said
    assert "strategy=best" in said


def test_nothing_is_said_of_teachers_where_the_ensemble_is_the_best() -> None:
    assert "second" not in sentence(3, first=9, second=4)
