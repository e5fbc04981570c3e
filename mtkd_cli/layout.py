"""How the rows of recorded outputs are kept: number format, top-k, and how many make a shard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.interfaces import Task
from mtkd_cli.recipe import Store

SHARD = 1024
"""Most samples in a shard. Batches end at its borders, so where it was resumed changes nothing."""

SHARD_BYTES = 2**26
"""Bytes that a shard has at most, if it has more than one sample: it is in memory while it is recorded."""

FP16_LIMIT = 65504.0


@dataclass(frozen=True)
class Layout:
    """How one row is kept: all its numbers, or the ``top_k`` largest classes and the mass of the rest.

    Attributes:
        shape: the outputs of one sample, ``(C, *)``.
        precision: ``fp16`` or ``fp32``.
        top_k: classes that are kept, at each place; None: all.
    """

    shape: tuple[int, ...]
    precision: str
    top_k: int | None = None

    @classmethod
    def of(cls, shape: tuple[int, ...], options: Store, task: Task) -> Layout:
        """Return the layout that a recipe asks for, the task's own where it leaves it open."""
        wanted = task.top_k if options.top_k == "auto" else options.top_k
        top_k = wanted if wanted and wanted < shape[0] else None
        return cls(shape, task.precision if options.precision == "auto" else options.precision, top_k)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Layout:
        """Return the layout that `as_dict` gave."""
        return cls(tuple(facts["shape"]), facts["precision"], facts["top_k"])

    def as_dict(self) -> dict[str, Any]:
        """Return the layout as JSON has it."""
        return {"shape": list(self.shape), "precision": self.precision, "top_k": self.top_k}

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one row."""
        number = np.float16 if self.precision == "fp16" else np.float32
        if self.top_k is None:
            return np.dtype((number, self.shape))
        index = np.uint8 if self.shape[0] <= 256 else np.int32
        kept = (*self.shape[1:], self.top_k)
        rest = np.float32 if len(self.shape) == 1 else number
        return np.dtype([("index", index, kept), ("log_p", number, kept), ("rest", rest, self.shape[1:])])

    @property
    def shard(self) -> int:
        """Samples in a shard."""
        return max(1, min(SHARD, SHARD_BYTES // self.dtype.itemsize))

    def shards(self, samples: int) -> int:
        """Return how many shards so many samples make."""
        return math.ceil(samples / self.shard)

    def rows_of(self, shard: int, samples: int) -> slice:
        """Return the rows of a shard."""
        return slice(shard * self.shard, min((shard + 1) * self.shard, samples))

    def encode(self, output: Tensor) -> tuple[NDArray[Any], int]:
        """Return ``[B, C, *]`` outputs as rows, and how many numbers had to be clamped to fit."""
        if self.top_k is None:
            values = output.numpy()
            if self.precision == "fp32":
                return values, 0
            clamped = np.clip(values, -FP16_LIMIT, FP16_LIMIT).astype(np.float16)
            return clamped, int((abs(values) > FP16_LIMIT).sum())
        log_p, index = torch.log_softmax(output.double(), dim=1).movedim(1, -1).topk(self.top_k, dim=-1)
        rows = np.zeros(len(output), dtype=self.dtype)
        rows["index"], rows["log_p"] = index.numpy(), log_p.clamp(min=-FP16_LIMIT).numpy()
        rows["rest"] = (1 - log_p.exp().sum(dim=-1)).clamp(min=0).numpy()
        return rows, 0

    def decode(self, rows: NDArray[Any]) -> Tensor:
        """Return rows as ``[B, C, *]`` float32; top-k rows as log-probabilities, the rest spread out."""
        if self.top_k is None:
            return torch.from_numpy(np.asarray(rows).astype(np.float32))
        classes = self.shape[0]
        spread = torch.from_numpy(rows["rest"].astype(np.float32)) / (classes - self.top_k)
        logits = spread.clamp(min=1e-30).log()[..., None].repeat(*(1,) * spread.dim(), classes)
        index = torch.from_numpy(rows["index"].astype(np.int64))
        kept = torch.from_numpy(rows["log_p"].astype(np.float32))
        return logits.scatter(-1, index, kept).movedim(-1, 1)
