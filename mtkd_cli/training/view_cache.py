"""Keep what each view of the training samples gives, so that a step only selects its rows.

Views are functions of a seed, the sample and the view number: every candidate sees the same ones, and the
epochs cycle through recorded views. Where a whole view is small, it is computed once, in blocks of samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.distributed.devices import to_device

MAX_VIEW = 32 * 2**20
"""Largest number of bytes of one tensor that is kept."""
MAX_BYTES = 128 * 2**20
"""Largest number of bytes of all tensors that are kept; the one that was made first is dropped first."""
BLOCK = 256
"""Number of samples whose rows are computed at once."""

Key = tuple[str, int]


@dataclass
class ViewCache:
    """Tensors of all training samples, by what they are and the number of the view.

    Attributes:
        refused: what is too large to be kept.
    """

    refused: set[str] = field(default_factory=set)
    _kept: dict[Key, Tensor] = field(default_factory=dict)

    def rows(
        self,
        key: Key,
        indices: NDArray[np.int64],
        samples: int,
        compute: Callable[[NDArray[np.int64]], Tensor],
    ) -> Tensor:
        """Return the rows of some samples, ``[B, *]``.

        Args:
            key: what the rows are, and the number of the view.
            indices: the samples, ``[B]``.
            samples: number of all samples.
            compute: function from indices to rows; a row does not depend on the other indices.
        """
        if key[0] in self.refused:
            return compute(indices)
        whole = self._kept.get(key)
        if whole is None:
            first = compute(np.arange(min(BLOCK, samples)))
            size = first.nbytes // len(first) * samples
            if size > MAX_VIEW or not first.is_contiguous() or first.requires_grad:
                self.refused.add(key[0])
                return compute(indices)
            blocks = (np.arange(start, min(start + BLOCK, samples)) for start in range(BLOCK, samples, BLOCK))
            whole = torch.cat([first, *map(compute, blocks)])
            self._make_room(whole.nbytes)
            self._kept[key] = whole
        return whole.index_select(0, to_device(torch.from_numpy(indices), whole.device))

    def _make_room(self, size: int) -> None:
        used = sum(tensor.nbytes for tensor in self._kept.values())
        while self._kept and used + size > MAX_BYTES:
            used -= self._kept.pop(next(iter(self._kept))).nbytes
