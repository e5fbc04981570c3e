"""Evaluate a module, or recorded outputs, on the labeled samples of a split."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.inputs import are_in_memory
from mtkd_cli.data.subset import shuffled_sample_rows
from mtkd_cli.data.views import PLAIN, view
from mtkd_cli.distributed import group
from mtkd_cli.interfaces import FEW_LABELS, Task
from mtkd_cli.interfaces.missing_labels import missing_labels_as
from mtkd_cli.interfaces.missing_outputs import broadcast_per_sample, fill_gaps, has_nonfinite
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.recipe.schema import Augment
from mtkd_cli.training.batchnorm_statistics import reestimate_batchnorm
from mtkd_cli.training.loop import Evaluation
from mtkd_cli.training.read_ahead import DEPTH, read_ahead
from mtkd_cli.training.selection import Measurement

BATCH = 256
BATCHNORM_SAMPLES = 512
"""Maximum number of training samples on which BatchNorm statistics are re-estimated."""


@dataclass(frozen=True)
class Measured:
    """Metrics and losses of outputs on N labeled samples.

    Attributes:
        statistics: statistics of each sample, ``[N, S]``; see `Task.statistics`.
        metrics: metrics of the task, the primary one first.
        losses: loss of each sample, summed over its labeled elements, ``[N]``.
        counts: number of labeled elements of each sample, ``[N]``.
    """

    statistics: Tensor
    metrics: dict[str, float]
    losses: Tensor
    counts: Tensor

    @property
    def loss(self) -> float:
        """Mean loss over the labeled elements."""
        return float(self.losses.sum() / self.counts.sum().clamp(min=1))


def batches(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split rows into batches of about equal size, so that each has the same weight for BatchNorm."""
    return np.array_split(rows, math.ceil(len(rows) / BATCH)) if len(rows) else []


