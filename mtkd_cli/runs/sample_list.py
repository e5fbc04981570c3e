"""List the samples of a recipe's data: id, file, split and label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.missing_labels import has_label
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.runs.pipeline import load_data


@dataclass(frozen=True)
class ListedSample:
    """One sample.

    Attributes:
        id: sample id.
        path: path of its file, ``""`` if it has none of its own.
        split: ``train``, ``val`` or ``test``.
        label: names of its classes, or its values; empty if it is unlabeled, or if the run hides its label.
    """

    id: str
    path: str
    split: str
    label: tuple[str, ...]


def list_samples(parts: Resolved) -> Iterator[ListedSample]:
    """Yield the samples of a recipe, in the order of the splits.

    Raises:
        DataError: the data cannot be loaded.
    """
    data, task = load_data(parts)
    for split in data.splits:
        samples = split.samples
        labeled = has_label(samples.targets)
        for row, name in enumerate(samples.ids):
            path = str(samples.files[row]) if samples.files else ""
            label = _label(samples.targets[row], data.classes, task) if labeled[row] else ()
            yield ListedSample(name, path, split.name, label)


def _label(target: NDArray[Any], classes: tuple[str, ...], task: Task) -> tuple[str, ...]:
    """Return the label of a sample in words.

    Args:
        target: a class number, values ``[T]``, a mask ``[H, W]`` or boxes ``[M, 5]``.
        classes: names of the classes or values.
        task: the task.
    """
    if task.has_class_numbers:
        numbers = target[:, 4]  # boxes: the last column is the class number
    elif task.over_classes:
        numbers = target
    elif task.logits:
        numbers = np.flatnonzero(target == 1)  # [C] of 0 and 1
    else:
        return tuple(f"{value:.9g}" for value in np.atleast_1d(target))
    return tuple(classes[int(number)] for number in np.unique(numbers) if number >= 0)
