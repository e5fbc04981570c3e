"""Only the teacher with the best validation score: what every ensemble must beat."""

from __future__ import annotations

from torch import Tensor

from mtkd_aggregators.rank_weights import rank_weights
from mtkd_cli.interfaces import AggregationBatch


class Best:
    """``w_k = 1`` for the teacher with the best validation score, else 0.

    Ties are broken by the validation loss, see `AggregationBatch.ranking`. A sample on which the best
    teacher is ignored gets the next best one.
    """

    def __init__(self) -> None:
        self.best_first: tuple[str, ...] = ()

    def fit(self, validation: AggregationBatch) -> None:
        """Sort the teachers' names, best first."""
        self.best_first = tuple(validation.teacher_names[k] for k in validation.ranking)

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``; ``[K, B, *]`` if some teachers may be ignored."""
        return rank_weights(batch, self.best_first, lambda _: 0.0)
