"""Compare an exported file with its student on the samples of a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.dataset import Split
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.training.evaluation import measure, measure_pairs, original_labels

Run = Callable[..., Tensor]
"""Function from a batch of inputs (and the size of the original image) to the outputs of an exported file."""

Predict = Callable[[NDArray[np.int64]], Tensor]
"""Function from rows of a split to outputs."""


def inputs_of(split: Split, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the inputs of samples for an exported student; table rows ``[B, F]`` in float64."""
    inputs = split.samples.read(rows)
    return inputs.astype(np.float64) if inputs.ndim == 2 else inputs


def predictor(run: Run, split: Split, frames: bool = False) -> Predict:
    """Return a function from rows to the outputs of ``run``; with frames, of one row."""

    def predict(rows: NDArray[np.int64]) -> Tensor:
        sizes = (_frame_of(split, int(rows[0])),) if frames else ()
        return at_least_float32(run(inputs_of(split, rows), *sizes))

    return predict


def _frame_of(split: Split, row: int) -> NDArray[np.int64]:
    """Return height and width of the original image of a sample, ``[2]``."""
    placement = split.samples.placement(row)
    return np.array(split.samples.inputs.shape[2:] if placement is None else placement.frame, np.int64)


def on_frame(predict: Predict, split: Split, task: Task, rows: NDArray[np.int64]) -> Tensor:
    """Return the outputs of one row on its original image."""
    placement, output = split.samples.placement(int(rows[0])), predict(rows)
    return output if placement is None else task.to_frame(output, placement)


def score(
    predict: Predict, parts: Sequence[NDArray[np.int64]], split: Split, task: Task, frames: bool
) -> dict[str, float]:
    """Return the metrics of outputs, which are on the original images if ``frames``."""
    if not frames:
        return measure(lambda rows: _in_parts(predict, rows, parts), split, task).metrics
    return measure_pairs(((predict(rows), original_labels(split, rows)) for rows in parts), task).metrics


def _in_parts(predict: Predict, rows: NDArray[np.int64], parts: Sequence[NDArray[np.int64]]) -> Tensor:
    """Return the outputs of rows, one row at a time if the parts are single rows."""
    if max(map(len, parts)) > 1:
        return predict(rows)
    return torch.cat([predict(row) for row in np.split(rows, len(rows))])


def compare(
    own: Predict,
    other: Predict,
    parts: Sequence[NDArray[np.int64]],
    boxes: bool,
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None,
) -> tuple[float, float]:
    """Return the largest difference between the outputs of two functions, and the largest output of ``own``.

    With a scale, both are in standard units: otherwise the tolerance would be too loose for values far from
    zero, and too strict for tiny ones. Boxes are compared in any order, because rounding may swap boxes with
    nearly equal scores.
    """
    difference = largest = 0.0
    for part in parts:
        expected, found = own(part), other(part)
        if expected.shape != found.shape:
            raise DataError(
                f"the export has outputs of shape {tuple(found.shape)}, the student {tuple(expected.shape)}",
                where="export",
                hint="try another --format",
            )
        if scale is not None:
            mean, deviation = (torch.tensor(values, dtype=torch.float64) for values in scale)
            expected, found = ((answer - mean) / deviation for answer in (expected, found))
        if boxes:
            # [B, M, M]: distance of each pair of boxes; each box must have a near one on the other side
            distance = torch.cdist(expected, found, p=torch.inf)
            gap = max(distance.amin(dim=1).max().item(), distance.amin(dim=2).max().item())
        else:
            gap = (expected - found).abs().max().item()
        difference, largest = max(difference, gap), max(largest, expected.abs().max().item())
        if not np.isfinite(gap):
            return gap, largest
    return difference, largest
