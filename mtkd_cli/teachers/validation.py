"""Score a teacher on the labeled validation samples before training, and report what looks wrong.

The chance level is measured as the score of the same outputs against shuffled labels. So one test works for
every task, with any metric and any class frequencies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.errors import SHOWN
from mtkd_cli.interfaces import Alignment, Task
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.training.evaluation import BATCH

SHUFFLES, SPATIAL_SHUFFLES = 99, 19
"""Number of shuffled copies of the labels; fewer for maps and boxes, where matching is slow."""

LEVEL = 0.05
"""Significance level of the permutation test."""

MIN_LABELS = 10
"""Minimum number of labeled samples: with fewer, even a perfect teacher would not be significant."""

MIN_SKILL = 0.05
"""Share of the way from chance to a perfect score below which a teacher is barely better than chance."""

MIN_DOMINANT_SHARE, MIN_EXCESS = 0.9, 0.3
"""Minimum share of outputs in one class, and its excess over the share of labels, to be reported."""

MIN_PERMUTED_GAIN = 0.1
"""Minimum gain in accuracy by reordering the classes to be reported."""

CHECK = "check its input:, its classes: and its weights"

MAX_LISTED = 20
"""Maximum number of classes for which the correct order is written out."""


@dataclass(frozen=True)
class Doubt:
    """A possible problem with a teacher, and how to fix it."""

    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.what}; {self.hint}"


@dataclass(frozen=True)
class TeacherValidation:
    """Scores of a teacher on validation.

    Attributes:
        metrics: metrics of the task, the primary one first, on labels of classes that the teacher knows.
        labels: number of samples they are measured on.
        chance: median of the primary metric against shuffled labels; None with too few labels.
        skill: share of the way from chance to a perfect score; None with too few labels.
        doubts: possible problems.
        class_metric: name of the scores per class; empty if the task has none.
        per_class: score on each class, NaN if undefined; empty if the task has none.
        class_labels: number of labels of each class; empty if the task does not count them.
    """

    metrics: Mapping[str, float]
    labels: int
    chance: float | None = None
    skill: float | None = None
    doubts: tuple[Doubt, ...] = ()
    class_metric: str = ""
    per_class: tuple[float, ...] = ()
    class_labels: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the scores for a report; non-finite metrics become None."""
        metrics = {name: value if np.isfinite(value) else None for name, value in self.metrics.items()}
        return {
            "metrics": metrics,
            "labels": self.labels,
            "chance": self.chance,
            "doubts": [str(doubt) for doubt in self.doubts],
        }


def validate_outputs(
    outputs: Tensor, target: Tensor, task: Task, classes: Sequence[str], alignment: Alignment
) -> TeacherValidation:
    """Score a teacher's outputs and look for possible problems.

    Args:
        outputs: outputs aligned to the task's classes, ``[N, C, *]``.
        target: labels of the N samples.
        task: task of outputs and labels.
        classes: class names of the task.
        alignment: the teacher's label space; labels of classes it does not know are skipped.
    """
    known = torch.tensor(alignment.known)
    if not known.all():
        target = task.remove_unknown_labels(target, known)
    labeled = task.labeled(target)
    # [N]: samples with a label and finite outputs
    usable = labeled.reshape(len(labeled), -1).any(dim=1) & ~has_nonfinite(outputs)
    outputs, target = outputs[usable], target[usable]
    if not len(outputs):
        return TeacherValidation({}, 0)
    statistics = _statistics(outputs, target, task)
    metrics, details = task.metrics(statistics), task.details(statistics)
    class_metric, per_class = next(iter(details.per_class.items()), ("", ()))
    counts = details.counts or tuple(map(sum, details.confusion))
    scores = TeacherValidation(
        metrics, len(outputs), class_metric=class_metric, per_class=per_class, class_labels=counts
    )
    if len(outputs) < MIN_LABELS or len(torch.unique(target, dim=0)) < 2:
        return scores
    shuffled = [target[torch.from_numpy(order)] for order in _shuffles(len(target), task)]
    name = task.primary.name
    chance_scores = [_metrics(outputs, labels, task)[name] for labels in shuffled]
    chance = float(np.median(chance_scores))
    skill = _skill(metrics[name], chance, task)
    doubts = [_check_skill(metrics[name], chance_scores, skill, len(outputs), task)]
    if task.over_classes:
        # [N, C, *] -> [N, *]
        predicted = outputs.masked_fill(outputs == UNKNOWN, -torch.inf).argmax(dim=1)
        doubts.append(_check_dominant_class(predicted, target, classes))
        doubts.append(_check_permuted_classes(predicted, target, shuffled, classes, alignment))
    return replace(scores, chance=chance, skill=skill, doubts=tuple(doubt for doubt in doubts if doubt))


def _metrics(outputs: Tensor, target: Tensor, task: Task) -> dict[str, float]:
    return task.metrics(_statistics(outputs, target, task))


def _statistics(outputs: Tensor, target: Tensor, task: Task) -> Tensor:
    """Return the statistics of all samples, ``[N, S]``."""
    pairs = zip(torch.split(outputs, BATCH), torch.split(target, BATCH), strict=True)
    return torch.cat([task.statistics(output, labels) for output, labels in pairs])


def _shuffles(samples: int, task: Task) -> list[NDArray[np.int64]]:
    count = SPATIAL_SHUFFLES if task.spatial else SHUFFLES
    return [counter_rng.permutation(samples, "chance", number) for number in range(count)]


