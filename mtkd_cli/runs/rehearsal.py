"""Try a recipe on a few samples: raises what a run would raise after its teachers are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.subset import sample_rows
from mtkd_cli.data.views import PLAIN
from mtkd_cli.interfaces import Alignment, Model
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.runs import preflight
from mtkd_cli.runs.strategy_batches import make_batches
from mtkd_cli.runs.students import build_trainable, build_untrained
from mtkd_cli.teachers.features import require_last_layer, require_recorded_views
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.teachers.prepare import output_function
from mtkd_cli.teachers.recording import nonfinite_error
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import copy_to_device, row_predictor
from mtkd_cli.training.strategy import Strategy

SAMPLES = 32
"""Maximum number of validation samples that the strategy is tried on."""
MAX_VALUES = 2**26
"""Maximum number of values of one teacher's outputs on these samples."""


@dataclass(frozen=True)
class TriedTeacher:
    """A loaded teacher and its outputs on a few validation samples.

    Attributes:
        ready: the teacher; nothing is recorded.
        outputs: its aligned outputs on the samples of `choose_rows`, ``[B, C, *]``; those of a teacher that
            is fitted later are of its weights today.
    """

    ready: ReadyTeacher
    outputs: Tensor


def choose_rows(context: Context) -> NDArray[np.int64]:
    """Return the rows of the validation split that the strategy is tried on, ``[B]``."""
    count = min(SAMPLES, MAX_VALUES // max(1, context.task.outputs * int(np.prod(context.task.elements))))
    return sample_rows(context.data.val.labeled, count)


def try_teacher(
    teacher: ResolvedTeacher, model: Model, alignment: Alignment, facts: dict[str, Any], context: Context
) -> TriedTeacher:
    """Return a loaded teacher with its outputs on a few validation samples.

    Raises:
        UsageError: the student cannot learn its features.
        DataError: an output is not finite, or does not fit the data's classes.
    """
    if context.recipe.loss.features:
        require_last_layer(model, teacher.name)
    val, rows = context.data.val, choose_rows(context)
    compute = output_function(model, teacher.name, [val], context)
    with torch.no_grad():
        outputs = at_least_float32(compute(val, rows, PLAIN)).cpu()
    outputs = outputs.clone()  # not an inference tensor: strategies compute with it
    gaps = has_nonfinite(outputs)
    if context.recipe.store.on_nan == "error" and gaps.any():
        raise nonfinite_error(teacher.name, val.samples.ids[rows[int(gaps.nonzero()[0])]])
    ready = ReadyTeacher(teacher, context.task, alignment, facts, {})
    return TriedTeacher(ready, ready.align(outputs))


def try_recipe(
    context: Context, views: int | None, strategy: Strategy, teachers: Sequence[TriedTeacher]
) -> None:
    """Try the label spaces, the strategy and the student of a recipe together.

    Args:
        context: the run.
        views: number of recorded views; None if the teachers answer live.
        strategy: the strategy of the recipe; it is fitted to a few samples.
        teachers: all teachers of the recipe.

    Raises:
        MtkdError: the run would raise it before the student is trained.
    """
    ready = [teacher.ready for teacher in teachers]
    preflight.refuse_partial_label_spaces(context, strategy, ready)
    val, rows = context.data.val, choose_rows(context)
    target = torch.from_numpy(val.samples.targets[rows])
    outputs = tuple(teacher.outputs for teacher in teachers)
    batches = make_batches(context, val, ready)
    strategy.fit(batches(outputs, rows, target))
    if context.recipe.loss.features:
        require_recorded_views(views)
    build_trainable(context, [1] * len(ready) if context.recipe.loss.features else [])
    student = copy_to_device(with_preprocessing(build_untrained(context)), context.device)
    answer = row_predictor(student, val, context.device)(rows)
    strategy.merge(batches(outputs, rows, target, student=answer))
