"""One weight per teacher: given, by its validation score, or by its score of what it says."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import AggregationBatch

SMALLEST_ERROR = 1e-12


class Weighted:
    """``w_k ∝ weight_k``, or ``softmax_k(score_k / tau)``; where a small score is good, ``1 / mean error_k``.

    A regression's errors are squared, so there a teacher counts by its inverse variance.

    Args:
        by: ``fixed`` or ``validation``; None takes ``fixed`` if the recipe gives a teacher a weight.
        tau: softness of the weights by score, in units of the score.
    """

    def __init__(self, by: str | None, tau: float) -> None:
        self.by, self.tau = by, tau
        self.fitted: dict[str, float] = {}
        self.by_class: dict[str, Tensor] = {}

    def fit(self, validation: AggregationBatch) -> None:
        """Keep each teacher's weight."""
        if self.by == "class":
            self.by_class = _class_scores(validation)
            return
        declared = validation.declared_weights
        if self.by == "fixed" and declared is None:
            raise UsageError(
                "no teacher has a weight",
                where="strategy weighted, by: fixed",
                hint="give teachers a weight:, or use by: validation",
            )
        if declared is not None and self.by != "validation":
            weights = declared.double()
        elif validation.task.primary.higher_is_better:
            weights = torch.softmax(torch.tensor(validation.scores, dtype=torch.float64) / self.tau, dim=0)
        else:
            weights = 1 / _mean_errors(validation).clamp(min=SMALLEST_ERROR)
        if weights.sum() <= 0:
            raise UsageError("every teacher's weight is 0", where="teachers", hint="raise one weight:")
        self.fitted = dict(zip(validation.teacher_names, (weights / weights.sum()).tolist(), strict=True))

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample; by class ``[K, B, *]``."""
        if self.by == "class":
            pairs = zip(batch.outputs, batch.teacher_names, strict=True)
            scores = [_score_of_said(batch, output, self.by_class[name]) for output, name in pairs]
            return torch.softmax(torch.stack(scores) / self.tau, dim=0)
        first = batch.outputs[0]
        column = torch.tensor([self.fitted[name] for name in batch.teacher_names], device=first.device)
        return column[:, None].expand(-1, len(first))


def _mean_errors(validation: AggregationBatch) -> Tensor:
    """Return each teacher's mean error ``[K]`` over the labels that it may be heard on."""
    labelled = validation.task.labelled(validation.target)  # type: ignore[arg-type]
    heard = validation.heard & labelled
    error = torch.where(heard, validation.error.double(), 0).flatten(1)
    return error.sum(dim=1) / heard.flatten(1).sum(dim=1).clamp(min=1)


def _class_scores(validation: AggregationBatch) -> dict[str, Tensor]:
    """Return each teacher's score of each class ``[C]``; of one that was not seen, its mean."""
    scores = validation.class_scores
    if scores is None:
        raise UsageError(
            "this task has no score for each class",
            where="strategy weighted, by: class",
            hint="by: validation",
        )
    filled = torch.where(scores.isnan(), scores.nanmean(dim=1, keepdim=True), scores).nan_to_num().float()
    return dict(zip(validation.teacher_names, filled, strict=True))


def _score_of_said(batch: AggregationBatch, output: Tensor, scores: Tensor) -> Tensor:
    """Return ``sum_c p(c) score_c`` of each element, ``[B, *]``."""
    shares = batch.task.averageable(output)
    return torch.einsum("bc...,c->b...", shares, scores.to(shares))
