"""From the weakest teacher to the strongest during training (MTPD)."""

from __future__ import annotations

from torch import Tensor

from mtkd_aggregators.rank_weights import rank_weights
from mtkd_cli.interfaces import AggregationBatch


class Progressive:
    """Move the weight through the teachers, sorted by validation score, as training proceeds.

    At progress x (0 to 1) the teacher of rank r has the weight ``max(0, 1 - |x (K - 1) - r|)``. Ties are
    broken by the validation loss, see `AggregationBatch.ranking`. K and r count the teachers that are not
    ignored on a sample. The ensemble is evaluated at the end, x = 1: it is the strongest teacher.
    """

    def __init__(self) -> None:
        self.weakest_first: tuple[str, ...] = ()

    def fit(self, validation: AggregationBatch) -> None:
        """Sort the teachers' names, weakest first."""
        self.weakest_first = tuple(validation.teacher_names[k] for k in reversed(validation.ranking))

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``; ``[K, B, *]`` if some teachers may be ignored."""
        return rank_weights(batch, self.weakest_first, lambda count: batch.progress * (count - 1))
