"""The teacher is chosen by what the data say of a sample: its source, its group."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtkd_cli.errors import UsageError, nearest_or_all
from mtkd_cli.interfaces import AggregationBatch


class Route:
    """``w_k ∝ 1`` for the teachers that the map names for the sample's value, else 0.

    A value that is not in the map asks all teachers alike.

    Args:
        by: a metadata column of the data.
        map: values of the column to a teacher's name, or to a list of names.
    """

    def __init__(self, by: str, map: dict[str, Any]) -> None:
        self.by = by
        self.map = {str(value): _names(names) for value, names in map.items()}

    def fit(self, validation: AggregationBatch) -> None:
        """Refuse a column or a teacher that there is not."""
        self._column(validation)
        for value, names in self.map.items():
            for name in names:
                if name not in validation.teacher_names:
                    raise UsageError(
                        f"route sends {value!r} to {name!r}, which is no teacher",
                        where="strategy.map",
                        hint=nearest_or_all(name, validation.teacher_names),
                    )

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``."""
        everyone = batch.teacher_names
        asked = [self.map.get(value, everyone) for value in self._column(batch)]
        rows = [[(name in names) / len(names) for names in asked] for name in everyone]
        return torch.tensor(rows, device=batch.outputs[0].device)

    def _column(self, batch: AggregationBatch) -> list[str]:
        if self.by not in batch.metadata:
            raise UsageError(
                f"the data have no column {self.by!r} to route by",
                where="strategy.by",
                hint=nearest_or_all(self.by, batch.metadata),
            )
        return [str(value) for value in batch.metadata[self.by]]


def _names(names: Any) -> tuple[str, ...]:
    """Return the teachers that one entry of the map names, each once."""
    listed = names if isinstance(names, list) else [names]
    if not listed or not all(isinstance(name, str) for name in listed):
        raise UsageError(
            f"{names!r} is no teacher", where="strategy.map", hint="give a teacher's name, or a list of names"
        )
    return tuple(dict.fromkeys(listed))
