"""``fit.classes``: a teacher that is fitted to some of the classes, and knows no others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.dataset import Split
from mtkd_cli.errors import DataError, UsageError, nearest_or_all
from mtkd_cli.interfaces import FrameLabels, Task
from mtkd_cli.recipe.schema import Fit
from mtkd_cli.teachers.fit_split import FitSplit, create_fit_split
from mtkd_cli.training.context import Context


def learned_classes(fit: Fit, classes: tuple[str, ...], teacher: str) -> Tensor:
    """Return the mask of the classes that a teacher is fitted to, ``[C]`` bool.

    Args:
        fit: its fit.
        classes: class names of the data.
        teacher: teacher name, used in messages.

    Raises:
        DataError: the data has no such class.
    """
    if fit.classes is None:
        return torch.ones(len(classes), dtype=torch.bool)
    learned = torch.zeros(len(classes), dtype=torch.bool)
    for given in fit.classes:
        number = given if isinstance(given, int) else classes.index(given) if given in classes else -1
        if not 0 <= number < len(classes):
            raise DataError(
                f"the data has no class {given!r}",
                where=f"teacher {teacher!r}: fit.classes" if teacher else "fit.classes",
                hint=nearest_or_all(str(given), classes),
            )
        learned[number] = True
    return learned


def fit_split_of(fit: Fit, context: Context, teacher: str = "") -> FitSplit:
    """Return the samples that a teacher is fitted on, with the labels of the classes that it learns.

    Samples whose only label is of another class are left out. In detection and segmentation, boxes of other
    classes are background, and pixels of other classes have no label.

    Raises:
        DataError: the data has no such class, or no sample has a label of the classes.
        UsageError: the task has no classes.
    """
    chosen = create_fit_split(fit, context.data, context.recipe.data)
    if fit.classes is None:
        return chosen
    if not (context.task.over_classes or context.task.has_class_numbers):
        raise UsageError(
            f"the task {context.recipe.task.name!r} has no classes", "fit.classes", "remove fit.classes"
        )
    known = learned_classes(fit, context.data.classes, teacher)
    train, val = (_with_known_labels(split, known, context.task) for split in (chosen.train, chosen.val))
    rows = np.intersect1d(chosen.rows, train.labeled)
    if not len(rows):
        raise DataError(
            f"no training sample has a label of the classes {', '.join(map(str, fit.classes))}",
            where="fit.classes",
            hint="add labels, or set fit.labels: all",
        )
    return FitSplit(train, rows, val, chosen.held_out)


def _with_known_labels(split: Split, known: Tensor, task: Task) -> Split:
    """Return a split without the labels of other classes, on the grid and on the original images."""
    samples = split.samples
    frames = samples.frames
    if frames is not None and frames.labels is not None:
        frames = replace(frames, labels=_KnownLabels(frames.labels, known, task))
    targets = _known_labels(samples.targets, known, task)
    return replace(split, samples=replace(samples, targets=targets, frames=frames))


@dataclass(frozen=True)
class _KnownLabels:
    """Labels on the original images; see `_known_labels` for the attributes."""

    labels: FrameLabels
    known: Tensor
    task: Task

    def __getitem__(self, row: int) -> NDArray[Any]:
        """Return the label of a row."""
        label: NDArray[Any] = _known_labels(self.labels[row][None], self.known, self.task)[0]
        return label


def _known_labels(targets: NDArray[Any], known: Tensor, task: Task) -> NDArray[Any]:
    """Return targets ``[N, *]`` without labels of the classes outside the mask ``known [C]``."""
    kept = task.remove_unknown_labels(torch.from_numpy(np.ascontiguousarray(targets)), known)
    return kept.numpy().astype(targets.dtype, copy=False)
