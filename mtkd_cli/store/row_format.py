"""The storage layout of recorded outputs: number format, top-k classes, and rows per shard."""

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

MAX_SHARD_SAMPLES = 1024
"""Maximum number of samples in a shard. Batches end at shard borders, so resuming does not change outputs."""

MAX_SHARD_BYTES = 2**26
"""Maximum size of a shard of more than one sample, in bytes: it is held in memory while it is recorded."""

FP16_LIMIT = 65504.0
"""Largest finite fp16 number."""

NUMBERS = {"fp16": np.float16, "fp32": np.float32, "fp64": np.float64}

MANY_CLASSES, AUTO_TOP_K = 1000, 50
"""Number of classes from which training views have the largest classes only, and their number; measured by
docs/benchmarks/top_k.py."""

CLASSES, LABELS, VALUES = "classes", "labels", "values"
"""Kinds of outputs: logits of one class out of C, logits of C independent labels, or values."""


def storage_kind(task: Task) -> str:
    """Return the kind of a task's outputs."""
    return VALUES if not task.logits else CLASSES if task.over_classes else LABELS


def storage_options(recipe: Recipe, task: Task, split: str) -> dict[str, Any]:
    """Return number format, number of classes and kind of the outputs that a recipe records.

    By default, logits are stored in fp16 and values in fp32. All classes are stored unless the loss reads
    only probabilities at temperature 1. Then maps store a few per pixel, and the training views of very
    many classes the `AUTO_TOP_K` largest; validation and test samples always have all of these.

    Args:
        recipe: the recipe.
        task: its task.
        split: name of the split.
    """
    kind = storage_kind(task)
    own = task.precision or ("fp32" if kind == VALUES else "fp16")
    return {
        "precision": own if recipe.store.precision == "auto" else recipe.store.precision,
        "top_k": _auto_top_k(recipe, task, split) if recipe.store.top_k == "auto" else recipe.store.top_k,
        "kind": kind,
    }


def _auto_top_k(recipe: Recipe, task: Task, split: str) -> int | None:
    if recipe.loss.temperature != 1 or recipe.calibrate is True or not task.needs_probabilities_only:
        return None
    has_many = task.over_classes and not task.elements and task.outputs >= MANY_CLASSES
    return AUTO_TOP_K if has_many and split == "train" else task.top_k


