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
"""Training samples that the distance is measured on, at most."""
LEAST_UNLABELED = 64
"""Unlabeled samples below which labeled ones are used too."""


def merged_distance(
    data: DistillationData, strategy: Strategy, batches: Batches, context: Context
) -> Callable[[nn.Module], float] | None:
    """Return a function from a student to its mean distillation loss on plain training samples.

    The samples are unlabeled ones where there are enough. Maps and boxes are ranked by their metric, and
    teachers that answer live have no recorded outputs: None.

    Args:
        data: the training samples and the teachers' outputs on them.
        strategy: fitted, if it needs that.
        batches: makes what the strategy is given.
        context: the run.
    """
    if context.task.spatial or data.view_count is None:
        return None
    task, split, temperature = context.task, data.split, context.recipe.loss.temperature
    unlabeled = np.setdiff1d(data.rows, split.labelled)
    rows = shuffled_sample_rows(unlabeled if len(unlabeled) >= LEAST_UNLABELED else data.rows, SAMPLES)

    def distance(module: nn.Module) -> float:
        answer, total, count = row_predictor(module, split, data.device), 0.0, 0.0
        for part in in_batches(rows):
            # [B, C] of the student, K of [B, C] of the teachers
            output = answer(part)
            outputs = tuple(teacher.recorded("train", PLAIN, part) for teacher in data.teachers)
            target = torch.from_numpy(split.samples.targets[part])
            with torch.no_grad():
                merged = strategy.merge(batches(outputs, part, target, student=output))
                loss = task.kd_loss(output, merged, temperature)
            # a sample counts if the strategy gives some teacher a weight on it
            counts = torch.ones_like(loss) if merged.weights is None else merged.weights.sum(dim=0) > 0
            total += float(torch.where(counts > 0, loss, 0).double().sum())
            count += float(counts.sum())
        return group.broadcast(total / max(count, 1.0))

    return distance
