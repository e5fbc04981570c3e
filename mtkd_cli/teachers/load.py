"""Load a teacher: build its model, and check that its outputs fit the task."""

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
from mtkd_cli.interfaces import Model, OutputLayout, PrecomputedOutputs, Task
from mtkd_cli.models.build import build_model, with_checkpoint
from mtkd_cli.models.head import with_outputs
from mtkd_cli.models.preprocess import complete_input
from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Teacher
from mtkd_cli.store.row_format import storage_kind
from mtkd_cli.teachers.background import lists_background
from mtkd_cli.teachers.declared_classes import declared_classes

TOLERANCE = 2e-3
"""Largest allowed deviation of a sum of probabilities from 1: fp16 and text files round them."""


def check_predictions(predictions: PrecomputedOutputs, teacher: Teacher, task: Task, where: str) -> None:
    """Raise if a recipe uses predictions like a model, or does not declare their kind.

    Raises:
        UsageError: the entry has ``fit`` or ``checkpoint``, or lacks ``outputs``, or it is wrong.
    """
    for key in ("fit", "checkpoint"):
        if getattr(teacher, key) is not None:
            raise UsageError(f"{key}: does not apply to predictions in a file", where, f"remove {key}:")
    if predictions.recorded:
        _check_recorded(predictions, teacher, task, where)
        return
    if not task.logits:
        return
    if teacher.output_kind is None:
        raise UsageError(
            "outputs: is missing, so the kind of predictions is unknown",
            where,
            "set outputs: probabilities, or outputs: logits",
        )
    rows = predictions.rows[np.isfinite(predictions.rows).reshape(len(predictions.rows), -1).all(axis=1)]
    are_distributions = (
        len(rows) and rows.min() >= 0 and np.allclose(rows.sum(axis=1), 1, atol=TOLERANCE, rtol=0)
    )
    if teacher.output_kind == "logits" and task.over_classes and are_distributions:
        raise UsageError(
            "the file contains probabilities, but outputs: declares logits",
            where,
            "set outputs: probabilities",
        )


def _check_recorded(predictions: PrecomputedOutputs, teacher: Teacher, task: Task, where: str) -> None:
    """Raise if an exported recording is of another kind of task, or is declared as another kind."""
    kind, own = storage_kind(task), str(predictions.recorded[0].layout["kind"])
    if own != kind:
        raise DataError(
            f"the recording has {own}, but the task needs {kind}",
            f"{where}, {predictions.file}",
            "use the task of the recipe that was exported",
        )
    if teacher.output_kind not in (None, "logits" if task.logits else "values"):
        raise UsageError("outputs: is known for a recording", where, "remove outputs:")


def load_teacher(part: ModelPart, teacher: Teacher, data: Dataset, task: Task) -> Model:
    """Build a teacher and load its weights; if it will be fitted, its head matches the task.

    Raises:
        DataError: there are no trained weights and no ``fit: all``, or the weights do not match the model.
        UsageError: a key of the entry does not apply to this teacher or task.
    """
    pretrained = teacher.pretrained if teacher.pretrained is not None else teacher.checkpoint is None
    where = f"teacher {teacher.name!r} ({teacher.model})"
    seed = teacher.fit.seed if teacher.fit else 0
    own = declared_classes(teacher, where, data.classes)
    if teacher.background and not task.has_class_numbers:
        raise UsageError(
            "background: applies to detectors only", where, "remove it; classes: names every output"
        )
    if teacher.output_layout != OutputLayout() and not task.has_class_numbers:
        raise UsageError(
            "outputs: layout, boxes, scale, scores, threshold and iou apply to detectors only",
            where,
            "set outputs: logits, probabilities or values",
        )
    listed = task.has_class_numbers and own is not None and lists_background(own, data.classes)
    outputs = len(own) - listed if own else task.outputs  # without the background
    background = listed or teacher.background == "first"
    build = partial(
        build_model, part, teacher.input, data, outputs, pretrained, seed, detector=task.has_class_numbers
    )
    model = build(background)
    if model.predictions is not None:
        check_predictions(model.predictions, teacher, task, where)
    undecided = task.has_class_numbers and not background and teacher.background is None
    alternative = partial(build, background=True) if undecided else None
    model = with_checkpoint(
        model, teacher.checkpoint, where, part.trusted, alternative, teacher.checkpoint_key
    )
    is_trained = model.trained or (teacher.pretrained is True and not model.partly)
    if not is_trained and not (teacher.fit and teacher.fit.train == "all"):
        raise DataError(
            f"{teacher.model} has no trained weights",
            where=where,
            hint="set checkpoint:, fit: all to train it, or pretrained: true if it loads its own weights",
        )
    if teacher.fit:
        if not any(parameter.requires_grad for parameter in model.module.parameters()):
            raise UsageError("it has no trainable parameters", where=where, hint="remove fit:")
        if teacher.fit.train == "head" and (not model.head or task.elements):
            raise UsageError(
                f"{teacher.model} has no last layer that can be trained on its own",
                where=where,
                hint="train all layers with fit: all",
            )
        model = with_outputs(model, task.outputs, where, teacher.fit.seed)
        model = replace(model, classes=data.classes, scale=task.scale)
    classes = own or model.classes
    spec = complete_input(model.input, teacher.input, data.input)
    return replace(model, classes=classes, input=spec, to_task_shape=_to_task_form(task, teacher, where))


def _to_task_form(task: Task, teacher: Teacher, where: str) -> Callable[[Any], Any]:
    """Return a function that converts outputs to the task's form: probabilities become log-probabilities."""
    if teacher.output_kind is not None and (teacher.output_kind == "values") is task.logits:
        hint = "use logits or probabilities" if task.logits else "remove it"
        raise UsageError(f"outputs: {teacher.output_kind} does not apply to this task", where, hint)
    if teacher.output_kind != "probabilities" and not (teacher.output_kind is None and task.over_classes):
        return task.to_task_shape
    if teacher.output_kind is None:
        return lambda output: _require_logits(task.to_task_shape(output), where)

    def convert(output: Any) -> Any:
        probabilities = task.to_task_shape(output).float()
        round_trip = task.to_averageable(task.from_averageable(probabilities))
        if not torch.allclose(round_trip, probabilities, atol=TOLERANCE, rtol=0):
            low, high = probabilities.min().item(), probabilities.max().item()
            kind = "probabilities that sum to 1" if task.over_classes else "probabilities"
            raise DataError(
                f"the teacher's outputs, from {low:.3g} to {high:.3g}, are not {kind}",
                where=where,
                hint="set outputs: logits, or remove outputs:",
            )
        return task.from_averageable(probabilities)

    return convert


def _require_logits(output: Any, where: str) -> Any:
    """Return outputs declared as logits.

    Raises:
        DataError: they look like probabilities: each row sums to 1, with values strictly between 0 and 1.
    """
    if isinstance(output, Tensor) and bool(
        ((output > 0) & (output < 1)).all() and ((output.sum(dim=1) - 1).abs() < TOLERANCE).all()
    ):
        raise DataError(
            "the teacher's outputs look like probabilities, but would be used as logits",
            where=where,
            hint="set outputs: probabilities (or outputs: logits, if they are logits)",
        )
    return output
