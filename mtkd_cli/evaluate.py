"""Run a module over a split and measure what it says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.batchnorm import reestimated
from mtkd_cli.dataset import Split
from mtkd_cli.distill import Evaluation
from mtkd_cli.gaps import filled, lost, over
from mtkd_cli.interfaces import Task
from mtkd_cli.labels import without_labels
from mtkd_cli.recipe import Augment
from mtkd_cli.views import PLAIN, view

BATCH = 256
BATCHNORM_SAMPLES = 512


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


def outputs_of(
    module: nn.Module, split: Split, rows: NDArray[np.int64], device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """Yield the module's outputs on view 0 of the samples at ``rows``, in `batches`, float32 on the CPU."""
    module.eval()
    for shown in plain_views(split, rows, device):
        with torch.no_grad():  # not around the yield: a generator's mode would be its caller's, too
            output = module(shown).float().cpu()
        yield output


def predict(module: nn.Module, split: Split, device: torch.device | str = "cpu") -> Tensor:
    """Return the module's outputs on view 0 of every sample, ``[N, C, *]`` float32 on the CPU."""
    return torch.cat(list(outputs_of(module, split, np.arange(len(split)), device)))


def measure(outputs: Iterable[Tensor], split: Split, task: Task, gaps: bool = False) -> Measured:
    """Measure the outputs on a split's labelled samples, given in `batches` of `Split.labelled`.

    With ``gaps``, a sample whose output has NaN is passed over, as one without a label.
    """
    targets = torch.from_numpy(split.samples.targets)
    pairs = zip(outputs, (targets[part] for part in batches(split.labelled)), strict=True)
    return measured((_passed_over(*pair) for pair in pairs) if gaps else pairs, task)


def _passed_over(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs without NaN, and labels only where there was none."""
    (whole,), _ = filled((output,))
    return whole, torch.where(over(lost(output), target), without_labels(target), target)


def measured(answers: Iterable[tuple[Tensor, Tensor]], task: Task) -> Measured:
    """Measure pairs of outputs ``[B, C, *]`` and their labels."""
    found: list[Tensor] = []
    losses: list[Tensor] = []
    counts: list[Tensor] = []
    with torch.no_grad():
        for output, target in answers:
            found.append(task.statistics(output, target))
            there = task.labelled(target)
            loss = torch.where(there, task.evaluation_loss(output, target), 0)
            losses.append(loss.double().reshape(len(there), -1).sum(dim=1))
            counts.append(there.reshape(len(there), -1).sum(dim=1))
    statistics = torch.cat(found)
    return Measured(statistics, task.metrics(statistics), torch.cat(losses), torch.cat(counts))


def judge(module: nn.Module, measured: Measured, task: Task) -> Evaluation:
    """Return the evaluation of a module by how it measured on validation.

    Evaluations are ranked by the primary metric; equal ones by the loss.
    """
    score = measured.metrics[task.primary.name]
    rank = (score if task.primary.higher_is_better else -score, -measured.loss)
    return Evaluation(rank, measured.metrics, module)


def validate(
    module: nn.Module, task: Task, val: Split, train: Split, device: torch.device | str
) -> Evaluation:
    """Evaluate a copy of ``module`` with fresh BatchNorm statistics."""
    rows = np.arange(min(BATCHNORM_SAMPLES, len(train)))
    twin = reestimated(module, plain_views(train, rows, device))
    return judge(twin, measure(outputs_of(twin, val, val.labelled, device), val, task), task)
