"""The labels of a table: classes or values, depending on the task. An empty cell is a missing label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.reading.table_encoding import is_finite_float32, parse_number
from mtkd_cli.reading.tables import Frame


def names_and_targets(
    task: str, frames: Mapping[str, Frame], columns: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, NDArray[Any]]]:
    """Return the names of the classes or values, and the labels of each table.

    Args:
        task: ``classification`` reads one column of class names and returns class numbers ``[N]``; other
            tasks read numbers and return ``[N, T]``, for ``multilabel`` 0 or 1.
        frames: labeled tables by split.
        columns: label columns.

    Raises:
        DataError: a cell is not a valid label.
        UsageError: a classification with several label columns.
    """
    if task != "classification":
        return tuple(columns), {name: values(frame, columns, task) for name, frame in frames.items()}
    if len(columns) != 1:
        raise UsageError("classification needs exactly one target column", "data.target", "give one column")
    classes = _sort_names({cell for cell in frames["train"].column(columns[0], "target") if cell})
    if len(classes) < 2:
        raise DataError(
            f"column {columns[0]!r} has {len(classes)} classes; at least 2 are needed",
            str(frames["train"].file),
            "use another column",
        )
    index = {"": -1, **{name: i for i, name in enumerate(classes)}}
    targets = {}
    for split, frame in frames.items():
        cells = frame.column(columns[0], "target")
        for row, cell in enumerate(cells):
            if cell not in index:
                raise DataError(
                    f"class {cell!r} does not occur in the training rows",
                    frame.where(row, columns[0]),
                    "fix the row",
                )
        targets[split] = np.array([index[cell] for cell in cells], dtype=np.int64)
    return classes, targets


def values(frame: Frame, columns: Sequence[str], task: str) -> NDArray[Any]:
    """Return the numbers in T columns ``[N, T]``, NaN for empty cells.

    Multilabel targets are float32, all others float64.

    Raises:
        DataError: a cell is not a finite number, or not 0 or 1 for ``multilabel``.
    """
    cells_by_column = [frame.column(column, "target") for column in columns]
    targets = np.full(
        (len(frame), len(columns)), np.nan, dtype=np.float32 if task == "multilabel" else np.float64
    )
    for index, (column, cells) in enumerate(zip(columns, cells_by_column, strict=True)):
        for row, cell in enumerate(cells):
            if not cell:
                continue
            value = parse_number(cell)
            if value is None or not is_finite_float32(value):
                what = "is not a number" if value is None else "is not a finite number"
                raise DataError(
                    f"the target {cell!r} {what}",
                    where=frame.where(row, column),
                    hint="fix it, or leave the cell empty for an unlabeled sample",
                )
            if task == "multilabel" and value not in (0, 1):
                raise DataError(
                    f"the target {cell!r} is neither 0 nor 1",
                    frame.where(row, column),
                    "use 1 if the sample has the class, else 0",
                )
            targets[row, index] = value
    return targets


def _sort_names(names: set[str]) -> tuple[str, ...]:
    """Return the class names sorted, by value if all are numbers."""
    if all(parse_number(name) is not None for name in names):
        return tuple(sorted(names, key=lambda name: (parse_number(name), name)))
    return tuple(sorted(names))
