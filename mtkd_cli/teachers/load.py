"""Load a teacher: build its model, and refuse outputs that do not fit the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtkd_cli.data.dataset import Dataset
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Model, Predictions, Task
from mtkd_cli.models.build import build_model, with_checkpoint
from mtkd_cli.models.head import with_outputs
from mtkd_cli.models.preprocess import complete_input
from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Teacher
from mtkd_cli.teachers.background import is_listed
from mtkd_cli.teachers.declared_classes import declared_classes

ROUNDED = 2e-3
"""How far probabilities may be from a distribution: fp16 and files round them."""


def refuse_unfit(said: Predictions, teacher: Teacher, task: Task, where: str) -> None:
    """Raise if a recipe asks of predictions what only a model can do, or does not say what they are."""
    for key in ("fit", "checkpoint"):
        if getattr(teacher, key) is not None:
            raise UsageError(f"predictions in a file take no {key}", where, f"leave its {key}: out")
    if not task.logits:
        return
    if teacher.outputs is None:
        raise UsageError(
            "what the file holds is not said", where, "set outputs: probabilities, or outputs: logits"
        )
    rows = said.rows[np.isfinite(said.rows).reshape(len(said.rows), -1).all(axis=1)]
    sums_to_1 = len(rows) and rows.min() >= 0 and np.allclose(rows.sum(axis=1), 1, atol=ROUNDED, rtol=0)
    if teacher.outputs == "logits" and task.over_classes and sums_to_1:
        raise UsageError(
            "the file's answers are probabilities, and count as logits", where, "set outputs: probabilities"
        )


def load_teacher(part: ModelPart, teacher: Teacher, data: Dataset, task: Task) -> Model:
    """Return a teacher with its weights, its head fitting the task if it will be fitted.

    Raises:
        DataError: no trained weights and no ``fit: all``, or weights that do not fit.
    """
    pretrained = teacher.pretrained if teacher.pretrained is not None else teacher.checkpoint is None
    where = f"teacher {teacher.name!r} ({teacher.model})"
    seed = teacher.fit.seed if teacher.fit else 0
    own = declared_classes(teacher, where, data.classes)
    if teacher.background and not task.numbered:
        raise UsageError("background: is for detectors", where, "leave it out; classes: names every output")
    listed = task.numbered and own is not None and is_listed(own, data.classes)
    outputs = len(own) - listed if own else task.outputs
    background = listed or teacher.background == "first"
    built = partial(build_model, part, teacher.input, data, outputs, pretrained, seed)
    model = built(background)
    if model.predictions is not None:
        refuse_unfit(model.predictions, teacher, task, where)
    undecided = task.numbered and not background and teacher.background is None
    otherwise = partial(built, background=True) if undecided else None
    model = with_checkpoint(model, teacher.checkpoint, where, part.trusted, otherwise)
    trained = model.trained or (teacher.pretrained is True and not model.partly)
    if not trained and not (teacher.fit and teacher.fit.train == "all"):
        raise DataError(
            f"{teacher.model} has no trained weights",
            where=where,
            hint="give a checkpoint:, or fit: all to train it here; pretrained: true if it brings its own",
        )
    if teacher.fit:
        if not any(parameter.requires_grad for parameter in model.module.parameters()):
            raise UsageError("it has nothing that can be trained", where=where, hint="leave its fit: out")
        if teacher.fit.train == "head" and (not model.head or task.elements):
            raise UsageError(
                f"{teacher.model} has no last layer that can be trained alone",
                where=where,
                hint="train all of it with fit: all",
            )
        model = with_outputs(model, task.outputs, where, teacher.fit.seed)
        model = replace(model, classes=data.classes, scale=task.scale)
    classes = own or model.classes
    wanted = complete_input(model.input, teacher.input, data.input)
    return replace(model, classes=classes, input=wanted, shaped=_shaped(task, teacher, where))


def _shaped(task: Task, teacher: Teacher, where: str) -> Callable[[Any], Any]:
    """Return what brings a teacher's answers to the task's form: probabilities become log-probabilities."""
    if teacher.outputs is not None and (teacher.outputs == "values") is task.logits:
        hint = "use logits or probabilities" if task.logits else "leave it out"
        raise UsageError(f"outputs: {teacher.outputs} is not for this task", where, hint)
    if teacher.outputs != "probabilities" and not (teacher.outputs is None and task.over_classes):
        return task.shaped
    if teacher.outputs is None:
        return lambda output: _no_probabilities(task.shaped(output), where)

    def shaped(output: Any) -> Any:
        probabilities = task.shaped(output).float()
        again = task.averageable(task.as_output(probabilities))
        if not torch.allclose(again, probabilities, atol=ROUNDED, rtol=0):
            low, high = probabilities.min().item(), probabilities.max().item()
            kind = "probabilities that sum to 1" if task.over_classes else "probabilities"
            raise DataError(
                f"the teacher's answers, from {low:.3g} to {high:.3g}, are no {kind}",
                where=where,
                hint="set outputs: logits, or leave it out",
            )
        return task.as_output(probabilities)

    return shaped


def _no_probabilities(output: Any, where: str) -> Any:
    """Return answers that count as logits.

    Raises:
        DataError: they are distributions, and none so sure that it could be a one-hot answer.
    """
    if isinstance(output, Tensor) and bool(
        ((output > 0) & (output < 1)).all() and ((output.sum(dim=1) - 1).abs() < ROUNDED).all()
    ):
        raise DataError(
            "the teacher's answers look like probabilities, and count as logits",
            where=where,
            hint="set outputs: probabilities (or outputs: logits, if that is what they are)",
        )
    return output
