"""The rows of a reinforced data set: recorded outputs, bit for bit, under names that others understand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.store.row_format import VALUES, Layout

NAMES = {
    "largest": "max_logit",
    "distance": "logits",
    "index": "classes",
    "log_p": "log_p",
    "rest": "rest",
}
"""Name in the data set of each field of a recorded row."""

MEANINGS = {
    "max_logit": "the largest logit, which was subtracted from `logits`",
    "logits": "logits; their softmax (for independent labels, their sigmoid) gives the probabilities",
    "classes": "numbers of the classes with the largest probabilities, largest first",
    "log_p": "natural logarithms of the probabilities of `classes`",
    "rest": "probability of all other classes together",
    "values": "predicted values",
}


@dataclass(frozen=True)
class Block:
    """Some consecutive rows of a data set, all of one split and one view.

    Attributes:
        split: name of the split.
        view: number of the view.
        first: index in the split of the first sample.
        ids: sample ids.
        labels: label of each sample, ``[B]`` or ``[B, *]``.
        is_labeled: which samples have one, ``[B]``.
        classes: names of class numbers, if a label is one; else none.
        affine: map from view to sample in coordinates from -1 to 1, ``[B, 2, 3]``; None: untouched samples.
        partners: id of the sample that each one is mixed with, and own share; None: not mixed.
        outputs: fields of the outputs of each teacher, by prefix; see `named_fields`.
    """

    split: str
    view: int
    first: int
    ids: tuple[str, ...]
    labels: NDArray[Any]
    is_labeled: NDArray[np.bool_]
    classes: Sequence[str]
    affine: NDArray[np.float32] | None
    partners: tuple[tuple[str, ...], NDArray[np.float32]] | None
    outputs: dict[str, dict[str, NDArray[Any]]]

    def label(self, row: int) -> Any:
        """Return a label as a number or as nested lists of numbers; None: not labeled."""
        return self.labels[row].tolist() if self.is_labeled[row] else None

    def label_name(self, row: int) -> str | None:
        """Return the name of the class of a sample; None: not labeled, or not a single class."""
        return self.classes[int(self.labels[row])] if self.classes and self.is_labeled[row] else None


class ShardWriter(Protocol):
    """Writes the blocks of one shard, within a ``with`` block."""

    def write(self, block: Block) -> None:
        """Add the rows of a block."""

    def close(self) -> None:
        """Complete the file."""


class ShardFormat(Protocol):
    """A file format of shards."""

    ending: str

    def open(self, path: Path) -> ShardWriter:
        """Return the writer of a new shard."""


def named_fields(layout: Layout, rows: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return recorded rows as arrays ``[B, *]`` by name.

    Args:
        layout: layout of the rows.
        rows: recorded rows, ``[B]`` or ``[B, C, *]``.
    """
    if rows.dtype.names is None:
        return {"values" if layout.kind == VALUES else "logits": np.ascontiguousarray(rows)}
    return {NAMES[name]: np.ascontiguousarray(rows[name]) for name in rows.dtype.names}


def describe_fields(layout: Layout) -> list[dict[str, Any]]:
    """Return name, type and shape of each field, and its name in recorded rows (empty: the whole row)."""
    dtype = layout.dtype
    if dtype.base.names is None:
        return [_field("values" if layout.kind == VALUES else "logits", "", dtype)]
    return [_field(NAMES[name], name, dtype[name]) for name in dtype.base.names]


def _field(name: str, recorded_as: str, dtype: np.dtype[Any]) -> dict[str, Any]:
    shape = list(dtype.shape)
    return {"name": name, "recorded_as": recorded_as, "dtype": dtype.base.name, "shape": shape}
