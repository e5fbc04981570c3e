"""Test the student, its baselines, the ensemble and the teachers on the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.views import PLAIN
from mtkd_cli.interfaces import Model
from mtkd_cli.models.cost import measure_cost
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.report.costs import Costs, together
from mtkd_cli.runs.report_facts import Scored, Scores
from mtkd_cli.runs.strategy_batches import make_batches
from mtkd_cli.runs.students import TrainedStudent
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import copy_to_device, measure, row_predictor
from mtkd_cli.training.strategy import Strategy, mixture

Outputs = Callable[[NDArray[np.int64]], Tensor]
"""From rows of the test split to outputs, ``[B, C, *]``."""


def make_output_functions(
    context: Context,
    teachers: list[ReadyTeacher],
    strategy: Strategy,
    student: TrainedStudent,
    baselines: Mapping[str, TrainedStudent],
) -> dict[str, Outputs]:
    """Return a function from rows of the test split to outputs, for the student and all it is compared with.

    Students answer on the run's device. The strategy is given no labels there.
    """
    test = context.data.test

    def of_model(model: Model) -> Outputs:
        return row_predictor(copy_to_device(with_preprocessing(model), context.device), test, context.device)

    def of_teacher(teacher: ReadyTeacher) -> Outputs:
        return lambda rows: teacher.recorded_outputs("test", PLAIN, rows)

    about = make_batches(context, test, teachers)
    of_student = of_model(student.model)
    guided = "student" in context.parts.strategy.spec.needs

    def of_ensemble(rows: NDArray[np.int64]) -> Tensor:
        answers = tuple(teacher.recorded_outputs("test", PLAIN, rows) for teacher in teachers)
        merged = strategy.merge(about(answers, rows, None, of_student(rows) if guided else None))
        return mixture(context.task, merged)

    return {
        "student": of_student,
        **{kind: of_model(baseline.model) for kind, baseline in baselines.items()},
        "ensemble": of_ensemble,
        **{f"teacher {teacher.name}": of_teacher(teacher) for teacher in teachers},
    }


def measure_scores(
    context: Context,
    teachers: list[ReadyTeacher],
    student: TrainedStudent,
    baselines: Mapping[str, TrainedStudent],
    outputs: Mapping[str, Outputs],
) -> Scores:
    """Return the scores of the student and all it is compared with on the test split."""
    test, task = context.data.test, context.task

    def scored(who: str, costs: Costs) -> Scored:
        measured = measure(outputs[who], test, task, gaps=who.startswith("teacher "))
        return Scored(measured.statistics, measured.metrics, costs)

    def cost_of(model: Model) -> Costs:
        return measure_cost(model, torch.zeros(1, *test.samples.inputs.shape[1:]), context.device)

    each = {teacher.name: Costs(**teacher.facts["costs"]) for teacher in teachers}
    return Scores(
        scored("student", cost_of(student.model)),
        {kind: scored(kind, cost_of(baseline.model)) for kind, baseline in baselines.items()},
        scored("ensemble", together(list(each.values()))),
        {name: scored(f"teacher {name}", costs) for name, costs in each.items()},
    )
