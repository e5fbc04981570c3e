"""The best teacher by validation score, alone: what every ensemble must beat."""

from __future__ import annotations

from torch import Tensor

from mtkd_aggregators.chosen import chosen
from mtkd_cli.interfaces import AggregationBatch


class Best:
    """``w_k = 1`` for the teacher with the best validation score, else 0.

    Equal scores are ordered by the validation loss, see `AggregationBatch.ranking`. A sample on which
    the best teacher is not heard has the best of those that are.
    """

    def __init__(self) -> None:
        self.best_first: tuple[str, ...] = ()

    def fit(self, validation: AggregationBatch) -> None:
        """Keep the teachers' names, the best first."""
        self.best_first = tuple(validation.teacher_names[k] for k in validation.ranking)

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``; ``[K, B, *]`` if teachers are silenced."""
        return chosen(batch, self.best_first, lambda _: 0.0)
