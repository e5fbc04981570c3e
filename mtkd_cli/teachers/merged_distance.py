"""The distance of a student to the merged teachers: it ranks students without labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from mtkd_cli.data.subset import shuffled_sample_rows
from mtkd_cli.data.views import PLAIN
from mtkd_cli.distributed import group
from mtkd_cli.teachers.distillation_data import DistillationData
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches as in_batches
from mtkd_cli.training.evaluation import row_predictor
from mtkd_cli.training.objectives import Batches
from mtkd_cli.training.strategy import Strategy

SAMPLES = 512
"""Maximum number of training samples that the distance is measured on."""
MIN_UNLABELED = 64
"""Minimum number of unlabeled samples; with fewer, labeled ones are used too."""


def merged_distance(
    data: DistillationData, strategy: Strategy, batches: Batches, context: Context
) -> Callable[[nn.Module], float] | None:
    """Return a function from a student to its mean distillation loss on plain training samples.

    The samples are unlabeled if there are enough of these. Returns None for maps and boxes, which are ranked
    by their metric, and for live teachers, which have no recorded outputs.

    Args:
        data: training samples and the teachers' outputs.
        strategy: strategy, fitted if it needs that.
        batches: builder of the strategy's input.
        context: context of the run.
    """
    if context.task.spatial or data.view_count is None:
        return None
    task, split, temperature = context.task, data.split, context.recipe.loss.temperature
    unlabeled = np.setdiff1d(data.rows, split.labeled)
    rows = shuffled_sample_rows(unlabeled if len(unlabeled) >= MIN_UNLABELED else data.rows, SAMPLES)

    def distance(module: nn.Module) -> float:
        predict, total, count = row_predictor(module, split, data.device), 0.0, 0.0
        for rows_batch in in_batches(rows):
            # student: [B, C]; teachers: K of [B, C]
            output = predict(rows_batch)
            outputs = tuple(teacher.recorded_outputs("train", PLAIN, rows_batch) for teacher in data.teachers)
            target = torch.from_numpy(split.samples.targets[rows_batch])
            with torch.no_grad():
                merged = strategy.merge(batches(outputs, rows_batch, target, student=output))
                loss = task.kd_loss(output, merged, temperature)
            # [K, B] -> [B]: a sample counts if some teacher has a weight on it
            counts = torch.ones_like(loss) if merged.weights is None else merged.weights.sum(dim=0) > 0
            total += float(torch.where(counts > 0, loss, 0).double().sum())
            count += float(counts.sum())
        return group.broadcast(total / max(count, 1.0))

    return distance
