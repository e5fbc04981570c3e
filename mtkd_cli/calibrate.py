"""Calibrate: one temperature for each teacher, at which it is as sure on validation as it is right.

Guo et al., ICML 2017, arXiv 1706.04599. No teacher is asked again: what is recorded stays raw, and is
divided by the temperature when it is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.data.subset import spread
from mtkd_cli.data.views import PLAIN
from mtkd_cli.distributed import group
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.interfaces.missing_outputs import lost
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches

if TYPE_CHECKING:
    from mtkd_cli.teachers import ReadyTeacher

LARGEST = 20.0
"""Largest temperature that is taken, and one over the smallest."""

FLAT = 1e-4
"""Slope that counts as none: a teacher that is always right is best at no temperature, up to rounding."""

HALVINGS = 40
"""Of the interval of the temperature's logarithm."""

MOST_VALUES = 2**22
"""Numbers of a teacher's answers that its temperature is fitted to at most."""


@dataclass(frozen=True)
class Calibration:
    """A teacher's temperature, and how it was found.

    Attributes:
        temperature: what its logits are divided by.
        labels: samples, or pixels, that it was fitted to.
        before: mean negative log-likelihood of their labels at temperature 1.
        after: the same at the temperature.
        kept: why the temperature is 1; empty if it was fitted.
    """

    temperature: float
    labels: int
    before: float
    after: float
    kept: str = ""

    @property
    def said(self) -> str:
        """Return the calibration in words."""
        if self.kept:
            return f"temperature 1: {self.kept}"
        return (
            f"temperature {self.temperature:.3g}, fitted to {self.labels} labels of validation "
            f"(NLL {self.before:.4f} to {self.after:.4f})"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the calibration for a report."""
        return vars(self)


def refuse(recipe: Recipe, task: Task) -> None:
    """Raise if a recipe wants teachers calibrated whose outputs no temperature can be fitted to.

    Raises:
        UsageError: they are no logits of classes, or only some of these are kept.
    """
    if not recipe.calibrate:
        return
    if not task.logits:
        raise UsageError(
            f"calibrate fits a temperature to classes; the outputs of {recipe.task.name} are none",
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
    found = group.same([calibration_of(*judged(teacher, context), context.task) for teacher in teachers])
    for teacher, calibration in zip(teachers, found, strict=True):
        context.progress.say(f"teacher {teacher.name}: {calibration.said}")
    return [replace(t, calibration=calibration) for t, calibration in zip(teachers, found, strict=True)]


def softened(outputs: Tensor, temperature: float | Tensor) -> Tensor:
    """Return logits divided by a temperature; those of classes that a teacher does not know stay so."""
    return torch.where(outputs == UNKNOWN, outputs, outputs / temperature)


def judged(teacher: ReadyTeacher, context: Context) -> tuple[Tensor, Tensor]:
    """Return a teacher's answers on validation ``[N, C]`` and their labels; a pixel counts as a sample.

    What has no label, a label of a class that it does not know, or no answer is left out. Of more than
    `MOST_VALUES` numbers some are taken: samples evenly spread, of each the same pixels, drawn by counters.
    """
    task, split = context.task, context.data.val
    known, count = torch.tensor([teacher.alignment.known]), MOST_VALUES // task.outputs
    rows = spread(split.labelled, count)
    pixels = counter_rng.permutation(math.prod(task.elements), "calibrate")
    places = torch.from_numpy(np.sort(pixels[: max(1, count // max(1, len(rows)))]))
    outputs, targets = [torch.empty(0, task.outputs)], []
    for part in batches(rows):
        output, target = teacher.recorded("val", PLAIN, part), torch.from_numpy(split.samples.targets[part])
        there = ~lost(output)
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


def calibration_of(outputs: Tensor, target: Tensor, task: Task) -> Calibration:
    """Return the temperature at which the labels are most likely.

    In one over the temperature the negative log-likelihood is convex, so it falls and then rises: where
    its slope is 0 is found by halving.

    Args:
        outputs: logits ``[N, C]`` in the task's classes.
        target: their labels, all of them of classes that are known.
        task: whose `error` is the negative log-likelihood.
    """
    if not len(outputs):
        return Calibration(1.0, 0, 0.0, 0.0, "no label of validation to judge it by")

    def likelihood(log_temperature: Tensor) -> Tensor:
        return task.error((softened(outputs, log_temperature.exp()),), target)[0].double().mean()

    def slope(log_temperature: float) -> float:
        point = torch.tensor(log_temperature, dtype=torch.float64, requires_grad=True)
        return float(torch.autograd.grad(likelihood(point), point)[0])

    before = float(likelihood(torch.zeros(())))
    low, high = -math.log(LARGEST), math.log(LARGEST)
    if not (slope(low) < -FLAT and slope(high) > FLAT):
        kept = f"none between {1 / LARGEST:g} and {LARGEST:g} is best"
        return Calibration(1.0, len(outputs), before, before, kept)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    best = (low + high) / 2
    return Calibration(math.exp(best), len(outputs), before, float(likelihood(torch.tensor(best))))
