"""Outputs of an exported recording, by sample id: decoded, or recorded again with every bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.dataset import Split
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Model, PrecomputedOutputs
from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers.prediction_keys import match_samples, row_text

Rows = slice | NDArray[np.int64]

OutputFunction = Callable[[Split, Rows, int], Tensor]
"""Function from a split, its rows and the number of a view to a teacher's outputs, ``[B, C, *]``."""

Encode = Callable[[Split, slice, Tensor], NDArray[np.generic]]
"""Function from a split, its rows and their outputs ``[B, C, *]`` to the rows to record."""


@dataclass(frozen=True)
class _Parts:
    """The rows of a recording, which has one or more layouts."""

    predictions: PrecomputedOutputs

    @property
    def layouts(self) -> list[Layout]:
        """The layout of each part."""
        return [Layout.from_dict(part.layout) for part in self.predictions.recorded]

    def rows_in(self, rows: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return for each part: which of ``rows [B]`` are in it, and their rows in the part."""
        ends = np.cumsum([len(part.rows) for part in self.predictions.recorded])
        part_of = np.searchsorted(ends, rows, side="right")  # [B]
        starts = np.concatenate([[0], ends])
        chosen = [np.flatnonzero(part_of == part) for part in range(len(ends))]
        return [(index, rows[index] - starts[part]) for part, index in enumerate(chosen)]

    def decode(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the outputs of some rows, ``[B, C, *]``."""
        outputs: Tensor | None = None
        for layout, part, (index, own) in zip(
            self.layouts, self.predictions.recorded, self.rows_in(rows), strict=True
        ):
            if len(index):
                decoded = layout.decode(part.rows[own])
                outputs = decoded.new_empty(len(rows), *decoded.shape[1:]) if outputs is None else outputs
                outputs[torch.from_numpy(index)] = decoded.to(outputs)
        return torch.empty(0, *self.layouts[0].shape) if outputs is None else outputs


def recorded_by_id(
    predictions: PrecomputedOutputs, rows_of: Mapping[str, NDArray[np.int64]], where: str, on_nan: str
) -> OutputFunction:
    """Return a function ``(split, rows, view) -> outputs`` for an exported recording.

    Args:
        predictions: the recording; its outputs are in the task's form.
        rows_of: row of each sample by split name, see `match_samples`.
        where: the teacher, used in messages.
        on_nan: ``store.on_nan`` of the recipe.

    Raises:
        DataError: the returned function raises it for missing outputs, unless ``on_nan`` is ``drop``.
    """
    parts = _Parts(predictions)

    def look_up(split: Split, rows: Rows, number: int) -> Tensor:
        file_rows = rows_of[split.name][rows]
        output = parts.decode(file_rows)
        gaps = has_nonfinite(output)
        if on_nan == "error" and gaps.any():
            row = int(file_rows[int(gaps.nonzero()[0])])
            raise DataError(
                f"the recorded output for {predictions.keys[row]!r} is missing",
                where=f"{where}, {row_text(predictions, row)}",
                hint="set store.on_nan: drop to ignore the teacher on such samples",
            )
        return output

    return look_up


def encode_recorded(model: Model, layout: Layout, split: Split, where: str) -> Encode | None:
    """Return a function ``(split, rows, outputs) -> rows`` that keeps recorded rows in the same layout.

    Rows in another layout are encoded again. None: the teacher is not an exported recording.

    Args:
        model: a teacher.
        layout: layout in which the recipe records it.
        split: split on which outputs will be needed.
        where: the teacher, used in messages.

    Raises:
        UsageError: the recording lacks classes that the recipe needs.
    """
    predictions = model.predictions
    if predictions is None or not predictions.recorded:
        return None
    rows_of, parts = match_samples(predictions, [split], where), _Parts(predictions)
    for own, (index, _) in zip(parts.layouts, parts.rows_in(rows_of[split.name]), strict=True):
        if len(index) and own.top_k is not None and (layout.top_k is None or layout.top_k > own.top_k):
            raise UsageError(
                f"the recording has the {own.top_k} largest classes only; this recipe records "
                f"{layout.top_k or 'all'}",
                where=f"{where}, {predictions.file}",
                hint=f"set store.top_k: {own.top_k}, with loss.temperature: 1",
            )

    def encode(split: Split, rows: slice, outputs: Tensor) -> NDArray[np.generic]:
        encoded = layout.encode(outputs)
        found = parts.rows_in(rows_of[split.name][rows])
        for own, part, (index, own_rows) in zip(parts.layouts, predictions.recorded, found, strict=True):
            if own == layout:
                encoded[index] = part.rows[own_rows]
        return encoded

    return encode
