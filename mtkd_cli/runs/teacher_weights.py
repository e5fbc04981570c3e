"""Mean weights that the strategy gives the teachers on validation, overall and by class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.data.views import PLAIN
from mtkd_cli.interfaces import Model
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.teachers.outputs import ReadyTeacher
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches, copy_to_device, row_predictor
from mtkd_cli.training.objectives import Batches
from mtkd_cli.training.strategy import Strategy


@dataclass(frozen=True)
class MeanWeights:
    """Mean weights of K teachers.

    Attributes:
        mean: mean over all labeled positions on which some teacher has a weight, ``[K]``.
        per_class: the same for the positions of each class that occurs.
    """

    mean: tuple[float, ...]
    per_class: Mapping[str, tuple[float, ...]]

    def as_dict(self) -> dict[str, Any]:
        """Return the weights as a JSON object."""
        per_class = {name: list(mean) for name, mean in self.per_class.items()}
        return {"mean": list(self.mean), "per_class": per_class}


def measure_weights(
    context: Context, teachers: list[ReadyTeacher], strategy: Strategy, make_batch: Batches, student: Model
) -> MeanWeights | None:
    """Return the mean weights of a strategy at the end of a run; None if it combines outputs.

    Args:
        context: the run.
        teachers: K teachers with recorded outputs.
        strategy: the fitted strategy.
        make_batch: builder of batches of the validation split.
        student: the distilled student, for strategies that need its outputs.
    """
    val, task = context.data.val, context.task
    classes = context.data.classes if task.over_classes else ()
    # [C + 1, K + 1]: a row for each class and one for all; a column for each teacher and one for the count
    sums = torch.zeros(len(classes) + 1, len(teachers) + 1, dtype=torch.float64)
    predict = row_predictor(copy_to_device(with_preprocessing(student), context.device), val, context.device)
    for rows in batches(val.labeled):
        outputs = tuple(
            teacher.recorded_outputs("val", PLAIN, rows) for teacher in teachers
        )  # K of [B, C, *]
        target = torch.from_numpy(val.samples.targets[rows])  # [B, *]
        weights = strategy.merge(make_batch(outputs, rows, target, student=predict(rows))).weights
        if weights is None:
            return None
        # [B, *]: labeled positions that are taught by some teacher
        mask = task.labeled(target) & (weights.sum(dim=0) > 0)
        sums[-1] += _sum_where(weights, mask)
        for index in range(len(classes)):
            sums[index] += _sum_where(weights, mask & (target == index))
    means, counts = (sums[:, :-1] / sums[:, -1:]).tolist(), sums[:-1, -1].tolist()
    by_class = zip(classes, means[:-1], counts, strict=True)
    return MeanWeights(tuple(means[-1]), {name: tuple(mean) for name, mean, count in by_class if count})


def _sum_where(weights: Tensor, mask: Tensor) -> Tensor:
    """Return the sum of each teacher's weights where the mask is set, and the number of these positions.

    Args:
        weights: weights, ``[K, B, *]``.
        mask: mask, ``[B, *]``.

    Returns:
        Sums and count, ``[K + 1]``.
    """
    sums = (weights.double() * mask).flatten(1).sum(dim=1)  # [K, B, *] -> [K]
    return torch.cat([sums, mask.sum().double()[None]])
