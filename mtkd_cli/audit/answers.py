"""The teachers' predicted classes on labeled samples, for tasks with one class per sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mtkd_cli.audit.validation_set import Panel
from mtkd_cli.training.evaluation import batches


@dataclass(frozen=True)
class Answers:
    """K teachers on N labeled samples.

    Attributes:
        predicted: class indices, ``[K, N]``.
        labels: class indices, ``[N]``.
        known: whether a teacher knows the class of the label, ``[K, N]``.
        classes: class names.
    """

    predicted: NDArray[np.int64]
    labels: NDArray[np.int64]
    known: NDArray[np.bool_]
    classes: tuple[str, ...]


def answers_of(panel: Panel) -> Answers | None:
    """Return the predicted classes; None for maps, boxes, values and several labels per sample."""
    task = panel.task
    if not task.over_classes or task.elements:
        return None
    predicted, labels, known = [], [], []
    for rows in batches(panel.rows):
        # K of [B, C] -> [K, B]
        predicted.append(torch.stack([output.argmax(dim=1) for output in panel.answers(rows)]))
        labels.append(panel.targets(rows).long())
        known.append(torch.stack([task.labeled(target) for target in panel.labels(rows)]))
    return Answers(
        torch.cat(predicted, dim=1).numpy(),
        torch.cat(labels).numpy(),
        torch.cat(known, dim=1).numpy(),
        panel.context.data.classes,
    )
