"""Answers that a minority of bad teachers cannot move far: median, trimmed mean, majority."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch

TINY = torch.finfo(torch.float32).tiny


class Median:
    """``target ∝ median_k p_k``, class by class, p at T = 1."""

    def combine(self, batch: AggregationBatch) -> Tensor:
        """Return log-probabilities ``[B, C]``."""
        return _log(_probabilities(batch).quantile(0.5, dim=0))


class TrimmedMean:
    """``target ∝`` the mean of ``p_k`` without the largest and the smallest, class by class.

    Args:
        trim: share of the teachers that is left out at each end; at least one stays.
    """

    def __init__(self, trim: float) -> None:
        self.trim = trim

    def combine(self, batch: AggregationBatch) -> Tensor:
        """Return log-probabilities ``[B, C]``."""
        ordered = _probabilities(batch).sort(dim=0).values
        teachers = len(ordered)
        cut = min(round(self.trim * teachers), (teachers - 1) // 2)
        return _log(ordered[cut : teachers - cut].mean(dim=0))


class Majority:
    """The teachers that vote with the majority share the sample equally; the others are silent.

    A vote is for the most probable class. Where two classes have as many votes, both are heard.
    """

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``."""
        probabilities = _probabilities(batch)
        votes = torch.nn.functional.one_hot(probabilities.argmax(dim=-1), probabilities.shape[-1])
        count = votes.sum(dim=0)
        heard = (votes * (count == count.max(dim=-1, keepdim=True).values)).sum(dim=-1).float()
        return heard / heard.sum(dim=0)


def _probabilities(batch: AggregationBatch) -> Tensor:
    return torch.stack([output.float().softmax(dim=-1) for output in batch.outputs])


def _log(shares: Tensor) -> Tensor:
    """Return the logarithm of shares, brought to sum 1; where all are 0, of equal shares."""
    total = shares.sum(dim=-1, keepdim=True)
    shares = torch.where(total > TINY, shares / total.clamp(min=TINY), 1 / shares.shape[-1])
    return shares.clamp(min=TINY).log()
