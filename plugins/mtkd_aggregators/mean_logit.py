"""The mean of the logits: a product of experts."""

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class MeanLogit:
    """``target = softmax(mean_k t_k / T)``. Unweighted: a teacher with large logits dominates."""

    def combine(self, batch: AggregationBatch) -> Tensor:
        """Return the mean logits ``[B, C]``."""
        return torch.stack([output.float() for output in batch.outputs]).mean(dim=0)
