"""The one input of a model that comes as a finished graph: what its shape says, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import InputSpec
from mtkd_cli.interfaces.precision import at_least_float32


@dataclass(frozen=True)
class GraphInput:
    """Images, channels first or last, or rows of a table.

    Attributes:
        shape: ``(B, C, H, W)``, ``(B, H, W, C)`` or ``(B, F)``; None where the graph leaves it free.
        dtype: of its numbers.
        most: samples that it takes at once, where the graph leaves them free; None: any number.
    """

    shape: tuple[int | None, ...]
    dtype: torch.dtype = torch.float32
    most: int | None = None

    @property
    def channels_stand_last(self) -> bool:
        """Whether it takes ``(B, H, W, C)``."""
        return len(self.shape) == 4 and self.shape[1] not in (1, 3) and self.shape[3] in (1, 3)

    def spec(self, path: Path) -> InputSpec:
        """Return the input of the model in a file.

        Raises:
            DataError: its images are not square.
        """
        if len(self.shape) == 2:
            return InputSpec(size=1, raw=True)
        _, *rest = self.shape
        channels, height, width = (rest[2], *rest[:2]) if self.channels_stand_last else rest
        if height != width:
            raise DataError(
                f"the model takes images of {height} x {width}; mtkd shows square ones",
                where=str(path),
                hint="export it for a square or a free size",
            )
        return InputSpec(size=height, channels=channels, mean=(0.0,), std=(1.0,))

    def ask(self, run: Callable[[Tensor], Tensor], views: Tensor) -> Tensor:
        """Return the answers to ``[B, C, H, W]`` or ``[B, F]``, in parts where the graph limits how many."""
        last = self.channels_stand_last
        given = (views.permute(0, 2, 3, 1) if last else views).to(self.dtype).contiguous()
        count = self.shape[0] or self.most or len(given)
        parts = [
            _filled(run, given[start : start + count], self.shape[0]) for start in range(0, len(given), count)
        ]
        answer = at_least_float32(torch.cat(parts)).to(views.device)
        return answer.permute(0, 3, 1, 2) if last and answer.dim() == 4 else answer


def _filled(run: Callable[[Tensor], Tensor], part: Tensor, count: int | None) -> Tensor:
    """Return the answers to some samples, whose last stands in for those that lack to ``count``."""
    missing = 0 if count is None else count - len(part)
    whole = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])]) if missing else part
    return run(whole)[: len(part)]
