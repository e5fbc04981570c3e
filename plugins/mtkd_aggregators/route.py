"""Choose teachers by a metadata column of the data, such as the source of a sample."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtkd_cli.errors import UsageError, nearest_or_all
from mtkd_cli.interfaces import AggregationBatch


class Route:
    """``w_k ∝ 1`` for the teachers that the map lists for the sample's value, else 0.

    A value that is not in the map uses all teachers with equal weights.

    Args:
        by: metadata column of the data.
        map: teacher name, or list of names, for each value of the column.
    """

    def __init__(self, by: str, map: dict[str, Any]) -> None:
        self.by = by
        self.map = {str(value): _as_names(names) for value, names in map.items()}

    def fit(self, validation: AggregationBatch) -> None:
        """Check the column and the teacher names.

        Raises:
            UsageError: the data has no such column, or the map contains an unknown teacher.
        """
        self._column(validation)
        for value, names in self.map.items():
            for name in names:
                if name not in validation.teacher_names:
                    raise UsageError(
                        f"route maps {value!r} to {name!r}, which is not a teacher",
                        where="strategy.map",
                        hint=nearest_or_all(name, validation.teacher_names),
                    )

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``."""
        all_teachers = batch.teacher_names
        chosen = [self.map.get(value, all_teachers) for value in self._column(batch)]
        # [K][B], columns sum to 1
        rows = [[(name in names) / len(names) for names in chosen] for name in all_teachers]
        return torch.tensor(rows, device=batch.outputs[0].device)

    def _column(self, batch: AggregationBatch) -> list[str]:
        if self.by not in batch.metadata:
            raise UsageError(
                f"the data has no metadata column {self.by!r}",
                where="strategy.by",
                hint=nearest_or_all(self.by, batch.metadata),
            )
        return [str(value) for value in batch.metadata[self.by]]


def _as_names(names: Any) -> tuple[str, ...]:
    """Return the teacher names of one map entry, without duplicates."""
    as_list = names if isinstance(names, list) else [names]
    if not as_list or not all(isinstance(name, str) for name in as_list):
        raise UsageError(
            f"{names!r} is not a teacher name",
            where="strategy.map",
            hint="give the name of a teacher, or a list of names",
        )
    return tuple(dict.fromkeys(as_list))
