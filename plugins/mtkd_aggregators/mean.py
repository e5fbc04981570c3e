"""Equal weights."""

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class Mean:
    """``w_k = 1/K``."""

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, all 1/K."""
        teachers, first = len(batch.outputs), batch.outputs[0]
        return torch.full((teachers, len(first)), 1 / teachers, device=first.device)
