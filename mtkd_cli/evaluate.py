"""Run a module over a split and measure what it says."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.batchnorm import reestimated
from mtkd_cli.dataset import Split
from mtkd_cli.distill import Evaluation
from mtkd_cli.interfaces import Task
from mtkd_cli.losses import mean_over
from mtkd_cli.recipe import Augment
from mtkd_cli.views import PLAIN, view

BATCH = 256
BATCHNORM_SAMPLES = 512


def plain_views(
    split: Split, rows: NDArray[np.int64] | None = None, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """Yield view 0 of the samples at ``rows`` (default: all), in batches of about equal size.

    None is much smaller than the others: each counts the same when BatchNorm is re-estimated.
    """
    rows = np.arange(len(split)) if rows is None else rows
    for part in np.array_split(rows, math.ceil(len(rows) / BATCH)):
        yield view(split.samples.images(part), split.id_numbers[part], PLAIN, 0, Augment(), device)


def predict(module: nn.Module, split: Split, device: torch.device | str = "cpu") -> Tensor:
    """Return the module's raw outputs on view 0 of every sample, ``[N, C]`` float32 on the CPU."""
    module.eval()
    with torch.inference_mode():
        return torch.cat([module(batch).float().cpu() for batch in plain_views(split, device=device)])


def measure(output: Tensor, split: Split, task: Task) -> dict[str, float]:
    """Return the task's metrics of ``[N, C]`` outputs on the labelled samples of a split."""
    target = torch.from_numpy(split.samples.targets)
    return task.metrics(output[target >= 0], target[target >= 0])


def judge(module: nn.Module, output: Tensor, val: Split, task: Task) -> Evaluation:
    """Return the evaluation of a module that gave ``output [N, C]`` on the validation split.

    Evaluations are ranked by the primary metric; equal ones by the task loss.
    """
    target = torch.from_numpy(val.samples.targets)
    metrics = measure(output, val, task)
    loss = mean_over(task.task_loss(output, target), target >= 0).item()
    score = metrics[task.primary.name]
    return Evaluation((score if task.primary.higher_is_better else -score, -loss), metrics, module)


def validate(
    module: nn.Module, task: Task, val: Split, train: Split, device: torch.device | str
) -> Evaluation:
    """Evaluate a copy of ``module`` with fresh BatchNorm statistics."""
    rows = np.arange(min(BATCHNORM_SAMPLES, len(train)))
    twin = reestimated(module, plain_views(train, rows, device))
    return judge(twin, predict(twin, val, device), val, task)
