"""Per sample: more weight for teachers that are closer to the label (CA-MKD)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import AggregationBatch


class Confidence:
    """``w_k = (1 - softmax_k(error_k)) / (K - 1)``, with the error against the label; K = 1: 1.

    On an unlabeled sample each teacher gets its mean weight over the labeled validation samples, which no
    teacher was fitted on. Weights from the teachers' own confidence would favor a confidently wrong teacher.
    """

    def __init__(self) -> None:
        self.mean_weights: dict[str, float] = {}

    def fit(self, validation: AggregationBatch) -> None:
        """Compute each teacher's mean weight over the labeled samples."""
        labeled = validation.labeled
        if labeled is None or not labeled.any():
            raise DataError("confidence needs labeled samples", where="strategy", hint="use entropy or mean")
        # keep the labeled elements: [K, B, *] -> [K, N]
        usage_mask = validation.usage_mask[:, labeled]
        weights = _weights_from_errors(validation.error[:, labeled].double(), usage_mask)
        means = weights.sum(dim=1) / usage_mask.sum(dim=1).clamp(min=1)
        means = means / means.sum()
        self.mean_weights = dict(zip(validation.teacher_names, means.tolist(), strict=True))

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B, *]``."""
        if batch.labeled is None:
            raise LookupError("labels")
        weights = _weights_from_errors(batch.error, batch.usage_mask)
        mean_weights = torch.tensor(
            [self.mean_weights[name] for name in batch.teacher_names], device=weights.device
        )
        # [K] -> [K, 1, *], to broadcast over samples and pixels
        mean_weights = mean_weights.to(weights.dtype).view(-1, *(1,) * batch.labeled.dim())
        return torch.where(batch.labeled, weights, mean_weights)


def _weights_from_errors(error: Tensor, usage_mask: Tensor) -> Tensor:
    """Return weights ``[K, B, *]`` from errors ``[K, B, *]``; 0 where ``usage_mask [K, B, *]`` is False."""
    others = usage_mask.sum(dim=0) - 1
    share = torch.softmax(error.masked_fill(~usage_mask, -torch.inf), dim=0)
    weights = torch.where(others > 0, (1 - share) / others.clamp(min=1), 1.0)
    return torch.where(usage_mask, weights, 0.0).nan_to_num(nan=0.0)