def _skill(score: float, chance: float, task: Task) -> float:
    best = 1.0 if task.primary.higher_is_better else 0.0
    return (score - chance) / (best - chance) if best != chance else 1.0


def _check_skill(
    score: float, chance_scores: Sequence[float], skill: float, labels: int, task: Task
) -> Doubt | None:
    """Return a doubt if a score does not beat those against shuffled labels."""
    metric = task.primary
    as_good = sum(not metric.is_better(score, chance_score) for chance_score in chance_scores)
    is_chance = (1 + as_good) / (1 + len(chance_scores)) > LEVEL
    if not is_chance and skill >= MIN_SKILL:
        return None
    numbers = (
        f"{spelt(metric.name)} {score:.3g} on {labels} labels, "
        f"{np.median(chance_scores):.3g} with shuffled labels"
    )
    how = "no" if is_chance else "barely"
    return Doubt(f"{how} better than chance on validation: {numbers}", CHECK)


def _check_dominant_class(predicted: Tensor, target: Tensor, classes: Sequence[str]) -> Doubt | None:
    """Return a doubt if nearly all outputs are of one class, though the labels are not."""
    labeled = target >= 0
    # share of each class, [C]
    predicted_shares, label_shares = (
        np.bincount(values[labeled].numpy().astype(np.int64), minlength=len(classes)) / int(labeled.sum())
        for values in (predicted, target)
    )
    top = int(predicted_shares.argmax())
    if predicted_shares[top] < MIN_DOMINANT_SHARE or predicted_shares[top] - label_shares[top] < MIN_EXCESS:
        return None
    shares = f"{predicted_shares[top]:.0%} of the time, but {label_shares[top]:.0%} of the labels are"
    return Doubt(f"it predicts {classes[top]!r} {shares}", CHECK)


def _check_permuted_classes(
    predicted: Tensor,
    target: Tensor,
    shuffled: Sequence[Tensor],
    classes: Sequence[str],
    alignment: Alignment,
) -> Doubt | None:
    """Return a doubt if another order of the classes would make a teacher much more accurate.

    The order is the best assignment of predictions to labels. It must be right on at least half of all
    labels, on half of the labels it reassigns, and beat the best assignments for shuffled labels.
    """
    counts = _confusion(predicted, target, len(classes))
    order, right = _best_assignment(counts)
    total, right_now = counts.sum(), np.trace(counts)
    moved = [label for label in range(len(classes)) if order[label] != label and counts[label, order[label]]]
    noise = max(
        _best_assignment(_confusion(predicted, labels, len(classes)))[1]
        for labels in shuffled[:SPATIAL_SHUFFLES]
    )
    moved_labels, moved_right = counts[moved].sum(), sum(counts[label, order[label]] for label in moved)
    is_clear = right > noise and right - right_now >= max(5, MIN_PERMUTED_GAIN * total)
    is_right = 2 * right >= total and 2 * moved_right >= moved_labels
    if not (moved and is_clear and is_right):
        return None
    return Doubt(
        f"its classes look permuted: {right_now / total:.0%} right as declared, {right / total:.0%} if "
        f"{_order_text(order, moved, classes)}",
        _remedy(order, classes, alignment),
    )


def _confusion(predicted: Tensor, target: Tensor, classes: int) -> NDArray[np.int64]:
    """Return the confusion matrix ``[label, prediction]``, ``[C, C]``, over the labeled elements."""
    labeled = target >= 0
    # one index per (label, prediction) pair
    pairs = target[labeled].long() * classes + predicted[labeled]
    return np.bincount(pairs.flatten().numpy(), minlength=classes**2).reshape(classes, classes)


def _best_assignment(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return the best assignment of predictions to labels ``[C]``, and the number of samples it makes right.

    Ties are broken in favor of moving fewer classes.
    """
    from scipy.optimize import linear_sum_assignment  # a second of imports, needed by few runs

    _, order = linear_sum_assignment(counts + 1e-6 * np.eye(len(counts)), maximize=True)
    return order, int(counts[np.arange(len(counts)), order].sum())


def _order_text(order: NDArray[np.int64], moved: Sequence[int], classes: Sequence[str]) -> str:
    """Describe an assignment."""
    count = len(classes)
    if all(order[label] == count - 1 - label for label in moved) and len(moved) > 2:
        return "they are in reverse order"
    shifts = {int(order[label] - label) % count for label in moved}
    if len(shifts) == 1 and len(moved) > 2:
        by = shifts.pop()
        return f"each is shifted by {by if by <= count // 2 else by - count}"
    pairs = [f"its {classes[order[label]]!r} means {classes[label]!r}" for label in moved[:SHOWN]]
    return ", ".join(pairs) + (", ..." if len(moved) > SHOWN else "")


def _remedy(order: NDArray[np.int64], classes: Sequence[str], alignment: Alignment) -> str:
    """Return the correct ``classes:`` if each class has exactly one output, else a general hint."""
    outputs = sum(len(group) for group in alignment.groups)
    is_one_to_one = all(len(group) == 1 for group in alignment.groups) and outputs == len(classes)
    if not is_one_to_one or outputs > MAX_LISTED or max(group[0] for group in alignment.groups) >= outputs:
        return "check the order of its classes:"
    names = [""] * outputs
    for label, prediction in enumerate(order):
        names[alignment.groups[prediction][0]] = classes[label]
    unquoted = re.compile(r"[A-Za-z][\w -]*")
    shown = (name if unquoted.fullmatch(name) else json.dumps(name) for name in names)
    return f"if so, set classes: [{', '.join(shown)}]"
