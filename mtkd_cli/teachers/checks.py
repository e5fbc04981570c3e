"""Validate teachers before a run spends time on them: those that are loaded live, others as recorded."""

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
from mtkd_cli.teachers.inference import by_id, by_views
from mtkd_cli.teachers.input_alternatives import SAMPLES, better_input
from mtkd_cli.teachers.recording import LESS
from mtkd_cli.teachers.validation import Validated, validated
from mtkd_cli.training.context import Context
from mtkd_cli.training.out_of_memory import memory_errors

if TYPE_CHECKING:
    from mtkd_cli.teachers.outputs import ReadyTeacher

LIVE = 128
"""Validation samples that a teacher is asked about when it is loaded, at most."""

RECORDED = 1024
"""Recorded validation samples that are looked at, at most."""

MOST_VALUES = 2**26
"""Numbers of a teacher's outputs that are held at once, at most."""

CLEAR = 0.75
"""Skill from which on a teacher's input specification is not doubted."""

AT_ONCE = 32
"""Samples in a batch."""


def validate_live(
    model: Model, name: str, alignment: Alignment, context: Context, thorough: bool
) -> Validated:
    """Return how a loaded teacher does on a sample of the labeled validation data.

    Where something looks wrong, or its skill is below `CLEAR`, the usual input specifications are tried, and
    the one that would give a much better score is named.

    Args:
        model: the teacher, not to be fitted any more.
        name: its name, for messages.
        alignment: its label space.
        context: the run.
        thorough: try other input specifications in any case.
    """
    val, task = context.data.val, context.task
    first = _answer(model, name, val.labelled[:1], alignment, context)
    most = max(1, MOST_VALUES // max(1, first.numel()))

    def answer(module: Model, rows: NDArray[np.int64]) -> Tensor:
        return _answer(module, name, rows, alignment, context)

    rows = sample_rows(val.labelled, min(LIVE, most))
    target = torch.from_numpy(val.samples.targets[rows])
    with torch.inference_mode():
        found = validated(answer(model, rows), target, task, context.data.classes, alignment)
        unclear = found.skill is not None and found.skill < CLEAR
        if model.predictions is not None or not (found.doubts or unclear or thorough):
            return found
        rows = sample_rows(val.labelled, min(SAMPLES, most))
        target = torch.from_numpy(val.samples.targets[rows])
        better = better_input(model, context.data.input, task, lambda other: answer(other, rows), target)
    return replace(found, doubts=(*found.doubts, better)) if better else found


def _answer(
    model: Model, name: str, rows: NDArray[np.int64], alignment: Alignment, context: Context
) -> Tensor:
    """Return a teacher's answers to the plain views of validation samples, ``[N, C, *]``, aligned."""
    val, recipe = context.data.val, context.recipe
    if model.predictions is not None:
        ask = by_id(model, [val], f"teacher {name!r}", recipe.store.on_nan)
    else:
        ask = by_views(with_preprocessing(model).to(context.device).eval(), recipe, context.device)
    parts = np.array_split(rows, math.ceil(len(rows) / AT_ONCE))
    with memory_errors(f"teacher {name!r}, batches of {AT_ONCE}", LESS):
        outputs = torch.cat([at_least_float32(ask(val, part, PLAIN)).cpu() for part in parts])
    return context.task.aligned(outputs, alignment)


def validate_recorded(teacher: ReadyTeacher, context: Context) -> Validated:
    """Return how a teacher's recorded answers do on the labeled validation samples."""
    val = context.data.val
    values = max(1, math.prod(teacher.arrays[val.name, PLAIN].layout.shape))
    rows = sample_rows(val.labelled, min(RECORDED, max(1, MOST_VALUES // values)))
    outputs, target = teacher.recorded(val.name, PLAIN, rows), torch.from_numpy(val.samples.targets[rows])
    return validated(outputs, target, context.task, context.data.classes, teacher.alignment)


def table_of(found: dict[str, Validated], primary: str) -> Table:
    """Return the teachers' scores on validation for the terminal."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in ("teachers on validation", spelt(primary), "chance", "labels"):
        table.add_column(column, justify="left" if column.startswith("teachers") else "right")
    for name, each in found.items():
        numbers = (each.metrics.get(primary), each.chance)
        score, chance = ("-" if number is None else f"{number:.4g}" for number in numbers)
        style = "yellow" if each.doubts else ""
        table.add_row(Text(name), score, chance, str(each.labels), style=style)
    return table
