"""One weight per teacher: from the recipe, from validation scores, or from scores per class."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import AggregationBatch

SMALLEST_ERROR = 1e-12


class Weighted:
    """``w_k ∝ weight_k``, or ``softmax_k(score_k / tau)``; ``1 / mean error_k`` if lower scores are better.

    The errors of a regression are squared, so its weights are inverse variances.

    Args:
        by: ``fixed``, ``validation`` or ``class``; None means ``fixed`` if a teacher has a weight, else
            ``validation``.
        tau: softmax temperature of the scores, in units of the score.
    """

    def __init__(self, by: str | None, tau: float) -> None:
        self.by, self.tau = by, tau
        self.fitted: dict[str, float] = {}
        self.by_class: dict[str, Tensor] = {}

    def fit(self, validation: AggregationBatch) -> None:
        """Compute each teacher's weight, or its scores per class.

        Raises:
            UsageError: ``fixed`` without weights, all weights are 0, or ``class`` in a task without scores
                per class.
        """
        if self.by == "class":
            self.by_class = _class_scores(validation)
            return
        declared = validation.declared_weights
        if self.by == "fixed" and declared is None:
            raise UsageError(
                "no teacher has a weight",
                where="strategy weighted, by: fixed",
                hint="set weight: for the teachers, or use by: validation",
            )
        if declared is not None and self.by != "validation":
            weights = declared.double()
        elif validation.task.primary.higher_is_better:
            weights = torch.softmax(torch.tensor(validation.scores, dtype=torch.float64) / self.tau, dim=0)
        else:
            weights = 1 / _mean_errors(validation).clamp(min=SMALLEST_ERROR)
        if weights.sum() <= 0:
            raise UsageError(
                "every teacher's weight is 0",
                where="teachers",
                hint="set weight: of at least one teacher above 0",
            )
        self.fitted = dict(zip(validation.teacher_names, (weights / weights.sum()).tolist(), strict=True))

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample; ``[K, B, *]`` with ``by: class``."""
        if self.by == "class":
            pairs = zip(batch.outputs, batch.teacher_names, strict=True)
            scores = [_expected_score(batch, output, self.by_class[name]) for output, name in pairs]
            return torch.softmax(torch.stack(scores) / self.tau, dim=0)
        first = batch.outputs[0]
        per_teacher = torch.tensor([self.fitted[name] for name in batch.teacher_names], device=first.device)
        return per_teacher[:, None].expand(-1, len(first))


def _mean_errors(validation: AggregationBatch) -> Tensor:
    """Return each teacher's mean error ``[K]`` over the labels of classes that it knows."""
    labeled = validation.task.labeled(validation.target)  # type: ignore[arg-type]
    usage_mask = validation.usage_mask & labeled
    error = torch.where(usage_mask, validation.error.double(), 0).flatten(1)
    return error.sum(dim=1) / usage_mask.flatten(1).sum(dim=1).clamp(min=1)


def _class_scores(validation: AggregationBatch) -> dict[str, Tensor]:
    """Return each teacher's score of each class ``[C]``; its mean score if the class is missing."""
    scores = validation.class_scores
    if scores is None:
        raise UsageError(
            "this task has no scores per class",
            where="strategy weighted, by: class",
            hint="use by: validation",
        )
    filled = torch.where(scores.isnan(), scores.nanmean(dim=1, keepdim=True), scores).nan_to_num().float()
    return dict(zip(validation.teacher_names, filled, strict=True))


def _expected_score(batch: AggregationBatch, output: Tensor, scores: Tensor) -> Tensor:
    """Return ``sum_c p(c) score_c`` of each element: ``[B, C, *]`` and ``[C]`` -> ``[B, *]``."""
    probabilities = batch.task.to_averageable(output)
    return torch.einsum("bc...,c->b...", probabilities, scores.to(probabilities))