@dataclass(frozen=True)
class Layout:
    """The layout of one row: all numbers, or the ``top_k`` largest classes and the probability of the rest.

    Class logits in fp16 are stored as the largest logit, in fp32, and the distances to it: a constant added
    to all logits of a row does not reduce the precision.

    Attributes:
        shape: shape of the outputs of one sample, ``(C, *)``.
        precision: ``fp16``, ``fp32`` or ``fp64``.
        top_k: number of classes stored at each position; None for all.
        kind: ``classes``, ``labels`` or ``values``; empty in arrays of earlier versions, which are not read.
    """

    shape: tuple[int, ...]
    precision: str
    top_k: int | None = None
    kind: str = VALUES

    @classmethod
    def for_recipe(cls, shape: tuple[int, ...], recipe: Recipe, task: Task, split: str = "train") -> Layout:
        """Return the layout for a split of a recipe; where it says ``auto``, the task decides.

        A teacher with more classes than the data is stored whole by default: its largest may be others.
        """
        kept = storage_options(recipe, task, split)
        top_k = kept["top_k"] if kept["top_k"] and kept["top_k"] < shape[0] else None
        if recipe.store.top_k == "auto" and not task.elements and shape[0] > task.outputs:
            top_k = None
        return cls(shape, kept["precision"], top_k, kept["kind"])

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Layout:
        """Return the layout from the result of `as_dict`."""
        return cls(tuple(facts["shape"]), facts["precision"], facts["top_k"], facts.get("kind", ""))

    def as_dict(self) -> dict[str, Any]:
        """Return the layout for JSON."""
        kind = {"kind": self.kind} if self.kind else {}
        return {"shape": list(self.shape), "precision": self.precision, "top_k": self.top_k, **kind}

    @property
    def is_relative(self) -> bool:
        """Whether logits are stored as distances to the largest."""
        return self.kind == CLASSES and self.precision == "fp16" and self.top_k is None

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of one row."""
        number, positions = NUMBERS[self.precision], self.shape[1:]
        if self.is_relative:
            return np.dtype([("largest", np.float32, positions), ("distance", number, self.shape)])
        if self.top_k is None:
            return np.dtype((number, self.shape))
        # the file's header names the type, so an array with another one is recorded again
        classes = self.shape[0]
        index = np.uint8 if classes <= 2**8 else np.uint16 if classes <= 2**16 else np.int32
        entries = (*positions, self.top_k)
        rest = np.float32 if len(self.shape) == 1 else number
        return np.dtype([("index", index, entries), ("log_p", number, entries), ("rest", rest, positions)])

    @property
    def shard_size(self) -> int:
        """Number of samples in a shard."""
        return max(1, min(MAX_SHARD_SAMPLES, MAX_SHARD_BYTES // self.dtype.itemsize))

    def shard_count(self, samples: int) -> int:
        """Return the number of shards of an array."""
        return math.ceil(samples / self.shard_size)

    def rows_of(self, shard: int, samples: int) -> slice:
        """Return the rows of a shard."""
        return slice(shard * self.shard_size, min((shard + 1) * self.shard_size, samples))

    def encode(self, output: Tensor) -> NDArray[Any]:
        """Convert outputs ``[B, C, *]`` to rows ``[B]``, or ``[B, C, *]`` if the dtype has no fields.

        Raises:
            OverflowError: the number format does not hold a value.
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
            # label logits beyond the limit have probability 0 or 1
            values = np.clip(values, -FP16_LIMIT, FP16_LIMIT)
        return values.astype(NUMBERS[self.precision])

    def _encode_top_k(self, output: Tensor, top_k: int) -> NDArray[Any]:
        # [B, C, *] -> [B, *, C] -> two of [B, *, top_k], largest first
        log_p, index = torch.log_softmax(output.double(), dim=1).movedim(1, -1).topk(top_k, dim=-1)
        rows = np.zeros(len(output), dtype=self.dtype)
        rows["index"], rows["log_p"] = index.numpy(), log_p.clamp(min=-FP16_LIMIT).numpy()
        # [B, *]: probability of all other classes together
        rows["rest"] = (1 - log_p.exp().sum(dim=-1)).clamp(min=0).numpy()
        return rows

    def decode(self, rows: NDArray[Any]) -> Tensor:
        """Convert rows to outputs ``[B, C, *]`` in float32, or float64 with precision ``fp64``.

        Top-k rows become log-probabilities; the classes that they lack share the rest equally.
        """
        if self.is_relative:
            largest, distance = (
                torch.from_numpy(rows[name].astype(np.float32)) for name in ("largest", "distance")
            )
            return largest.unsqueeze(1) + distance  # [B, 1, *] + [B, C, *]
        if self.top_k is None:
            dtype = np.float64 if self.precision == "fp64" else np.float32
            return torch.from_numpy(np.asarray(rows).astype(dtype))
        classes = self.shape[0]
        # [B, *]: probability of each class that is not stored
        share = torch.from_numpy(rows["rest"].astype(np.float32)) / (classes - self.top_k)
        # [B, *] -> [B, *, C]
        log_p = share.clamp(min=1e-30).log()[..., None].repeat(*(1,) * share.dim(), classes)
        # two of [B, *, top_k]
        index = torch.from_numpy(rows["index"].astype(np.int64))
        stored = torch.from_numpy(rows["log_p"].astype(np.float32))
        return log_p.scatter(-1, index, stored).movedim(-1, 1)  # [B, *, C] -> [B, C, *]

    def to_comparable(self, output: Tensor) -> Tensor:
        """Convert outputs ``[B, C, *]`` to comparable quantities in float64: probabilities, or values."""
        if self.kind == CLASSES:
            return output.double().softmax(dim=1)
        return output.double().sigmoid() if self.kind == LABELS else output.double()
