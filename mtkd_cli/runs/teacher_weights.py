"""How much each teacher measure_weights: the strategy's weights on validation, in all and by class."""

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
        mean: over everything that is labelled and on which a teacher is heard.
        per_class: the same by class of the label, for classes that occur.
    """

    mean: tuple[float, ...]
    per_class: Mapping[str, tuple[float, ...]]

    def as_dict(self) -> dict[str, Any]:
        """Return the weights as JSON has them."""
        per_class = {name: list(mean) for name, mean in self.per_class.items()}
        return {"mean": list(self.mean), "per_class": per_class}


def measure_weights(
    context: Context, teachers: list[ReadyTeacher], strategy: Strategy, about: Batches, student: Model
) -> MeanWeights | None:
    """Return the weights that a strategy gives at the end of a run; None if it is no weighting.

    Args:
        context: the run.
        teachers: with their recorded answers.
        strategy: fitted.
        about: makes the batches of the validation split.
        student: the distilled one, for strategies that ask for it.
    """
    val, task = context.data.val, context.task
    parts = batches(val.labelled)
    classes = context.data.classes if task.over_classes else ()
    sums = torch.zeros(len(classes) + 1, len(teachers) + 1, dtype=torch.float64)
    answer = row_predictor(copy_to_device(with_preprocessing(student), context.device), val, context.device)
    for part in parts:
        answers = tuple(teacher.recorded_outputs("val", PLAIN, part) for teacher in teachers)
        target = torch.from_numpy(val.samples.targets[part])
        weights = strategy.merge(about(answers, part, target, student=answer(part))).weights
        if weights is None:
            return None
        there = task.labelled(target) & (weights.sum(dim=0) > 0)
        sums[-1] += _sum(weights, there)
        for place in range(len(classes)):
            sums[place] += _sum(weights, there & (target == place))
    means = (sums[:, :-1] / sums[:, -1:]).tolist()
    heard = dict(zip(classes, zip(means[:-1], sums[:-1, -1].tolist(), strict=True), strict=True))
    return MeanWeights(
        tuple(means[-1]), {name: tuple(mean) for name, (mean, count) in heard.items() if count}
    )


def _sum(weights: Tensor, chosen: Tensor) -> Tensor:
    """Return each teacher's weights ``[K, B, *]`` summed where chosen ``[B, *]``, and how many those are."""
    kept = (weights.double() * chosen).flatten(1).sum(dim=1)
    return torch.cat([kept, chosen.sum().double()[None]])
