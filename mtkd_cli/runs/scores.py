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
"""Function from rows of the test split ``[B]`` to outputs ``[B, C, *]``."""


def make_output_functions(
    context: Context,
    teachers: list[ReadyTeacher],
    strategy: Strategy,
    student: TrainedStudent,
    baselines: Mapping[str, TrainedStudent],
) -> dict[str, Outputs]:
    """Return a function from rows of the test split to outputs for each model that is scored.

    The keys are ``student``, the kinds of the baselines, ``ensemble`` and ``teacher NAME``. Students run on
    the device of the run. The strategy receives no labels.
    """
    test = context.data.test

    def predict_with(model: Model) -> Outputs:
        return row_predictor(copy_to_device(with_preprocessing(model), context.device), test, context.device)

    def read_recorded(teacher: ReadyTeacher) -> Outputs:
        return lambda rows: teacher.recorded_outputs("test", PLAIN, rows)

    batches = make_batches(context, test, teachers)
    predict_student = predict_with(student.model)
    needs_student = "student" in context.parts.strategy.spec.needs

    def merge_teachers(rows: NDArray[np.int64]) -> Tensor:
        # K of [B, C, *]
        outputs = tuple(teacher.recorded_outputs("test", PLAIN, rows) for teacher in teachers)
        merged = strategy.merge(
            batches(outputs, rows, None, predict_student(rows) if needs_student else None)
        )
        return mixture(context.task, merged)

    return {
        "student": predict_student,
        **{kind: predict_with(baseline.model) for kind, baseline in baselines.items()},
        "ensemble": merge_teachers,
        **{f"teacher {teacher.name}": read_recorded(teacher) for teacher in teachers},
    }


def measure_scores(
    context: Context,
    teachers: list[ReadyTeacher],
    student: TrainedStudent,
    baselines: Mapping[str, TrainedStudent],
    outputs: Mapping[str, Outputs],
) -> Scores:
    """Return the scores of every model on the test split.

    Args:
        context: the run.
        teachers: the prepared teachers.
        student: the distilled student.
        baselines: the baselines, by kind.
        outputs: functions of `make_output_functions`.
    """
    test, task = context.data.test, context.task

    def score(name: str, costs: Costs) -> Scored:
        measured = measure(outputs[name], test, task, gaps=name.startswith("teacher "))
        return Scored(measured.statistics, measured.metrics, costs)

    def measure_model(model: Model) -> Costs:
        return measure_cost(model, torch.zeros(1, *test.samples.inputs.shape[1:]), context.device)

    each = {teacher.name: Costs(**teacher.facts["costs"]) for teacher in teachers}
    return Scores(
        score("student", measure_model(student.model)),
        {kind: score(kind, measure_model(baseline.model)) for kind, baseline in baselines.items()},
        score("ensemble", together(list(each.values()))),
        {name: score(f"teacher {name}", costs) for name, costs in each.items()},
    )
