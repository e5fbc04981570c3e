"""Compare recorded outputs with the teacher's current outputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.store import content_store, recorded_outputs
from mtkd_cli.store.inventory import FLOAT32_TOLERANCE
from mtkd_cli.store.recorded_outputs import RecordedArray
from mtkd_cli.store.rounding import describe_rounding
from mtkd_cli.store.row_format import VALUES
from mtkd_cli.teachers import recording
from mtkd_cli.teachers.fine_tuning import fit_teacher
from mtkd_cli.teachers.load import load_teacher
from mtkd_cli.teachers.prepare import output_function
from mtkd_cli.teachers.probe import with_output_form
from mtkd_cli.teachers.recorded_predictions import OutputFunction
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher, resolve_teachers
from mtkd_cli.training.context import Context

SAMPLES = 32
"""Number of samples of each array to recompute."""

TOLERANCE = {"fp16": 2e-3, "fp32": 1e-4, "fp64": 1e-4}
"""Largest allowed difference of probabilities, and of values as a share of their range."""


def differences(context: Context) -> Iterator[dict[str, Any]]:
    """Recompute some outputs of a recipe's teachers; yield the difference to each recorded array.

    Only recorded arrays are compared; teachers whose fitted weights are missing are skipped.
    """
    data = context.data
    for teacher in resolve_teachers(context):
        arrays = list(_recorded_arrays(teacher, context))
        if not arrays or (teacher.fit_key and content_store.find("fitted", teacher.fit_key) is None):
            continue
        model = fit_teacher(load_teacher(teacher.part, teacher.entry, data, context.task), teacher, context)
        model = with_output_form(model, teacher.entry, data.val, context)
        outputs = output_function(model, teacher.name, [split for split, _, _ in arrays], context)
        for split, number, array in arrays:
            difference, limit = _difference(outputs, split, number, array)
            row = {"teacher": teacher.name, "split": split.name, "view": number}
            rounding = (
                None if array.rounding is None else describe_rounding(array.rounding, array.layout.kind)
            )
            yield {**row, "difference": difference, "same": difference <= limit, "rounding": rounding}


def _recorded_arrays(
    teacher: ResolvedTeacher, context: Context
) -> Iterator[tuple[Split, int, RecordedArray]]:
    """Yield the complete arrays of a teacher, with consecutive views of each split."""
    for split in context.data.splits:
        for number in itertools.count():
            array = recorded_outputs.find(
                recording.key(teacher.key, split, number, context.recipe, context.task), len(split)
            )
            if array is None:
                break
            yield split, number, array


def _difference(
    outputs: OutputFunction, split: Split, number: int, array: RecordedArray
) -> tuple[float, float]:
    """Return an array's largest difference to the live teacher on some samples, and the limit.

    Logits are compared by their probabilities: a constant added to a row does not change these.
    """
    layout = array.layout
    rows = sample_rows(np.arange(len(split)), SAMPLES)
    live = at_least_float32(outputs(split, rows, number)).cpu()
    live = layout.to_comparable(layout.decode(layout.encode(live)))
    difference, limit = (
        (live - layout.to_comparable(array[rows])).abs().max().item(),
        TOLERANCE[layout.precision],
    )
    if layout.kind == VALUES:
        limit = limit * (live.max() - live.min()).item() + FLOAT32_TOLERANCE * live.abs().max().item()
    return difference, limit
