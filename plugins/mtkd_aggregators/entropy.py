"""Per sample and without labels, the surer a teacher is, the more it counts (EBKD)."""

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class Entropy:
    """``w_k = (1 - H_k / sum_j H_j) / (K - 1)``; K = 1: 1; where all are sure: 1/K.

    H is the task's uncertainty (for classification the entropy at T = 1 over the log of the
    class count). A teacher that is confidently wrong is rewarded: prefer
    ``confidence`` where a teacher may be bad.
    """

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B, *]``."""
        unsure = batch.uncertainty
        teachers = len(unsure)
        if teachers == 1:
            return torch.ones_like(unsure)
        total = unsure.sum(dim=0)
        tiny = torch.finfo(unsure.dtype).tiny
        share = unsure / total.clamp(min=tiny)
        return torch.where(total >= tiny, (1 - share) / (teachers - 1), 1 / teachers)
