"""From the weakest teacher to the strongest over the run (MTPD)."""

from __future__ import annotations

from torch import Tensor

from mtkd_aggregators.chosen import chosen
from mtkd_cli.interfaces import AggregationBatch


class Progressive:
    """Teachers in the order of their validation scores; the weight moves along it during the run.

    At progress x (0 to 1) the teacher of rank r counts ``max(0, 1 - |x (K - 1) - r|)``. Equal scores
    are ordered by the validation loss, see `AggregationBatch.ranking`. K and r count the teachers that
    are heard on a sample. The ensemble it is measured as is the last one: the strongest teacher.
    """

    def __init__(self) -> None:
        self.weakest_first: tuple[str, ...] = ()

    def fit(self, validation: AggregationBatch) -> None:
        """Keep the teachers' names, the weakest first."""
        self.weakest_first = tuple(validation.teacher_names[k] for k in reversed(validation.ranking))

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``; ``[K, B, *]`` if teachers are silenced."""
        return chosen(batch, self.weakest_first, lambda count: batch.progress * (count - 1))
