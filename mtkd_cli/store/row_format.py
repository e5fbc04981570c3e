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
from mtkd_cli.recipe.schema import Recipe

SHARD = 1024
"""Most samples in a shard. Batches end at its borders, so where it was resumed changes nothing."""

SHARD_BYTES = 2**26
"""Bytes that a shard has at most, if it has more than one sample: it is in memory while it is recorded."""

FP16_LIMIT = 65504.0

NUMBERS = {"fp16": np.float16, "fp32": np.float32, "fp64": np.float64}

CLASSES, LABELS, VALUES = "classes", "labels", "values"
"""What outputs are: logits of one class out of C, of C labels that do not exclude each other, or values."""


def kept_of(recipe: Recipe, task: Task) -> dict[str, Any]:
    """Return the number format, the classes and the kind of outputs that a recipe has recorded.

    By default logits are kept in fp16, values in fp32. A few classes are enough only where the loss reads
    nothing but probabilities at temperature 1.
    """
    kind = VALUES if not task.logits else CLASSES if task.over_classes else LABELS
    own = task.precision or ("fp32" if kind == VALUES else "fp16")
    whole = recipe.loss.temperature != 1 or recipe.calibrate or not task.plain_logits
    return {
        "precision": own if recipe.store.precision == "auto" else recipe.store.precision,
        "top_k": (None if whole else task.top_k) if recipe.store.top_k == "auto" else recipe.store.top_k,
        "kind": kind,
    }


@dataclass(frozen=True)
class Layout:
    """How one row is kept: all its numbers, or the ``top_k`` largest classes and the mass of the rest.

    Logits of classes in fp16 are kept as their largest, in fp32, and the distances to it: a constant that is
    added to all logits of a row costs no digits.

    Attributes:
        shape: the outputs of one sample, ``(C, *)``.
        precision: ``fp16``, ``fp32`` or ``fp64``.
        top_k: classes that are kept, at each place; None: all.
        kind: ``classes``, ``labels`` or ``values``; empty in arrays of earlier versions, which are not read.
    """

    shape: tuple[int, ...]
    precision: str
    top_k: int | None = None
    kind: str = VALUES

    @classmethod
    def of(cls, shape: tuple[int, ...], recipe: Recipe, task: Task) -> Layout:
        """Return the layout that a recipe asks for, the task's own where it leaves it open."""
        kept = kept_of(recipe, task)
        top_k = kept["top_k"] if kept["top_k"] and kept["top_k"] < shape[0] else None
        return cls(shape, kept["precision"], top_k, kept["kind"])

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Layout:
        """Return the layout that `as_dict` gave."""
        return cls(tuple(facts["shape"]), facts["precision"], facts["top_k"], facts.get("kind", ""))

    def as_dict(self) -> dict[str, Any]:
        """Return the layout as JSON has it."""
        kind = {"kind": self.kind} if self.kind else {}
        return {"shape": list(self.shape), "precision": self.precision, "top_k": self.top_k, **kind}

    @property
    def is_relative(self) -> bool:
        """Whether logits are kept as distances to the largest."""
        return self.kind == CLASSES and self.precision == "fp16" and self.top_k is None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one row."""
        number, places = NUMBERS[self.precision], self.shape[1:]
        if self.is_relative:
            return np.dtype([("largest", np.float32, places), ("distance", number, self.shape)])
        if self.top_k is None:
            return np.dtype((number, self.shape))
        index = np.uint8 if self.shape[0] <= 256 else np.int32
        kept = (*places, self.top_k)
        rest = np.float32 if len(self.shape) == 1 else number
        return np.dtype([("index", index, kept), ("log_p", number, kept), ("rest", rest, places)])

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

    def encode(self, output: Tensor) -> NDArray[Any]:
        """Return ``[B, C, *]`` outputs as rows.

        Raises:
            OverflowError: values that the number format does not hold.
        """
        if self.top_k is not None:
            return self._encode_top_k(output, self.top_k)
        if self.is_relative:
            rows = np.zeros(len(output), dtype=self.dtype)
            largest = output.amax(dim=1, keepdim=True)  # [B, 1, *]
            rows["largest"] = largest[:, 0].numpy()
            rows["distance"] = (output - largest).clamp(min=-FP16_LIMIT).numpy()
            return rows
        values = output.numpy()
        if self.precision == "fp16":
            if self.kind == VALUES and (abs(values) > FP16_LIMIT).any():
                raise OverflowError(f"fp16 holds numbers up to {FP16_LIMIT:g}")
            values = np.clip(values, -FP16_LIMIT, FP16_LIMIT)  # of labels: their probabilities are 0 and 1
        return values.astype(NUMBERS[self.precision])

    def _encode_top_k(self, output: Tensor, top_k: int) -> NDArray[Any]:
        log_p, index = torch.log_softmax(output.double(), dim=1).movedim(1, -1).topk(top_k, dim=-1)
        rows = np.zeros(len(output), dtype=self.dtype)
        rows["index"], rows["log_p"] = index.numpy(), log_p.clamp(min=-FP16_LIMIT).numpy()
        rows["rest"] = (1 - log_p.exp().sum(dim=-1)).clamp(min=0).numpy()
        return rows

    def decode(self, rows: NDArray[Any]) -> Tensor:
        """Return rows as ``[B, C, *]`` float32 (``fp64``: float64); of top-k rows log-probabilities.

        What top-k rows do not keep shares the rest evenly.
        """
        if self.is_relative:
            largest, distance = (
                torch.from_numpy(rows[name].astype(np.float32)) for name in ("largest", "distance")
            )
            return largest.unsqueeze(1) + distance
        if self.top_k is None:
            wanted = np.float64 if self.precision == "fp64" else np.float32
            return torch.from_numpy(np.asarray(rows).astype(wanted))
        classes = self.shape[0]
        spread = torch.from_numpy(rows["rest"].astype(np.float32)) / (classes - self.top_k)
        logits = spread.clamp(min=1e-30).log()[..., None].repeat(*(1,) * spread.dim(), classes)
        index = torch.from_numpy(rows["index"].astype(np.int64))
        kept = torch.from_numpy(rows["log_p"].astype(np.float32))
        return logits.scatter(-1, index, kept).movedim(-1, 1)

    def to_comparable(self, output: Tensor) -> Tensor:
        """Return the quantities that outputs ``[B, C, *]`` are compared by: probabilities, or values."""
        if self.kind == CLASSES:
            return output.double().softmax(dim=1)
        return output.double().sigmoid() if self.kind == LABELS else output.double()
