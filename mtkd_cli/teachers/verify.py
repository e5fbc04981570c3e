"""Compare recorded outputs with what the teacher answers now."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.store import content_store, recorded_outputs
from mtkd_cli.store.inventory import FLOAT32
from mtkd_cli.store.recorded_outputs import Recorded
from mtkd_cli.store.rounding import in_words
from mtkd_cli.store.row_format import VALUES
from mtkd_cli.teachers import recording
from mtkd_cli.teachers.fine_tuning import fitted
from mtkd_cli.teachers.inference import Ask
from mtkd_cli.teachers.load import load_teacher
from mtkd_cli.teachers.prepare import asker
from mtkd_cli.teachers.resolved_teacher import ResolvedTeacher, resolved_teachers
from mtkd_cli.training.context import Context

VERIFIED = 32
"""Samples of each array that are computed again."""

TOLERANCE = {"fp16": 2e-3, "fp32": 1e-4, "fp64": 1e-4}
"""Largest allowed difference of probabilities, and of values as a share of their range."""


def differences(context: Context) -> Iterator[dict[str, Any]]:
    """Ask a recipe's teachers again about some samples; yield how far each recorded array is off.

    Only what is recorded is compared, and nothing is fitted for it.
    """
    data = context.data
    for teacher in resolved_teachers(context):
        arrays = list(_recorded(teacher, context))
        if not arrays or (teacher.fit_key and content_store.find("fitted", teacher.fit_key) is None):
            continue
        model = fitted(load_teacher(teacher.part, teacher.entry, data, context.task), teacher, context)
        ask = asker(model, teacher.name, [split for split, _, _ in arrays], context)
        for split, number, array in arrays:
            difference, limit = _difference(ask, split, number, array)
            place = {"teacher": teacher.name, "split": split.name, "view": number}
            kept = array.rounding
            rounding = None if kept is None else in_words(kept, array.layout.kind)
            yield {**place, "difference": difference, "same": difference <= limit, "rounding": rounding}


def _recorded(teacher: ResolvedTeacher, context: Context) -> Iterator[tuple[Split, int, Recorded]]:
    """Yield the arrays of a teacher that are complete, the views of a split from the first on."""
    for split in context.data.splits:
        for number in itertools.count():
            array = recorded_outputs.find(
                recording.key(teacher.key, split, number, context.recipe, context.task), len(split)
            )
            if array is None:
                break
            yield split, number, array


def _difference(ask: Ask, split: Split, number: int, array: Recorded) -> tuple[float, float]:
    """Return an array's largest difference to the live teacher on some samples, and the largest allowed.

    Logits are compared by their probabilities, which no constant added to a row can hide.
    """
    layout = array.layout
    rows = sample_rows(np.arange(len(split)), VERIFIED)
    live = at_least_float32(ask(split, rows, number)).cpu()
    live = layout.judged(layout.decode(layout.encode(live)))
    difference, limit = (live - layout.judged(array[rows])).abs().max().item(), TOLERANCE[layout.precision]
    if layout.kind == VALUES:
        limit = limit * (live.max() - live.min()).item() + FLOAT32 * live.abs().max().item()
    return difference, limit
