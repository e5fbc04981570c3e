"""A strategy: per sample, more weight for teachers with a lower error."""

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class LowestError:
    """``w_k = softmax_k(-error_k / tau)``.

    On a sample without a label every error is 0, so all teachers have the same weight.

    Args:
        tau: softmax temperature, in units of the error.

    """

    def __init__(self, tau: float) -> None:
        self.tau = tau

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return the weights ``[K, B]``; they sum to 1 over the K teachers."""
        return torch.softmax(-batch.error / self.tau, dim=0)
