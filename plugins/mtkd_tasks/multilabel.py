"""Multi-label classification: any number of C classes per sample. Outputs are logits ``[B, C]``."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Alignment, Details, LossOptions, Merged, Metric, Task, TaskData
from mtkd_cli.interfaces.missing_labels import any_of, present
from mtkd_cli.losses.class_mixture import divergence
from mtkd_cli.losses.class_weights import reweighted

TINY = 1e-7


class MultiLabel(Task):
    """Learns for each class whether it is there. Labels are 1, 0 or NaN (unknown), ``[N, C]``.

    Args:
        data: class names and labels; these give balanced weights.
        loss: label smoothing, and class weights: a list weighs each class, ``balanced`` weighs what is
            there against what is not; both weigh the distillation loss too.
    """

    primary = Metric("map", higher_is_better=True)
    logits = True
    any_label_space = False
    by_element = False

    def __init__(self, data: TaskData, loss: LossOptions) -> None:
        classes, labels = len(data.classes), torch.from_numpy(data.targets)
        if labels.shape[1:] != (classes,) or not labels.is_floating_point():
            raise DataError(
                "labels must be 0 or 1 for each class", "data", "use a source that serves multilabel"
            )
        given = loss.class_weights if isinstance(loss.class_weights, tuple) else (1.0,) * classes
        if len(given) != classes:
            raise UsageError(
                f"{len(given)} weights for {classes} classes", "loss.class_weights", "give one a class"
            )
        self.outputs, self.smoothing = classes, loss.label_smoothing
        there, absent = ((labels == value).sum(dim=0) for value in (1, 0))
        balance = absent.clamp(min=1) / there.clamp(min=1)
        self.weights = torch.tensor(given)
        self.positive = balance if loss.class_weights == "balanced" else torch.ones(classes)

    def unweighted(self) -> MultiLabel:
        """Return the task without weights."""
        plain = copy.copy(self)
        plain.weights, plain.positive = torch.ones_like(self.weights), torch.ones_like(self.positive)
        return plain

    def shaped(self, output: Any) -> Tensor:
        """Return logits ``[B, C]``."""
        if not isinstance(output, Tensor) or output.dim() != 2:
            raise ValueError(f"{getattr(output, 'shape', type(output))}; the task needs (samples, classes)")
        return output

    def counted(self, outputs: int) -> int:
        """Return one class for each output."""
        return outputs

    def aligned(self, outputs: Tensor, alignment: Alignment) -> Tensor:
        """Return a teacher's logits by class; of several that make up one, the largest: any will do."""
        nothing = torch.zeros_like(outputs[:, 0])
        columns = [outputs[:, list(g)].amax(dim=1) if g else nothing for g in alignment.groups]
        return torch.stack(columns, dim=1)

    def labelled(self, target: Tensor) -> Tensor:
        """Return which samples have a label of any class, ``[B]``."""
        return any_of(present(target))

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return each teacher's cross-entropy against the labels, ``[K, B]``."""
        return torch.stack([_over_classes(_cross_entropy(o.float(), target), target) for o in outputs])

    def uncertainty(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return each teacher's mean entropy over the classes, ``[K, B]``, 0 to 1."""
        return torch.stack([_entropy(self.averageable(o)).mean(dim=1) / math.log(2) for o in outputs])

    def averageable(self, output: Tensor) -> Tensor:
        """Return probabilities ``[B, C]``, each of its own class."""
        return output.float().sigmoid()

    def as_output(self, averaged: Tensor) -> Tensor:
        """Return logits ``[B, C]``."""
        return averaged.clamp(TINY, 1 - TINY).logit()

    def mix(self, merged: Merged) -> Tensor:
        """Return the logits of the weighted mean of the teachers' probabilities."""
        return self.as_output(self._target(merged, 1.0))

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the divergence to the mixture, ``[B]``, the mean over classes, times temperature squared.

        Each class is a choice of two, absent or there, with the logits 0 and z.
        """
        both = replace(
            merged,
            outputs=tuple(map(_two, merged.outputs)),
            combined=None if merged.combined is None else _two(merged.combined),
            weights=None if merged.weights is None else merged.weights[..., None],
        )
        balance = torch.stack([torch.ones_like(self.positive), self.positive])
        shifted, counts = reweighted(both, balance)  # [B, 2, C] and [B, C]
        gap = counts * divergence(_two(student_output), shifted, temperature)
        return (self.weights.to(gap.device) * gap).mean(dim=1)

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        """Return the weighted cross-entropy to the labels, ``[B]``, the mean over classes that have one."""
        soft = target * (1 - self.smoothing) + self.smoothing / 2
        positive, weights = (w.to(student_output.device) for w in (self.positive, self.weights))
        return _over_classes(weights * _cross_entropy(student_output.float(), soft, positive), target)

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return C logits and C labels of each sample, ``[B, 2C]``.

        Not probabilities: these round large logits to ties, and equal logits to different last bits.
        """
        return torch.cat([output.double(), target.double()], dim=1)

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return mean average precision, and F1 at probability 0.5, both the mean over the classes."""
        each = {"map": _average_precision(statistics), "f1": _f1(statistics)}
        return {name: values.nanmean().nan_to_num().item() for name, values in each.items()}

    def details(self, statistics: Tensor) -> Details:
        """Return both metrics of each class, and how many samples have it."""
        have = (statistics.chunk(2, dim=1)[1] == 1).sum(dim=0)
        each = {"map": _average_precision(statistics), "f1": _f1(statistics)}
        per_class = {name: tuple(values.tolist()) for name, values in each.items()}
        return Details(per_class=per_class, counts=tuple(have.tolist()))

    def _target(self, merged: Merged, temperature: float) -> Tensor:
        if merged.combined is not None:
            return (merged.combined.float() / temperature).sigmoid()
        shares = torch.stack([(output.float() / temperature).sigmoid() for output in merged.outputs])
        total: Tensor = (merged.weights[..., None] * shares).sum(dim=0)  # type: ignore[index]
        return total.clamp(0, 1)


def _cross_entropy(logits: Tensor, target: Tensor, positive: Tensor | None = None) -> Tensor:
    """Return ``[B, C]``; finite where there is no label, too."""
    known = target.nan_to_num(nan=0.0)
    return F.binary_cross_entropy_with_logits(logits, known, reduction="none", pos_weight=positive)


def _over_classes(values: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the classes that have a label, ``[B]``; 0 where none has."""
    there = present(target)
    total: Tensor = torch.where(there, values, 0).sum(dim=1)
    return total / there.sum(dim=1).clamp(min=1)


def _two(logits: Tensor) -> Tensor:
    """Return the logits ``[B, 2, C]`` of absent and there."""
    return torch.stack([torch.zeros_like(logits), logits], dim=1)


def _entropy(shares: Tensor) -> Tensor:
    found: Tensor = torch.special.entr(shares) + torch.special.entr(1 - shares)
    return found


def _average_precision(statistics: Tensor) -> Tensor:
    """Return the average precision of each class, ``[C]``; NaN if no sample has it.

    Samples of one score enter together, so their order does not count: recall rises from one distinct
    score to the next, times the precision there (as `sklearn.metrics.average_precision_score`).
    """
    scores, order = statistics.double().chunk(2, dim=1)[0].sort(dim=0, descending=True)  # both [N, C]
    labels = statistics.double().chunk(2, dim=1)[1].gather(0, order)
    there = present(labels)
    hits = torch.where(there, labels, 0)
    precision = hits.cumsum(dim=0) / there.cumsum(dim=0).clamp(min=1)
    # [N, C]: of each sample the row of the last one with its score
    rows = torch.arange(len(scores), device=scores.device)[:, None].expand_as(scores)
    ends = torch.ones_like(there)
    ends[:-1] = scores[:-1] != scores[1:]
    last = torch.where(ends, rows, len(scores)).flip(0).cummin(dim=0).values.flip(0)
    return (precision.gather(0, last) * hits).sum(dim=0) / hits.sum(dim=0)


def _f1(statistics: Tensor) -> Tensor:
    """Return F1 of each class at probability 0.5, ``[C]``; NaN where nothing is there and nothing is said."""
    logits, labels = statistics.double().chunk(2, dim=1)
    there = present(labels)
    said, true = (logits >= 0) & there, (labels == 1) & there
    return 2 * (said & true).sum(dim=0) / (said.sum(dim=0) + true.sum(dim=0))
