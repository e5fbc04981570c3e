"""Score a teacher on the labeled validation samples before training, and say what looks wrong with it.

Chance level is measured, not assumed: the score of the same outputs against shuffled labels. So one test
serves every task, whatever its metric and however unequal its classes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.errors import SHOWN
from mtkd_cli.interfaces import Alignment, Task
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.training.evaluation import BATCH

SHUFFLES, SPATIAL_SHUFFLES = 99, 19
"""Shuffled copies of the labels; fewer where each has to be matched with maps or boxes."""

LEVEL = 0.05
"""Share of shuffled labels that may score as well before a teacher counts as no better than chance."""

FEWEST = 10
"""Labeled samples below which nothing is said: even a perfect teacher would not stand out."""

BARELY = 0.05
"""Share of the way from chance to a perfect score below which a teacher is barely better than chance."""

DOMINANT, EXCESS = 0.9, 0.3
"""Share of the answers that one class has, and by how much it exceeds that of the labels, to be reported."""

PERMUTED = 0.1
"""Accuracy that another order of the classes must add to be reported."""

CHECK = "check its input:, its classes: and its weights"

LISTED = 20
"""Classes up to which the right order is written out."""


@dataclass(frozen=True)
class Doubt:
    """What looks wrong with a teacher, and what to do if it is."""

    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.what}; {self.hint}"


@dataclass(frozen=True)
class Validated:
    """How a teacher does on validation.

    Attributes:
        metrics: the task's, the primary one first; of labels of classes that the teacher knows.
        labels: samples that they are measured on.
        chance: the primary metric against shuffled labels (median); None with too few labels.
        skill: share of the way from chance to a perfect score; None with too few labels.
        doubts: what looks wrong; empty if nothing does.
    """

    metrics: Mapping[str, float]
    labels: int
    chance: float | None = None
    skill: float | None = None
    doubts: tuple[Doubt, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the facts for a report; None for a metric that is not finite."""
        metrics = {name: value if np.isfinite(value) else None for name, value in self.metrics.items()}
        return {
            "metrics": metrics,
            "labels": self.labels,
            "chance": self.chance,
            "doubts": [str(doubt) for doubt in self.doubts],
        }


def validated(
    outputs: Tensor, target: Tensor, task: Task, classes: Sequence[str], alignment: Alignment
) -> Validated:
    """Return how a teacher's outputs score, and what looks wrong with them.

    Args:
        outputs: ``[N, C, *]``, aligned to the task's classes.
        target: the labels of the N samples.
        task: what outputs and labels mean.
        classes: the task's class names.
        alignment: the teacher's label space; labels of classes that it does not know are left out.
    """
    known = torch.tensor(alignment.known)
    if not known.all():
        target = task.within(target, known)
    labeled = task.labelled(target)
    kept = labeled.reshape(len(labeled), -1).any(dim=1) & ~has_nonfinite(outputs)
    outputs, target = outputs[kept], target[kept]
    if not len(outputs):
        return Validated({}, 0)
    metrics = _metrics(outputs, target, task)
    if len(outputs) < FEWEST or len(torch.unique(target, dim=0)) < 2:
        return Validated(metrics, len(outputs))
    shuffled = [target[torch.from_numpy(order)] for order in _orders(len(target), task)]
    name = task.primary.name
    by_chance = [_metrics(outputs, labels, task)[name] for labels in shuffled]
    chance = float(np.median(by_chance))
    skill = _skill(metrics[name], chance, task)
    doubts = [_no_skill(metrics[name], by_chance, skill, len(outputs), task)]
    if task.over_classes:
        answer = outputs.masked_fill(outputs == UNKNOWN, -torch.inf).argmax(dim=1)
        doubts.append(_dominant_class(answer, target, classes))
        doubts.append(_permuted_classes(answer, target, shuffled, classes, alignment))
    return Validated(metrics, len(outputs), chance, skill, tuple(doubt for doubt in doubts if doubt))


def _metrics(outputs: Tensor, target: Tensor, task: Task) -> dict[str, float]:
    pairs = zip(torch.split(outputs, BATCH), torch.split(target, BATCH), strict=True)
    return task.metrics(torch.cat([task.statistics(output, labels) for output, labels in pairs]))


def _orders(samples: int, task: Task) -> list[NDArray[np.int64]]:
    count = SPATIAL_SHUFFLES if task.spatial else SHUFFLES
    return [counter_rng.permutation(samples, "chance", number) for number in range(count)]


