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
from mtkd_cli.interfaces import Alignment, Columns, Details, LossOptions, Merged, Metric, Task, TaskData
from mtkd_cli.interfaces.missing_labels import any_per_sample, label_mask
from mtkd_cli.losses.class_weights import apply_class_weights
from mtkd_cli.losses.distillation import KL, loss_to_teachers

TINY = 1e-7


class MultiLabel(Task):
    """Learns the presence of each class. Labels are 1, 0 or NaN (unknown), ``[N, C]``.

    Args:
        data: class names, and labels for balanced weights.
        loss: label smoothing and class weights. A list has one weight per class; ``balanced`` weighs positive
            against negative labels. Both also apply to the distillation loss.
    """

    primary = Metric("map", higher_is_better=True)
    logits = True
    any_label_space = False
    by_element = False
    columns: Columns

    def __init__(self, data: TaskData, loss: LossOptions) -> None:
        classes, labels = len(data.classes), torch.from_numpy(data.targets)
        if labels.shape[1:] != (classes,) or not labels.is_floating_point():
            raise DataError(
                "labels must be 0 or 1 for each class", "data", "use a data source for multilabel"
            )
        given = loss.class_weights if isinstance(loss.class_weights, tuple) else (1.0,) * classes
        if len(given) != classes:
            raise UsageError(
                f"{len(given)} weights for {classes} classes",
                "loss.class_weights",
                "give one weight per class",
            )
        self.outputs, self.smoothing = classes, loss.label_smoothing
        self.columns = Columns(wide={"logit": classes, "label": classes})
        positives, negatives = ((labels == value).sum(dim=0) for value in (1, 0))
        balance = negatives.clamp(min=1) / positives.clamp(min=1)
        self.weights = torch.tensor(given)
        self.positive = balance if loss.class_weights == "balanced" else torch.ones(classes)

    def without_class_weights(self) -> MultiLabel:
        """Return the task without weights."""
        plain = copy.copy(self)
        plain.weights, plain.positive = torch.ones_like(self.weights), torch.ones_like(self.positive)
        return plain

    def to_task_shape(self, output: Any) -> Tensor:
        """Return logits ``[B, C]``."""
        if not isinstance(output, Tensor) or output.dim() != 2:
            raise ValueError(f"{getattr(output, 'shape', type(output))}; the task needs (samples, classes)")
        return output

    def class_count(self, outputs: int) -> int:
        """Return one class for each output."""
        return outputs

    def align(self, outputs: Tensor, alignment: Alignment) -> Tensor:
        """Return a teacher's logits by class, ``[B, C]``; the largest if several outputs map to a class."""
        nothing = torch.zeros_like(outputs[:, 0])
        columns = [outputs[:, list(g)].amax(dim=1) if g else nothing for g in alignment.groups]
        return torch.stack(columns, dim=1)

    def labeled(self, target: Tensor) -> Tensor:
        """Return which samples have a label of any class, ``[B]``."""
        return any_per_sample(label_mask(target))

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return each teacher's cross-entropy against the labels, ``[K, B]``."""
        return torch.stack([_mean_over_labeled(_cross_entropy(o.float(), target), target) for o in outputs])

    def uncertainty(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return each teacher's mean entropy over the classes, ``[K, B]``, 0 to 1."""
        return torch.stack([_entropy(self.to_averageable(o)).mean(dim=1) / math.log(2) for o in outputs])

    def to_averageable(self, output: Tensor) -> Tensor:
        """Return the probability of each class, ``[B, C]``."""
        return output.float().sigmoid()

    def from_averageable(self, averaged: Tensor) -> Tensor:
        """Return logits ``[B, C]``."""
        return averaged.clamp(TINY, 1 - TINY).logit()

    def mix(self, merged: Merged) -> Tensor:
        """Return the logits of the weighted mean of the teachers' probabilities."""
        return self.from_averageable(self._target(merged, 1.0))

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the divergence to the mixture, ``[B]``, the mean over classes, times temperature squared.

        Each class is a binary choice, absent or present, with the logits 0 and z.
        """
        both = replace(
            merged,
            outputs=tuple(map(_binary_logits, merged.outputs)),
            combined=None if merged.combined is None else _binary_logits(merged.combined),
            weights=None if merged.weights is None else merged.weights[..., None],
        )
        balance = torch.stack([torch.ones_like(self.positive), self.positive])
        shifted, counts = apply_class_weights(both, balance)  # [B, 2, C] and [B, C]
        gap = counts * loss_to_teachers(KL, _binary_logits(student_output), shifted, temperature)
        return (self.weights.to(gap.device) * gap).mean(dim=1)

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        """Return the weighted cross-entropy to the labels, ``[B]``, the mean over labeled classes."""
        soft = target * (1 - self.smoothing) + self.smoothing / 2
        positive, weights = (w.to(student_output.device) for w in (self.positive, self.weights))
        return _mean_over_labeled(weights * _cross_entropy(student_output.float(), soft, positive), target)

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return C logits and C labels of each sample, ``[B, 2C]``.

        Logits, because probabilities round large logits to ties and equal logits to different last bits.
        """
        return self.columns.pack(logit=output.double(), label=target.double())

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return mean average precision, and F1 at probability 0.5, both averaged over the classes."""
        each = self._metrics_of_each_class(statistics)
        return {name: values.nanmean().nan_to_num().item() for name, values in each.items()}

    def details(self, statistics: Tensor) -> Details:
        """Return both metrics of each class, and the number of positive samples."""
        have = (self.columns.unpack(statistics)["label"] == 1).sum(dim=0)
        each = self._metrics_of_each_class(statistics)
        per_class = {name: tuple(values.tolist()) for name, values in each.items()}
        return Details(per_class=per_class, counts=tuple(have.tolist()))

    def _metrics_of_each_class(self, statistics: Tensor) -> dict[str, Tensor]:
        """Return the metrics of each class, ``[C]`` each."""
        found = self.columns.unpack(statistics.double())
        logits, labels = found["logit"], found["label"]
        return {"map": _average_precision(logits, labels), "f1": _f1(logits, labels)}

    def _target(self, merged: Merged, temperature: float) -> Tensor:
        if merged.combined is not None:
            return (merged.combined.float() / temperature).sigmoid()
        probabilities = torch.stack([(output.float() / temperature).sigmoid() for output in merged.outputs])
        total: Tensor = (merged.weights[..., None] * probabilities).sum(dim=0)  # type: ignore[index]
        return total.clamp(0, 1)


def _cross_entropy(logits: Tensor, target: Tensor, positive: Tensor | None = None) -> Tensor:
    """Return the cross-entropy ``[B, C]``, also finite for missing labels."""
    known = target.nan_to_num(nan=0.0)
    return F.binary_cross_entropy_with_logits(logits, known, reduction="none", pos_weight=positive)


def _mean_over_labeled(values: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the labeled classes, ``[B]``; 0 if no class is labeled."""
    has_label = label_mask(target)
    total: Tensor = torch.where(has_label, values, 0).sum(dim=1)
    return total / has_label.sum(dim=1).clamp(min=1)


def _binary_logits(logits: Tensor) -> Tensor:
    """Return the logits of absent and present: ``[B, C]`` -> ``[B, 2, C]``."""
    return torch.stack([torch.zeros_like(logits), logits], dim=1)


def _entropy(probabilities: Tensor) -> Tensor:
    """Return the binary entropy of each probability, in nats."""
    entropy: Tensor = torch.special.entr(probabilities) + torch.special.entr(1 - probabilities)
    return entropy


def _average_precision(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the average precision of each class, ``[C]``; NaN without positive samples.

    Samples with equal scores share one threshold, so their order does not matter (as in
    `sklearn.metrics.average_precision_score`).
    """
    scores, order = logits.sort(dim=0, descending=True)  # both [N, C]
    labels = labels.gather(0, order)
    has_label = label_mask(labels)
    hits = torch.where(has_label, labels, 0)
    precision = hits.cumsum(dim=0) / has_label.cumsum(dim=0).clamp(min=1)
    # [N, C]: for each sample, the last row with the same score
    rows = torch.arange(len(scores), device=scores.device)[:, None].expand_as(scores)
    ends = torch.ones_like(has_label)
    ends[:-1] = scores[:-1] != scores[1:]
    last = torch.where(ends, rows, len(scores)).flip(0).cummin(dim=0).values.flip(0)
    return (precision.gather(0, last) * hits).sum(dim=0) / hits.sum(dim=0)


def _f1(logits: Tensor, labels: Tensor) -> Tensor:
    """Return F1 of each class at probability 0.5, ``[C]``; NaN without positive labels and predictions."""
    has_label = label_mask(labels)
    predicted, true = (logits >= 0) & has_label, (labels == 1) & has_label
    return 2 * (predicted & true).sum(dim=0) / (predicted.sum(dim=0) + true.sum(dim=0))
