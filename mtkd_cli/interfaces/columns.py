"""Named columns of a task's statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Columns:
    """Names of the columns of statistics ``[N, S]``, so that no function relies on their order.

    Attributes:
        single: names of one column each; these come first.
        wide: number of columns of each further name.
    """

    single: tuple[str, ...] = ()
    wide: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.single) + sum(self.wide.values())

    def pack(self, **parts: Tensor) -> Tensor:
        """Return statistics ``[N, S]`` of parts by name: ``[N]`` of a single column, else ``[N, width]``.

        Raises:
            ValueError: a part is missing, unknown or of another shape.
        """
        import torch

        if parts.keys() != {*self.single, *self.wide}:
            raise ValueError(
                f"the columns are {', '.join((*self.single, *self.wide))}; given: {', '.join(parts)}"
            )
        single = [parts[name].unsqueeze(1) for name in self.single]
        packed = torch.cat([*single, *(parts[name] for name in self.wide)], dim=1)
        self._check(packed)
        return packed

    def unpack(self, statistics: Tensor) -> dict[str, Tensor]:
        """Return the parts of statistics ``[N, S]`` by name, as `pack` takes them.

        Raises:
            ValueError: the statistics have another number of columns.
        """
        self._check(statistics)
        parts = {name: statistics[:, column] for column, name in enumerate(self.single)}
        start = len(parts)
        for name, width in self.wide.items():
            parts[name] = statistics[:, start : start + width]
            start += width
        return parts

    def _check(self, statistics: Tensor) -> None:
        if statistics.dim() != 2 or statistics.shape[1] != len(self):
            raise ValueError(
                f"statistics of shape {tuple(statistics.shape)}; expected {len(self)} columns "
                f"({', '.join((*self.single, *self.wide))})"
            )
