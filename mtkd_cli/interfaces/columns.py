"""Names for the columns of a task's statistics."""

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

    def pack(self, **by_name: Tensor) -> Tensor:
        """Return statistics ``[N, S]`` from named columns: ``[N]`` for a single column, else ``[N, width]``.

        Raises:
            ValueError: a name is missing or unknown, or a tensor has the wrong shape.
        """
        import torch

        if by_name.keys() != {*self.single, *self.wide}:
            raise ValueError(
                f"the columns are {', '.join((*self.single, *self.wide))}; given: {', '.join(by_name)}"
            )
        single = [by_name[name].unsqueeze(1) for name in self.single]
        packed = torch.cat([*single, *(by_name[name] for name in self.wide)], dim=1)
        self._check(packed)
        return packed

    def unpack(self, statistics: Tensor) -> dict[str, Tensor]:
        """Return the columns of statistics ``[N, S]`` by name, in the shapes of `pack`.

        Raises:
            ValueError: the statistics have the wrong number of columns.
        """
        self._check(statistics)
        by_name = {name: statistics[:, column] for column, name in enumerate(self.single)}
        start = len(by_name)
        for name, width in self.wide.items():
            by_name[name] = statistics[:, start : start + width]
            start += width
        return by_name

    def _check(self, statistics: Tensor) -> None:
        if statistics.dim() != 2 or statistics.shape[1] != len(self):
            raise ValueError(
                f"statistics of shape {tuple(statistics.shape)}; expected {len(self)} columns "
                f"({', '.join((*self.single, *self.wide))})"
            )