def _skill(score: float, chance: float, task: Task) -> float:
    best = 1.0 if task.primary.higher_is_better else 0.0
    return (score - chance) / (best - chance) if best != chance else 1.0


def _no_skill(
    score: float, by_chance: Sequence[float], skill: float, labels: int, task: Task
) -> Doubt | None:
    """Return that a score is no better than the scores with shuffled labels; None if it is."""
    metric = task.primary
    as_good = sum(not metric.better(score, each) for each in by_chance)
    by_luck = (1 + as_good) / (1 + len(by_chance)) > LEVEL
    if not by_luck and skill >= BARELY:
        return None
    numbers = (
        f"{spelt(metric.name)} {score:.3g} on {labels} labels, "
        f"{np.median(by_chance):.3g} with shuffled labels"
    )
    how = "no" if by_luck else "barely"
    return Doubt(f"{how} better than chance on validation: {numbers}", CHECK)


def _dominant_class(answer: Tensor, target: Tensor, classes: Sequence[str]) -> Doubt | None:
    """Return which class nearly all answers have, though the labels do not; None if there is none."""
    labeled = target >= 0
    answered, wanted = (
        np.bincount(values[labeled].numpy().astype(np.int64), minlength=len(classes)) / int(labeled.sum())
        for values in (answer, target)
    )
    most = int(answered.argmax())
    if answered[most] < DOMINANT or answered[most] - wanted[most] < EXCESS:
        return None
    share = f"{answered[most]:.0%} of the time, but {wanted[most]:.0%} of the labels are"
    return Doubt(f"it answers {classes[most]!r} {share}", CHECK)


def _permuted_classes(
    answer: Tensor, target: Tensor, shuffled: Sequence[Tensor], classes: Sequence[str], alignment: Alignment
) -> Doubt | None:
    """Return under which order of its classes a teacher would be right; None if no other is much better.

    The order is the assignment of answers to labels that makes most of them right: half of them at least, and
    half of those that it moves. Shuffled labels give what such an assignment finds in noise.
    """
    counts = _confusion(answer, target, len(classes))
    order, right = _assigned(counts)
    total, now = counts.sum(), np.trace(counts)
    moved = [label for label in range(len(classes)) if order[label] != label and counts[label, order[label]]]
    noise = max(
        _assigned(_confusion(answer, labels, len(classes)))[1] for labels in shuffled[:SPATIAL_SHUFFLES]
    )
    of_moved, right_of_moved = counts[moved].sum(), sum(counts[label, order[label]] for label in moved)
    clear = right > noise and right - now >= max(5, PERMUTED * total)
    clear = clear and 2 * right_of_moved >= of_moved and 2 * right >= total
    if not moved or not clear:
        return None
    return Doubt(
        f"its classes look permuted: {now / total:.0%} right as declared, {right / total:.0%} if "
        f"{_order_text(order, moved, classes)}",
        _remedy(order, classes, alignment),
    )


def _confusion(answer: Tensor, target: Tensor, classes: int) -> NDArray[np.int64]:
    """Return how often each label ``[C, .]`` is answered by each class ``[., C]``, where there is a label."""
    labeled = target >= 0
    pairs = target[labeled].long() * classes + answer[labeled]
    return np.bincount(pairs.flatten().numpy(), minlength=classes**2).reshape(classes, classes)


def _assigned(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return for each label the answer that stands for it, and how many samples are right then.

    Of equally good assignments it is one that moves few classes.
    """
    _, order = linear_sum_assignment(counts + 1e-6 * np.eye(len(counts)), maximize=True)
    return order, int(counts[np.arange(len(counts)), order].sum())


def _order_text(order: NDArray[np.int64], moved: Sequence[int], classes: Sequence[str]) -> str:
    """Return an assignment in words."""
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
    """Return the ``classes:`` that would be right, where each class has one output of the teacher."""
    outputs = sum(len(group) for group in alignment.groups)
    plain = all(len(group) == 1 for group in alignment.groups) and outputs == len(classes)
    if not plain or outputs > LISTED or max(group[0] for group in alignment.groups) >= outputs:
        return "check the order of its classes:"
    names = [""] * outputs
    for label, answered in enumerate(order):
        names[alignment.groups[answered][0]] = classes[label]
    plain_yaml = re.compile(r"[A-Za-z][\w -]*")
    shown = (name if plain_yaml.fullmatch(name) else json.dumps(name) for name in names)
    return f"if so, set classes: [{', '.join(shown)}]"