def plain_views(
    split: Split, rows: NDArray[np.int64] | None = None, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """Yield view 0 of the samples at ``rows`` (default: all), in `batches`."""
    every_batch = batches(np.arange(len(split)) if rows is None else rows)
    depth = 0 if are_in_memory(split.samples) else DEPTH
    for batch, inputs in read_ahead(split.samples.read, every_batch, depth):
        yield view(inputs, split.id_numbers[batch], PLAIN, 0, Augment(), device)


def row_predictor(
    module: nn.Module, split: Split, device: torch.device | str = "cpu"
) -> Callable[[NDArray[np.int64]], Tensor]:
    """Return a function from rows to the module's outputs on view 0, ``[B, C, *]`` on the CPU.

    Pass one of `batches` at a time.
    """
    module.eval()

    def predict(rows: NDArray[np.int64]) -> Tensor:
        with torch.no_grad():
            return torch.cat(
                [at_least_float32(module(views)).cpu() for views in plain_views(split, rows, device)]
            )

    return predict


def copy_to_device(module: nn.Module, device: torch.device) -> nn.Module:
    """Return the module itself on the CPU, else a copy on the device: the original stays on the CPU."""
    return module if device.type == "cpu" else copy.deepcopy(module).to(device)


def measure(
    predict: Callable[[NDArray[np.int64]], Tensor], split: Split, task: Task, gaps: bool = False
) -> Measured:
    """Evaluate outputs on the labeled samples of a split, on the original images.

    Several processes each evaluate some of the `batches`.

    Args:
        predict: function from rows to outputs ``[B, C, *]``.
        split: split with the samples.
        task: task of the outputs.
        gaps: skip samples with non-finite outputs, like samples without a label.
    """
    targets = torch.from_numpy(split.samples.targets)
    every_batch = batches(split.labeled)
    own_batches = every_batch[group.own_slice(len(every_batch))]
    pairs = (
        pair
        for batch in own_batches
        for pair in on_frames(predict(batch), targets[batch], batch, split, task)
    )
    return measure_pairs((_unlabel_gaps(*pair) for pair in pairs) if gaps else pairs, task)


def on_frames(
    output: Tensor,
    target: Tensor,
    rows: NDArray[np.int64],
    split: Split,
    task: Task,
    select: Callable[[Tensor], Tensor] = lambda labels: labels,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield outputs and labels on the original images; together all samples, in order.

    Scores are computed from these: a score on the grid would be one of other labels than everyone else's.

    Args:
        output: outputs on the grid, ``[B, C, *]``.
        target: labels on the grid, which are yielded if they are those of the original images.
        rows: the samples, ``[B]``.
        split: split with the samples.
        task: task of the outputs.
        select: function applied to the labels of the original images, as it was to ``target``.
    """
    frames = split.samples.frames
    if frames is None or frames.labels is None or not task.spatial:
        yield output, target
        return
    for index, row in enumerate(rows.tolist()):
        placement, one = split.samples.placement(row), output[index : index + 1]
        labels = select(original_labels(split, rows[index : index + 1]))
        yield one if placement is None else task.to_frame(one, placement), labels


def original_labels(split: Split, rows: NDArray[np.int64]) -> Tensor:
    """Return the labels of one sample on its original image, ``[1, *]``.

    Args:
        split: split with the sample.
        rows: its row, ``[1]``.
    """
    frames = split.samples.frames
    if frames is None or frames.labels is None:
        return torch.from_numpy(split.samples.targets[rows])
    return torch.from_numpy(np.ascontiguousarray(frames.labels[split.samples.row(int(rows[0]))]))[None]


def _unlabel_gaps(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Replace non-finite outputs by 0, and remove the labels of these samples."""
    (finite,), _ = fill_gaps((output,))
    return finite, torch.where(
        broadcast_per_sample(has_nonfinite(output), target), missing_labels_as(target), target
    )


def measure_pairs(pairs: Iterable[tuple[Tensor, Tensor]], task: Task) -> Measured:
    """Evaluate pairs of outputs ``[B, C, *]`` and targets, gathered from all processes."""
    columns: list[tuple[Tensor, Tensor, Tensor]] = []
    with torch.no_grad():
        for output, target in pairs:
            labeled = task.labeled(target)
            loss = torch.where(labeled, task.evaluation_loss(output, target), 0)
            # [B, *] -> [B]: sum of the losses, and number of labeled elements
            sums = loss.double().reshape(len(labeled), -1).sum(dim=1)
            counts = labeled.reshape(len(labeled), -1).sum(dim=1)
            columns.append((task.statistics(output, target), sums, counts))
    rows = [row for gathered in group.gather(columns) for row in gathered]
    statistics, losses, counts = (torch.cat(column) for column in zip(*rows, strict=True))
    return Measured(statistics, task.metrics(statistics), losses, counts)


def judge(module: nn.Module, measured: Measured, task: Task, distance: float | None = None) -> Evaluation:
    """Return the evaluation of a module, as the selection compares it; see `selection`.

    Maps and boxes have many labels per sample, so their metric is precise enough to rank them.

    Args:
        module: module that was evaluated.
        measured: metrics and losses of its outputs on validation.
        task: task of the outputs.
        distance: distance to the merged teachers, see `Measurement`.
    """
    metric, value = task.primary, measured.metrics[task.primary.name]
    losses = None
    if measured.counts.sum() < FEW_LABELS and not task.spatial:
        labeled = measured.counts > 0
        losses = (measured.losses[labeled] / measured.counts[labeled]).double().numpy()
    return Evaluation(
        Measurement(metric.to_larger_better(value), measured.loss, losses, distance), measured.metrics, module
    )


def validate(
    module: nn.Module,
    task: Task,
    val: Split,
    train: Split,
    device: torch.device | str,
    distance: Callable[[nn.Module], float] | None = None,
) -> Evaluation:
    """Evaluate a copy of ``module`` whose BatchNorm statistics are re-estimated on samples of ``train``.

    Args:
        module: module to evaluate; not changed.
        task: task of the outputs.
        val: validation split.
        train: training split.
        device: device of the module.
        distance: function from a module to its distance to the merged teachers.
    """
    rows = shuffled_sample_rows(np.arange(len(train)), BATCHNORM_SAMPLES)
    copied = reestimate_batchnorm(module, plain_views(train, rows, device))
    measured = measure(row_predictor(copied, val, device), val, task)
    return judge(copied, measured, task, distance(copied) if distance else None)
