"""Calibrate: one temperature for each teacher, at which it is as sure on validation as it is right.

Guo et al., ICML 2017, arXiv 1706.04599. No teacher is asked again: what is recorded stays raw, and is
divided by the temperature when it is read.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.data.subset import sample_rows
from mtkd_cli.data.views import PLAIN
from mtkd_cli.distributed import group
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.teachers.temperature import calibration_of
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches

if TYPE_CHECKING:
    from mtkd_cli.teachers.outputs import ReadyTeacher


MOST_VALUES = 2**22
"""Numbers of a teacher's answers that its temperature is fitted to at most."""


def refuse(recipe: Recipe, task: Task) -> None:
    """Raise if a recipe wants teachers calibrated whose outputs no temperature can be fitted to.

    Raises:
        UsageError: they are no logits of classes, or only some of these are kept.
    """
    if not recipe.calibrate:
        return
    if not task.logits:
        raise UsageError(
            f"calibrate fits a temperature to classes; {recipe.task.name} has no classes",
            where="calibrate",
            hint="leave it out",
        )
    if isinstance(recipe.store.top_k, int):
        raise UsageError(
            "store.top_k keeps answers at temperature 1, calibrate needs every logit",
            where="calibrate, store.top_k",
            hint="leave one of them out",
        )


def calibrated(teachers: list[ReadyTeacher], context: Context) -> list[ReadyTeacher]:
    """Return the teachers, each with its temperature; said on the way."""
    found = group.broadcast([calibration_of(*judged(teacher, context), context.task) for teacher in teachers])
    for teacher, calibration in zip(teachers, found, strict=True):
        context.progress.say(f"teacher {teacher.name}: {calibration.said}")
    return [replace(t, calibration=calibration) for t, calibration in zip(teachers, found, strict=True)]


def judged(teacher: ReadyTeacher, context: Context) -> tuple[Tensor, Tensor]:
    """Return a teacher's answers on validation ``[N, C]`` and their labels; a pixel counts as a sample.

    What has no label, a label of a class that it does not know, or no answer is left out. Of more than
    `MOST_VALUES` numbers some are taken: samples evenly spread, of each the same pixels, drawn by counters.
    """
    task, split = context.task, context.data.val
    known, count = torch.tensor([teacher.alignment.known]), MOST_VALUES // task.outputs
    rows = sample_rows(split.labelled, count)
    pixels = counter_rng.permutation(math.prod(task.elements), "calibrate")
    places = torch.from_numpy(np.sort(pixels[: max(1, count // max(1, len(rows)))]))
    outputs, targets = [torch.empty(0, task.outputs)], []
    for part in batches(rows):
        output, target = teacher.recorded("val", PLAIN, part), torch.from_numpy(split.samples.targets[part])
        there = ~has_nonfinite(output)
        output, target = output[there], target[there]
        if task.elements:
            output = output.flatten(2)[..., places].movedim(1, 2).flatten(0, 1)
            target = target.flatten(1)[:, places].flatten()
        counts = task.labelled(target)
        heard = task.heard((output,), target, None if known.all() else known)
        counts = counts if heard is None else counts & heard[0]
        outputs.append(output[counts])
        targets.append(target[counts])
    return torch.cat(outputs), torch.cat(targets) if targets else torch.empty(0)
