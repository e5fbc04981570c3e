"""Default predictions from outputs: a class, a map of classes, or values by name."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from mtkd_cli.interfaces import Prediction, Task


def describe_predictions(task: Task, output: Tensor, classes: Sequence[str]) -> list[Prediction]:
    """Return the predictions of outputs ``[B, C, *]`` of classes or values, see `Task.predictions`."""
    values = task.to_averageable(output)
    if not task.over_classes:
        names = list(classes)[: values.shape[1]]
        rows = [[_round(value, index, task) for index, value in enumerate(row)] for row in values.tolist()]
        return [Prediction(dict(zip(names, row, strict=False))) for row in rows]
    if values.dim() > 2:
        # [B, C, H, W] -> B of [H, W]
        return [_predict_map(mask.astype(np.uint8), classes) for mask in values.argmax(dim=1).numpy()]
    confidences, indices = values.max(dim=1)  # [B, C] -> [B]
    return [
        Prediction({"class": classes[index], "confidence": confidence}, dict(zip(classes, row, strict=True)))
        for index, confidence, row in zip(
            indices.tolist(), confidences.tolist(), values.tolist(), strict=True
        )
    ]


def _round(value: float, index: int, task: Task) -> float:
    """Round a value to seven digits of its target's standard deviation, for values far from zero."""
    if task.scale is None or not math.isfinite(value):
        return value
    return round(value, 6 - math.floor(math.log10(task.scale[1][index])))


def _predict_map(mask: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], classes: Sequence[str]) -> Prediction:
    """Return the prediction of a mask ``[H, W]``: its largest class, and the share of each class."""
    shares = np.bincount(mask.ravel(), minlength=len(classes)) / mask.size
    largest = classes[int(shares.argmax())]
    by_name = {name: float(f"{share:.7g}") for name, share in zip(classes, shares, strict=True)}
    return Prediction({"largest": largest}, by_name, mask=mask)
