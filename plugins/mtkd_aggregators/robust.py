"""Strategies that are robust against a minority of bad teachers: median, trimmed mean, majority."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch

TINY = torch.finfo(torch.float32).tiny


class Median:
    """``target ∝ median_k p_k`` per class, p at T = 1; for regression the median of the values."""

    def combine(self, batch: AggregationBatch) -> Tensor:
        """Return one output ``[B, C, *]``."""
        return _as_output(batch, _averageable(batch).quantile(0.5, dim=0))


class TrimmedMean:
    """``target ∝`` the mean of ``p_k`` (or of values) per class, without the largest and the smallest.

    Args:
        trim: fraction of the teachers to leave out at each end; at least one teacher is kept.
    """

    def __init__(self, trim: float) -> None:
        self.trim = trim

    def combine(self, batch: AggregationBatch) -> Tensor:
        """Return one output ``[B, C, *]``."""
        ordered = _averageable(batch).sort(dim=0).values
        teachers = len(ordered)
        # leave out the same number at both ends: [K, B, C, *] -> [B, C, *]
        cut = min(round(self.trim * teachers), (teachers - 1) // 2)
        return _as_output(batch, ordered[cut : teachers - cut].mean(dim=0))


class Majority:
    """Equal weights for the teachers that vote with the majority, 0 for the others.

    A teacher votes for its most probable class; ignored teachers do not vote. If several classes have the
    most votes, all of them win.
    """

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B, *]``."""
        probabilities = _averageable(batch)
        votes = torch.nn.functional.one_hot(probabilities.argmax(dim=2), probabilities.shape[2])
        votes = votes * batch.usage_mask.unsqueeze(-1)
        # [K, B, *, C] -> votes per class [B, *, C]
        count = votes.sum(dim=0)
        winners = (votes * (count == count.max(dim=-1, keepdim=True).values)).sum(dim=-1).float()
        return winners / winners.sum(dim=0).clamp(min=1)


def _averageable(batch: AggregationBatch) -> Tensor:
    """Return ``[K, B, C, *]`` probabilities or values."""
    return torch.stack([batch.task.to_averageable(output) for output in batch.outputs])


def _as_output(batch: AggregationBatch, averaged: Tensor) -> Tensor:
    """Return an output ``[B, C, *]``; probabilities are scaled to sum 1, and are equal where all are 0."""
    if batch.task.over_classes:
        total = averaged.sum(dim=1, keepdim=True)
        averaged = torch.where(total > TINY, averaged / total.clamp(min=TINY), 1 / averaged.shape[1])
    return batch.task.from_averageable(averaged)
