"""Validate teachers before training: a loaded one on a few samples, a recorded one on its outputs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from rich.text import Text
from torch import Tensor

from mtkd_cli.data.subset import sample_rows
from mtkd_cli.data.views import PLAIN
from mtkd_cli.interfaces import Alignment, Model
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.teachers.inference import outputs_by_id, outputs_by_view
from mtkd_cli.teachers.input_alternatives import SAMPLES, better_input
from mtkd_cli.teachers.recording import MEMORY_HINT
from mtkd_cli.teachers.validation import TeacherValidation, validate_outputs
from mtkd_cli.training.context import Context
from mtkd_cli.training.out_of_memory import memory_errors

if TYPE_CHECKING:
    from mtkd_cli.teachers.outputs import ReadyTeacher

LIVE_SAMPLES = 128
"""Maximum number of validation samples for a loaded teacher."""

RECORDED_SAMPLES = 1024
"""Maximum number of validation samples for a recorded teacher."""

MAX_VALUES = 2**26
"""Maximum number of output values in memory at once."""

CLEAR_SKILL = 0.75
"""Skill above which other input specifications are not tried."""

BATCH = 32
"""Samples per batch."""


def validate_live(
    model: Model, name: str, alignment: Alignment, context: Context, thorough: bool
) -> TeacherValidation:
    """Score a loaded teacher on some labeled validation samples.

    If something looks wrong, or its skill is below `CLEAR_SKILL`, common input specifications are tried, and
    one with a much better score is reported.

    Args:
        model: the teacher, after fitting if it is fitted.
        name: teacher name, used in messages.
        alignment: its label space.
        context: context of the run.
        thorough: try other input specifications in any case.
    """
    val, task = context.data.val, context.task
    if not len(val.labeled):
        return TeacherValidation({}, 0)
    first = _validation_outputs(model, name, val.labeled[:1], alignment, context)
    limit = max(1, MAX_VALUES // max(1, first.numel()))

    def compute_outputs(module: Model, rows: NDArray[np.int64]) -> Tensor:
        return _validation_outputs(module, name, rows, alignment, context)

    rows = sample_rows(val.labeled, min(LIVE_SAMPLES, limit))
    target = torch.from_numpy(val.samples.targets[rows])
    with torch.inference_mode():
        found = validate_outputs(compute_outputs(model, rows), target, task, context.data.classes, alignment)
        is_unclear = found.skill is not None and found.skill < CLEAR_SKILL
        if model.predictions is not None or not (found.doubts or is_unclear or thorough):
            return found
        rows = sample_rows(val.labeled, min(SAMPLES, limit))
        target = torch.from_numpy(val.samples.targets[rows])
        better = better_input(
            model, context.data.input, task, lambda other: compute_outputs(other, rows), target
        )
    return replace(found, doubts=(*found.doubts, better)) if better else found


def _validation_outputs(
    model: Model, name: str, rows: NDArray[np.int64], alignment: Alignment, context: Context
) -> Tensor:
    """Return a teacher's aligned outputs for the plain views of validation samples, ``[N, C, *]``."""
    val, recipe = context.data.val, context.recipe
    if model.predictions is not None:
        outputs_of = outputs_by_id(model, [val], f"teacher {name!r}", recipe.store.on_nan)
    else:
        outputs_of = outputs_by_view(
            with_preprocessing(model).to(context.device).eval(), recipe, context.device
        )
    batches = np.array_split(rows, math.ceil(len(rows) / BATCH))
    with memory_errors(f"teacher {name!r}, batches of {BATCH}", MEMORY_HINT):
        outputs = torch.cat([at_least_float32(outputs_of(val, batch, PLAIN)).cpu() for batch in batches])
    return context.task.align(outputs, alignment)


def validate_recorded(teacher: ReadyTeacher, context: Context) -> TeacherValidation:
    """Score a teacher's recorded outputs on labeled validation samples."""
    val = context.data.val
    if not len(val.labeled):
        return TeacherValidation({}, 0)
    values = max(1, math.prod(teacher.arrays[val.name, PLAIN].layout.shape))
    rows = sample_rows(val.labeled, min(RECORDED_SAMPLES, max(1, MAX_VALUES // values)))
    outputs = teacher.recorded_outputs(val.name, PLAIN, rows)
    target = torch.from_numpy(val.samples.targets[rows])
    return validate_outputs(outputs, target, context.task, context.data.classes, teacher.alignment)


def validation_table(validations: dict[str, TeacherValidation], primary: str) -> Table:
    """Return a table of the teachers' scores on validation, for the terminal."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in ("teachers on validation", spelt(primary), "chance", "labels"):
        table.add_column(column, justify="left" if column.startswith("teachers") else "right")
    for name, validation in validations.items():
        numbers = (validation.metrics.get(primary), validation.chance)
        score, chance = ("-" if number is None else f"{number:.4g}" for number in numbers)
        style = "yellow" if validation.doubts else ""
        table.add_row(Text(name), score, chance, str(validation.labels), style=style)
    return table
