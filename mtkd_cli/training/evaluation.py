"""Run a module over a split and measure what it says."""

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
from mtkd_cli.data.subset import shuffled_sample_rows
from mtkd_cli.data.views import PLAIN, view
from mtkd_cli.distributed import group
from mtkd_cli.interfaces import FEW_LABELS, Task
from mtkd_cli.interfaces.missing_labels import without_labels
from mtkd_cli.interfaces.missing_outputs import filled, lost, over
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.recipe.schema import Augment
from mtkd_cli.training.batchnorm_statistics import reestimated
from mtkd_cli.training.loop import Evaluation
from mtkd_cli.training.selection import Measurement

BATCH = 256
BATCHNORM_SAMPLES = 512
"""Training samples that BatchNorm statistics are re-estimated on, at most."""


@dataclass(frozen=True)
class Measured:
    """What outputs are worth.

    Attributes:
        statistics: of each labelled sample, ``[N, S]``; see `Task.statistics`.
        metrics: the task's, the primary one first.
        losses: of each sample the sum over what is labelled in it, ``[N]``.
        counts: how much that is, ``[N]``.
    """

    statistics: Tensor
    metrics: dict[str, float]
    losses: Tensor
    counts: Tensor

    @property
    def loss(self) -> float:
        """Mean loss over what is labelled."""
        return float(self.losses.sum() / self.counts.sum().clamp(min=1))


def batches(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows in batches of about equal size: each counts the same for BatchNorm."""
    return np.array_split(rows, math.ceil(len(rows) / BATCH)) if len(rows) else []


def plain_views(
    split: Split, rows: NDArray[np.int64] | None = None, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """Yield view 0 of the samples at ``rows`` (default: all), in `batches`."""
    for part in batches(np.arange(len(split)) if rows is None else rows):
        yield view(split.samples.read(part), split.id_numbers[part], PLAIN, 0, Augment(), device)


def answering(
    module: nn.Module, split: Split, device: torch.device | str = "cpu"
) -> Callable[[NDArray[np.int64]], Tensor]:
    """Return a function from rows to the module's outputs on their view 0, ``[B, C, *]`` on the CPU.

    It is meant for one of `batches` at a time.
    """
    module.eval()

    def answer(rows: NDArray[np.int64]) -> Tensor:
        with torch.no_grad():
            return torch.cat(
                [at_least_float32(module(shown)).cpu() for shown in plain_views(split, rows, device)]
            )

    return answer


def on_device(module: nn.Module, device: torch.device) -> nn.Module:
    """Return a module for a device: itself on the CPU, else a copy there, so that it stays on the CPU."""
    return module if device.type == "cpu" else copy.deepcopy(module).to(device)


def measure(
    answer: Callable[[NDArray[np.int64]], Tensor], split: Split, task: Task, gaps: bool = False
) -> Measured:
    """Measure what is answered on a split's labelled samples.

    Several processes each answer some of the `batches` of them.

    Args:
        answer: gives the outputs ``[B, C, *]`` on the samples at some rows.
        split: whose samples.
        task: what the outputs are.
        gaps: pass over a sample whose output has NaN, as over one without a label.
    """
    targets = torch.from_numpy(split.samples.targets)
    parts = batches(split.labelled)
    pairs = ((answer(part), targets[part]) for part in parts[group.own_slice(len(parts))])
    return measured((_passed_over(*pair) for pair in pairs) if gaps else pairs, task)


def _passed_over(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs without NaN, and labels only where there was none."""
    (whole,), _ = filled((output,))
    return whole, torch.where(over(lost(output), target), without_labels(target), target)


def measured(answers: Iterable[tuple[Tensor, Tensor]], task: Task) -> Measured:
    """Measure pairs of outputs ``[B, C, *]`` and their labels, every process's together."""
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    with torch.no_grad():
        for output, target in answers:
            there = task.labelled(target)
            loss = torch.where(there, task.evaluation_loss(output, target), 0)
            sums = loss.double().reshape(len(there), -1).sum(dim=1)
            found.append((task.statistics(output, target), sums, there.reshape(len(there), -1).sum(dim=1)))
    rows = [row for mine in group.gather(found) for row in mine]
    statistics, losses, counts = (torch.cat(column) for column in zip(*rows, strict=True))
    return Measured(statistics, task.metrics(statistics), losses, counts)


def judge(module: nn.Module, measured: Measured, task: Task, distance: float | None = None) -> Evaluation:
    """Return the evaluation of a module by how it measured on validation, see `selection`.

    Maps and boxes have many labels a sample: the metric ranks them.

    Args:
        module: the module.
        measured: its outputs on validation.
        task: what the outputs are.
        distance: its distance to the merged teachers, see `Measurement`.
    """
    metric, value = task.primary, measured.metrics[task.primary.name]
    losses = None
    if measured.counts.sum() < FEW_LABELS and not task.spatial:
        labeled = measured.counts > 0
        losses = (measured.losses[labeled] / measured.counts[labeled]).double().numpy()
    return Evaluation(
        Measurement(metric.signed(value), measured.loss, losses, distance), measured.metrics, module
    )


def validate(
    module: nn.Module,
    task: Task,
    val: Split,
    train: Split,
    device: torch.device | str,
    distance: Callable[[nn.Module], float] | None = None,
) -> Evaluation:
    """Evaluate a copy of ``module`` with BatchNorm statistics of samples from all over ``train``.

    Args:
        module: the module.
        task: what the outputs are.
        val: the validation split.
        train: the training split.
        device: where the module is.
        distance: measures a module's distance to the merged teachers.
    """
    rows = shuffled_sample_rows(np.arange(len(train)), BATCHNORM_SAMPLES)
    twin = reestimated(module, plain_views(train, rows, device))
    measured = measure(answering(twin, val, device), val, task)
    return judge(twin, measured, task, distance(twin) if distance else None)
