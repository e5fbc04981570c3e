"""Per sample, the lower a teacher's error, the more it counts."""

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class LowestError:
    """``w_k = softmax_k(-error_k / tau)``.

    A sample without a label has the error 0 for every teacher, so there all count the same.

    Args:
        tau: softness, in units of the error.

    """

    def __init__(self, tau: float) -> None:
        self.tau = tau

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the sum over the K teachers is 1."""
        return torch.softmax(-batch.error / self.tau, dim=0)
