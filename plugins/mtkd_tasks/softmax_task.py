"""Common base of the tasks whose outputs are class logits, per sample or per pixel."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import LossOptions, Merged, Task, TaskData
from mtkd_cli.losses import cross_entropy
from mtkd_cli.losses.class_mixture import mixed
from mtkd_cli.losses.class_weights import apply_class_weights

TINY = torch.finfo(torch.float32).tiny


class OverClasses(Task):
    """One class out of C per element. Outputs are logits ``[B, C, *]``, labels are class numbers ``[B, *]``.

    Args:
        data: class names, and labels for balanced class weights.
        loss: label smoothing of the task loss; class weights of both losses.
    """

    over_classes = logits = True

    def __init__(self, data: TaskData, loss: LossOptions) -> None:
        self.classes, self.outputs = data.classes, len(data.classes)
        self.label_smoothing = loss.label_smoothing
        self.class_weights = _class_weights(loss.class_weights, self.outputs, data.targets)

    def without_class_weights(self) -> OverClasses:
        """Return the task without class weights."""
        plain = copy.copy(self)
        plain.class_weights = None
        return plain

    def apply_class_weights(self, merged: Merged) -> tuple[Merged, Tensor | float]:
        """Return the teachers with the class weights applied, and the weight of each element, ``[B, *]``."""
        return (
            (merged, 1.0) if self.class_weights is None else apply_class_weights(merged, self.class_weights)
        )

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return each teacher's cross-entropy against the label, ``[K, B, *]``; 0 without a label."""
        return torch.stack([cross_entropy(output.float(), target) for output in outputs])

    def to_averageable(self, output: Tensor) -> Tensor:
        """Return probabilities ``[B, C, *]``."""
        return F.softmax(output.float(), dim=1)

    def from_averageable(self, averaged: Tensor) -> Tensor:
        """Return log-probabilities ``[B, C, *]``."""
        return averaged.clamp(min=TINY).log()

    def mix(self, merged: Merged) -> Tensor:
        """Return the log of the weighted mean of the teachers' probabilities, ``[B, C, *]``."""
        return self.from_averageable(mixed(merged))

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy to the labels, ``[B, *]``; 0 where the label is -1."""
        weights = None if self.class_weights is None else self.class_weights.to(student_output.device)
        return cross_entropy(student_output.float(), target, weights, self.label_smoothing)


def _class_weights(
    wanted: str | tuple[float, ...] | None, classes: int, targets: NDArray[np.int64]
) -> Tensor | None:
    """Return class weights ``[C]`` (balanced: with a mean of 1 over the labels), or None.

    Raises:
        UsageError: the number of weights differs from the number of classes.
    """
    if wanted is None:
        return None
    if isinstance(wanted, tuple):
        if len(wanted) != classes:
            raise UsageError(
                f"loss.class_weights has {len(wanted)} weights for {classes} classes",
                where="loss.class_weights",
                hint="give one weight per class, or balanced",
            )
        return torch.tensor(wanted)
    counts = np.bincount(targets[targets >= 0], minlength=classes)
    weights = counts.sum() / np.maximum(counts, 1) / max(1, np.count_nonzero(counts))
    return torch.tensor(weights, dtype=torch.float32)
