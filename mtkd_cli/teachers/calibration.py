"""Calibrate teachers: a temperature each, which makes the validation labels most likely.

Guo et al., ICML 2017, arXiv 1706.04599. Scores of boxes also have an offset (Platt scaling). Recorded outputs
stay raw, and are calibrated when they are read, so nothing is recorded again.
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
from mtkd_cli.interfaces import HasScores, Task
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.report.calibration import Calibration
from mtkd_cli.teachers.score_calibration import fit_scores
from mtkd_cli.teachers.temperature import fit_temperature
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches

if TYPE_CHECKING:
    from mtkd_cli.teachers.outputs import ReadyTeacher


MAX_SAMPLES = 1000
"""Maximum number of samples of a split whose scores are calibrated."""
MAX_VALUES = 2**22
"""Maximum number of output values that a temperature is fitted to."""


def require_calibratable(recipe: Recipe, task: Task) -> None:
    """Raise if a recipe sets ``calibrate`` but its outputs do not allow it.

    Raises:
        UsageError: the task has no class logits, or ``store.top_k`` drops some of them.
    """
    if recipe.calibrate is not True:
        return
    if not (task.logits or isinstance(task, HasScores)):
        raise UsageError(
            f"calibrate requires class logits or scores; task {recipe.task.name!r} has none",
            where="calibrate",
            hint="remove calibrate",
        )
    if task.logits and isinstance(recipe.store.top_k, int):
        raise UsageError(
            "calibrate requires all logits, but store.top_k keeps only the largest",
            where="calibrate, store.top_k",
            hint="remove one of them",
        )


def calibrate_teachers(teachers: list[ReadyTeacher], context: Context) -> list[ReadyTeacher]:
    """Calibrate each teacher and report it; return the calibrated teachers."""
    calibrations = group.broadcast([_fit(teacher, context) for teacher in teachers])
    for teacher, calibration in zip(teachers, calibrations, strict=True):
        context.progress.say(f"teacher {teacher.name}: {calibration.summary}")
    return [
        replace(t, calibration=calibration) for t, calibration in zip(teachers, calibrations, strict=True)
    ]


def _fit(teacher: ReadyTeacher, context: Context) -> Calibration:
    if isinstance(context.task, HasScores):
        return fit_scores(*scored_answers(teacher, context.task, context))
    return fit_temperature(*labeled_outputs(teacher, context), context.task)


def scored_answers(teacher: ReadyTeacher, task: HasScores, context: Context) -> tuple[Tensor, Tensor]:
    """Return the scores of a teacher's answers on labeled samples, and which are right, ``[n]``.

    Labeled training samples are used besides those of validation, because the student learns the teacher's
    answers there; not if the teacher was fitted to just these, which it answers better than all others.
    Samples with non-finite outputs are skipped. At most `MAX_SAMPLES` samples of each split are used.
    """
    fit = teacher.entry.fit
    splits = {"val": context.data.val}
    if ("train", PLAIN) in teacher.arrays and (fit is None or fit.labels == "all"):
        splits["train"] = context.data.train
    scores, hits = [torch.empty(0)], [torch.empty(0, dtype=torch.bool)]
    parts = [
        (name, split, rows)
        for name, split in splits.items()
        for rows in batches(sample_rows(split.labeled, MAX_SAMPLES))
    ]
    for name, split, rows in parts:
        output = teacher.recorded_outputs(name, PLAIN, rows)
        is_finite = ~has_nonfinite(output)
        target = torch.from_numpy(split.samples.targets[rows])
        score, hit = task.score_hits(output[is_finite], target[is_finite])
        scores.append(score)
        hits.append(hit)
    return torch.cat(scores), torch.cat(hits)


def labeled_outputs(teacher: ReadyTeacher, context: Context) -> tuple[Tensor, Tensor]:
    """Return a teacher's outputs on validation ``[N, C]`` and their labels ``[N]``; each pixel is a sample.

    Samples without a label, with a label that the teacher does not know, or with non-finite outputs are
    skipped. At most `MAX_VALUES` values are used: evenly spaced samples, and the same random pixels of each.
    """
    task, split = context.task, context.data.val
    known = torch.tensor([teacher.alignment.known])  # [1, C]
    count = MAX_VALUES // task.outputs
    rows = sample_rows(split.labeled, count)
    pixels = counter_rng.permutation(math.prod(task.elements), "calibrate")
    pixel_index = torch.from_numpy(np.sort(pixels[: max(1, count // max(1, len(rows)))]))
    outputs, targets = [torch.empty(0, task.outputs)], []
    for part in batches(rows):
        output = teacher.recorded_outputs("val", PLAIN, part)
        target = torch.from_numpy(split.samples.targets[part])
        is_finite = ~has_nonfinite(output)
        output, target = output[is_finite], target[is_finite]
        if task.elements:
            # [B, C, *] -> [B, C, P] -> [B * P, C], and [B, *] -> [B * P]
            output = output.flatten(2)[..., pixel_index].movedim(1, 2).flatten(0, 1)
            target = target.flatten(1)[:, pixel_index].flatten()
        usable = task.labeled(target)
        mask = task.usage_mask((output,), target, None if known.all() else known)  # [1, B, *], or None
        usable = usable if mask is None else usable & mask[0]
        outputs.append(output[usable])
        targets.append(target[usable])
    return torch.cat(outputs), torch.cat(targets) if targets else torch.empty(0)
