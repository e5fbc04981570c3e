"""Per sample, without labels: more weight for confident teachers (EBKD)."""

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class Entropy:
    """``w_k = (1 - H_k / sum_j H_j) / (K - 1)``; K = 1: 1; if all are certain: 1/K.

    H is the task's uncertainty (for classification the entropy at T = 1, divided by the log of the number of
    classes). A confidently wrong teacher gets a large weight: prefer ``confidence`` if a teacher may be bad.
    """

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B, *]``."""
        uncertainty = batch.uncertainty
        teachers = len(uncertainty)
        if teachers == 1:
            return torch.ones_like(uncertainty)
        total = uncertainty.sum(dim=0)
        tiny = torch.finfo(uncertainty.dtype).tiny
        share = uncertainty / total.clamp(min=tiny)
        return torch.where(total >= tiny, (1 - share) / (teachers - 1), 1 / teachers)
