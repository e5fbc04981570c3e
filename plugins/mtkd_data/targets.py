"""The labels of a table: classes or values, by what the task needs. An empty cell is a missing label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.reading.table_encoding import fits, number
from mtkd_cli.reading.tables import Frame


def names_and_targets(
    task: str, frames: Mapping[str, Frame], columns: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, NDArray[Any]]]:
    """Return the names of the classes or values, and the labels of each table.

    Args:
        task: ``classification`` takes one column of class names, numbers ``[N]``; others take a
            number for each column, ``[N, T]``; ``multilabel`` 0 or 1.
        frames: the tables, those with labels.
        columns: which columns hold the labels.

    Raises:
        DataError: a label that is none; its row is named.
    """
    if task != "classification":
        return tuple(columns), {name: values(frame, columns, task) for name, frame in frames.items()}
    if len(columns) != 1:
        raise UsageError("classification has one target column", "data.target", "name one column")
    classes = _in_order({cell for cell in frames["train"].column(columns[0], "target") if cell})
    if len(classes) < 2:
        raise DataError(
            f"the column {columns[0]!r} has {len(classes)} classes", str(frames["train"].file), "name another"
        )
    number = {"": -1, **{name: place for place, name in enumerate(classes)}}
    found = {}
    for split, frame in frames.items():
        cells = frame.column(columns[0], "target")
        for row, cell in enumerate(cells):
            if cell not in number:
                raise DataError(
                    f"the class {cell!r} is in no training row", frame.where(row, columns[0]), "mend the row"
                )
        found[split] = np.array([number[cell] for cell in cells], dtype=np.int64)
    return classes, found


def values(frame: Frame, columns: Sequence[str], task: str) -> NDArray[Any]:
    """Return the numbers in some columns ``[N, T]``, NaN where a cell is empty; values in float64."""
    parts = [frame.column(column, "target") for column in columns]
    found = np.full(
        (len(frame), len(columns)), np.nan, dtype=np.float32 if task == "multilabel" else np.float64
    )
    for place, (column, cells) in enumerate(zip(columns, parts, strict=True)):
        for row, cell in enumerate(cells):
            if not cell:
                continue
            value = number(cell)
            if value is None or not fits(value):
                what = "is no number" if value is None else "is no finite number"
                raise DataError(
                    f"the target {cell!r} {what}",
                    where=frame.where(row, column),
                    hint="mend it, or leave the cell empty: then the sample has no label",
                )
            if task == "multilabel" and value not in (0, 1):
                raise DataError(
                    f"the target {cell!r} is neither 0 nor 1",
                    frame.where(row, column),
                    "1: the class is there",
                )
            found[row, place] = value
    return found


def _in_order(names: set[str]) -> tuple[str, ...]:
    """Return class names sorted, by value if all are numbers."""
    if all(number(name) is not None for name in names):
        return tuple(sorted(names, key=lambda name: (number(name), name)))
    return tuple(sorted(names))
