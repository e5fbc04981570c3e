"""What outputs say, in words: a class, a map of classes, or values by name."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mtkd_cli.interfaces import Prediction, Task


def said(task: Task, output: Tensor, classes: Sequence[str]) -> list[Prediction]:
    """Return what outputs ``[B, C, *]`` of classes or values say; see `Task.predictions`."""
    values = task.averageable(output)
    if not task.over_classes:
        names = list(classes)[: values.shape[1]]
        rows = [[_digits(value, place, task) for place, value in enumerate(row)] for row in values.tolist()]
        return [Prediction(dict(zip(names, row, strict=False))) for row in rows]
    if values.dim() > 2:
        return [_map(mask.astype(np.uint8), classes) for mask in values.argmax(dim=1).numpy()]
    best, answer = values.max(dim=1)
    return [
        Prediction({"class": classes[place], "confidence": sure}, dict(zip(classes, row, strict=True)))
        for place, sure, row in zip(answer.tolist(), best.tolist(), values.tolist(), strict=True)
    ]


def _digits(value: float, place: int, task: Task) -> float:
    """Return a value with seven digits of its target's deviation, however far it is from zero."""
    if task.scale is None or not math.isfinite(value):
        return value
    return round(value, 6 - math.floor(math.log10(task.scale[1][place])))


def _map(mask: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], classes: Sequence[str]) -> Prediction:
    """Return a map with the share of each class in it, the largest named."""
    shares = np.bincount(mask.ravel(), minlength=len(classes)) / mask.size
    largest = classes[int(shares.argmax())]
    by_name = {name: float(f"{share:.7g}") for name, share in zip(classes, shares, strict=True)}
    return Prediction({"largest": largest}, by_name, mask=mask)
