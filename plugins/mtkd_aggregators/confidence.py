"""Per sample, the nearer a teacher is to the label, the more it counts (CA-MKD)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import AggregationBatch


class Confidence:
    """``w_k = (1 - softmax_k(error_k)) / (K - 1)``, error against the label; K = 1: 1.

    A sample without a label gives each teacher its mean weight over the labelled validation
    samples, which no teacher was fitted on: by its own confidence, a teacher that is
    confidently wrong would win there.
    """

    def __init__(self) -> None:
        self.usual: dict[str, float] = {}

    def fit(self, validation: AggregationBatch) -> None:
        """Keep each teacher's mean weight over the labelled samples."""
        labelled = validation.labelled
        if labelled is None or not labelled.any():
            raise DataError("confidence needs labelled samples", where="strategy", hint="use entropy or mean")
        heard = validation.heard[:, labelled]
        weights = _by_error(validation.error[:, labelled].double(), heard)
        means = weights.sum(dim=1) / heard.sum(dim=1).clamp(min=1)
        means = means / means.sum()
        self.usual = dict(zip(validation.teacher_names, means.tolist(), strict=True))

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B, *]``."""
        if batch.labelled is None:
            raise LookupError("labels")
        weights = _by_error(batch.error, batch.heard)
        usual = torch.tensor([self.usual[name] for name in batch.teacher_names], device=weights.device)
        usual = usual.to(weights.dtype).view(-1, *(1,) * batch.labelled.dim())
        return torch.where(batch.labelled, weights, usual)


def _by_error(error: Tensor, heard: Tensor) -> Tensor:
    """Return weights ``[K, B, *]`` from errors ``[K, B, *]``, over the teachers that are heard."""
    others = heard.sum(dim=0) - 1
    share = torch.softmax(error.masked_fill(~heard, -torch.inf), dim=0)
    weights = torch.where(others > 0, (1 - share) / others.clamp(min=1), 1.0)
    return torch.where(heard, weights, 0.0).nan_to_num(nan=0.0)
