"""Models that are equally good by construction, for error_rates.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.interfaces import InputSpec, LossOptions, Task, TaskData
from mtkd_cli.report.audit_result import TeacherFacts
from mtkd_cli.stats.estimate import Estimate
from mtkd_cli.stats.score import mean_of, score_of
from mtkd_cli.training.evaluation import measure_pairs
from mtkd_tasks.average_precision import MOST
from mtkd_tasks.classification import Classification
from mtkd_tasks.detection import Detection
from mtkd_tasks.regression import Regression
from mtkd_tasks.segmentation import Segmentation

Numbers = NDArray[np.float64]
Rng = np.random.Generator

INPUT = InputSpec(size=8, channels=1)
TEN = tuple(map(str, range(10)))
CLASSES = Classification(TaskData(TEN, np.arange(10), INPUT), LossOptions())
VALUES = Regression(TaskData(("y",), np.array([[-1.0], [1.0]]), INPUT), LossOptions())
MAPS = Segmentation(TaskData(TEN[:4], np.zeros((1, 8, 8), dtype=np.int64), INPUT), LossOptions())
BOXES = Detection(TaskData(TEN[:2], np.zeros((1, 1, 5), dtype=np.float32), INPUT), LossOptions())
CONTEXT: Any = SimpleNamespace(task=CLASSES)


@dataclass(frozen=True)
class Case:
    """Two equally good models.

    Attributes:
        task: the task that measures them.
        pair: draws what the metric needs of each sample, ``[N, S]`` each.
        statistics: converts it to the task's statistics.
        metric: the metric from sums over samples ``[*, S]``, for the bootstrap; None: too expensive.
    """

    task: Task
    pair: Callable[[Rng, int], tuple[Numbers, Numbers]]
    statistics: Callable[[Numbers], Tensor]
    metric: Callable[[Numbers], Numbers] | None


# Right and wrong answers.


def of_right(right: Numbers) -> Tensor:
    """Return classification statistics from right (1) and wrong (0) predictions."""
    column = torch.from_numpy(right[:, 0]).float()
    rest = [torch.ones_like(column), torch.full_like(column, 0.9), column, torch.ones_like(column)]
    return torch.stack([column, *rest], dim=1)


def right_answers(rng: Rng, samples: int, count: int, share: float) -> Numbers:
    """Return which predictions are right, ``[count, N]``; hard samples are hard for all models."""
    easy = rng.beta(4 * share, 4 * (1 - share), size=samples)
    return (rng.random((count, samples)) < easy).astype(float)


def accuracy(differing: int | None) -> Case:
    """Accuracy .9; on ``differing`` samples exactly one model is right (None: no constraint)."""

    def pair(rng: Rng, samples: int) -> tuple[Numbers, Numbers]:
        first, second = right_answers(rng, samples, 2, 0.9)
        if differing is not None:
            second = first.copy()
            chosen = rng.permutation(samples)[:differing]
            second[chosen] = (rng.random(differing) < 0.5).astype(float)
            first[chosen] = 1 - second[chosen]
        return with_ones(first), with_ones(second)

    return Case(CLASSES, pair, of_right, mean)


def with_ones(right: Numbers) -> Numbers:
    """Return right predictions and ones, ``[N, 2]``."""
    return np.stack([right, np.ones(len(right))], axis=1)


def mean(sums: Numbers) -> Numbers:
    """Return the accuracy from sums."""
    found: Numbers = sums[..., 0] / sums[..., 1]
    return found


# Values.


def of_errors(numbers: Numbers) -> Tensor:
    """Return statistics of errors: the label is 0."""
    error = torch.from_numpy(numbers[:, 0]).sqrt()
    return torch.stack([torch.zeros_like(error), error], dim=1)


def rmse(sums: Numbers) -> Numbers:
    """Return the RMSE from sums of squares and counts."""
    return np.sqrt(sums[..., 0] / sums[..., 1])


def squares(errors: Numbers) -> Numbers:
    """Return squared errors and ones."""
    return np.stack([errors**2, np.ones(len(errors))], axis=1)


def values(noise: Callable[[Rng, int], Numbers]) -> Case:
    """Errors that are partly shared by both models, like label noise."""

    def pair(rng: Rng, samples: int) -> tuple[Numbers, Numbers]:
        shared = noise(rng, samples)
        return squares(shared + 0.5 * noise(rng, samples)), squares(shared + 0.5 * noise(rng, samples))

    return Case(VALUES, pair, of_errors, rmse)


def other_tails(rng: Rng, samples: int) -> tuple[Numbers, Numbers]:
    """Return squared errors of two models with RMSE 1: one with 10 % large errors, one normal."""
    spread = np.where(rng.random(samples) < 0.1, 5.5, 0.5) ** 0.5
    return squares(spread * rng.normal(size=samples)), squares(rng.normal(size=samples))


# Maps: intersection, predicted and labeled pixels of each class.


def of_maps(numbers: Numbers) -> Tensor:
    """Return statistics of maps."""
    return torch.from_numpy(numbers)


def miou(sums: Numbers) -> Numbers:
    """Return the mean IoU from sums of counts."""
    right, answered, labeled = np.split(sums, 3, axis=-1)
    union = answered + labeled - right
    with np.errstate(invalid="ignore"):
        found: Numbers = np.nanmean(np.where(union > 0, right / union, np.nan), axis=-1)
    return found


def maps(differing: int | None) -> Case:
    """Images that are easy or hard for both models; the models differ on ``differing`` images."""

    def pair(rng: Rng, samples: int) -> tuple[Numbers, Numbers]:
        size = 1000 * rng.gamma(1.0, size=(samples, 4)) * (rng.random((samples, 4)) < 0.5)
        quality = np.clip(rng.beta(6, 2, size=(samples, 1)), 0.05, 0.95)

        def model() -> Numbers:
            right = size * rng.beta(8 * quality, 8 * (1 - quality), size=size.shape)
            return np.concatenate([right, right + size * rng.beta(2, 8, size=size.shape), size], axis=1)

        first, second = model(), model()
        if differing is not None:
            same = rng.permutation(samples)[differing:]
            second[same] = first[same]
        return first, second

    return Case(MAPS, pair, of_maps, miou)


# Boxes.


def of_boxes(numbers: Numbers) -> Tensor:
    """Return statistics of boxes."""
    return torch.from_numpy(numbers).float()


def boxes(rng: Rng, samples: int) -> tuple[Numbers, Numbers]:
    """Return statistics of two detectors: scores, labels and reached overlaps; see `average_precision`."""
    counts, hard = rng.integers(1, 4, size=(samples, 2)), rng.random(samples)

    def model() -> Numbers:
        found = np.zeros((samples, 3 * MOST + 2))
        found[:, 3 * MOST :] = counts
        for image in range(samples):
            rows = []
            for label in range(2):
                for _ in range(counts[image, label]):
                    if rng.random() < 0.85 - 0.3 * hard[image]:
                        level = int(np.clip(rng.normal(7 - 4 * hard[image], 2), 0, 10))
                        score = np.clip(rng.normal(0.45 + 0.04 * level, 0.15), 0.02, 0.99)
                        rows.append((score, label, (1 << level) - 1))
                rows += [(rng.beta(2, 4), label, 0) for _ in range(rng.poisson(0.7))]
            rows.sort(reverse=True)
            for part in range(3):
                found[image, part * MOST : part * MOST + len(rows)] = [row[part] for row in rows]
        return found

    return model(), model()


def normal(rng: Rng, size: Any) -> Numbers:
    """Return standard normal noise."""
    return rng.normal(size=size)


def heavy(rng: Rng, size: Any) -> Numbers:
    """Return noise with the tails of t with three degrees of freedom."""
    return rng.standard_t(3, size=size)


def less_heavy(rng: Rng, size: Any) -> Numbers:
    """Return noise with the tails of t with five degrees of freedom."""
    return rng.standard_t(5, size=size)


CASES: dict[str, tuple[Case, tuple[int, ...], int]] = {
    "accuracy, 3 differ": (accuracy(3), (20, 100, 539, 2000), 1),
    "accuracy, 6 differ": (accuracy(6), (20, 100, 539, 2000), 1),
    "accuracy, 10 differ": (accuracy(10), (20, 100, 539, 2000), 1),
    "accuracy .9": (accuracy(None), (20, 100, 539, 2000), 1),
    "RMSE, normal": (values(normal), (20, 50, 200), 2),
    "RMSE, t3 tails": (values(heavy), (20, 50, 200), 2),
    "RMSE, other tails": (Case(VALUES, other_tails, of_errors, rmse), (20, 50, 300), 2),
    "mIoU, 3 images differ": (maps(3), (100,), 2),
    "mIoU, 6 images differ": (maps(6), (100,), 2),
    "mIoU, 10 images differ": (maps(10), (100,), 2),
    "mIoU": (maps(None), (20, 50, 200), 2),
    "mAP": (Case(BOXES, boxes, of_boxes, None), (20, 50), 2),
}
"""By name: the case, numbers of samples, and the divisor of the number of simulations."""

_TRUE_MIOU = float(miou(maps(None).pair(np.random.default_rng(0), 200_000)[0].sum(axis=0)))

SINGLE: dict[str, tuple[Case, float, tuple[int, ...], int]] = {
    "accuracy .9": (accuracy(None), 0.9, (20, 50, 200, 1000), 1),
    "RMSE, normal": (values(normal), 1.25**0.5, (20, 50, 200), 2),
    "RMSE, t5 tails": (values(less_heavy), (1.25 * 5 / 3) ** 0.5, (20, 50, 200), 2),
    "RMSE, t3 tails": (values(heavy), (1.25 * 3) ** 0.5, (20, 50, 200), 2),
    "mIoU": (maps(None), _TRUE_MIOU, (20, 50, 200), 2),
}
"""By name: the case, its true value, numbers of samples, and the divisor of the number of simulations."""

NOISE: dict[str, Callable[[Rng, Any], Numbers]] = {"normal": normal, "t3 tails": heavy}


# Teachers of an audit.


def teachers(rng: Rng, samples: int, bad: bool, count: int = 4) -> tuple[list[Tensor], Tensor]:
    """Return logits of equally good, calibrated teachers, ``[N, 10]`` each, and labels.

    Each has independent evidence of the label. With ``bad``, the last one predicts half of the samples at
    random, with unchanged confidence.
    """
    target = torch.from_numpy(rng.integers(0, 10, samples))
    truth = torch.nn.functional.one_hot(target, 10).double()
    strength = 2.6
    outputs = []
    for _ in range(count):  # the log-likelihood ratio of evidence N(strength * truth, 1): calibrated
        evidence = strength * truth + torch.from_numpy(rng.normal(size=(samples, 10)))
        outputs.append((strength * evidence).float())
    if bad:
        order = torch.from_numpy(rng.permutation(samples))
        is_random = torch.from_numpy(rng.random(samples) < 0.5)
        outputs[-1] = torch.where(is_random[:, None], outputs[-1][order], outputs[-1])
    return outputs, target


def mixed(outputs: list[Tensor]) -> Tensor:
    """Return the mean of teachers' probabilities, as logits."""
    return torch.stack([output.softmax(dim=1) for output in outputs]).mean(dim=0).log()


def outcome(output: Tensor, target: Tensor) -> Outcome:
    """Return the outcome of predictions, as an audit measures it."""
    found = measure_pairs([(output, target)], CLASSES)
    losses, counts = found.losses.double().numpy(), found.counts.double().numpy()
    return Outcome(found, score_of(CLASSES, found.statistics), mean_of(losses, counts))


def facts(outputs: list[Tensor], target: Tensor) -> list[TeacherFacts]:
    """Return an audit's facts on the teachers' confidence."""
    nothing = Estimate(0.0, 0.0, 0.0)
    found = []
    for k, output in enumerate(outputs):
        details = CLASSES.details(CLASSES.statistics(output, target))
        found.append(TeacherFacts(f"t{k}", "", nothing, nothing, {}, details.reliability, ()))
    return found
