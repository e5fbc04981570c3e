"""The labels of a table: classes or values, depending on the task. A missing value is a missing label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.reading.cells import distinct
from mtkd_cli.reading.numbers import parse_number, parse_numbers
from mtkd_cli.reading.tables import Frame

TRUTH = {"true": 1.0, "false": 0.0}
LARGEST = float(np.finfo(np.float32).max)


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
    cells = frames["train"].column(columns[0], "target")
    found, missing = distinct(cells), {"", *frames["train"].format.missing}
    present = {found.names[code] for code in np.unique(found.codes) if code >= 0}
    classes = _sort_names(present - missing)
    if len(classes) < 2:
        raise DataError(
            f"column {columns[0]!r} has {len(classes)} classes; at least 2 are needed",
            str(frames["train"].file),
            "use another column",
        )
    index = dict.fromkeys(missing, -1) | {name: number for number, name in enumerate(classes)}
    return classes, {split: _class_numbers(frame, columns[0], index) for split, frame in frames.items()}


def _class_numbers(frame: Frame, column: str, index: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the class number of each row ``[N]``, -1 for a missing label."""
    cells = frame.column(column, "target")
    found = distinct(cells)
    unknown = [code for code, name in enumerate(found.names) if name not in index]
    rows = np.flatnonzero(np.isin(found.codes, unknown))
    if len(rows):
        row = int(rows[0])
        raise DataError(
            f"class {cells[row]!r} does not occur in the training rows",
            frame.where(row, column),
            "fix the row",
        )
    numbers = np.array([*(index.get(name, -1) for name in found.names), -1], dtype=np.int64)
    return numbers[found.codes]


def values(frame: Frame, columns: Sequence[str], task: str) -> NDArray[Any]:
    """Return the numbers in T columns ``[N, T]``, NaN for missing ones.

    Multilabel targets are float32, all others float64.

    Raises:
        DataError: a cell is not a finite number, or not 0 or 1 for ``multilabel``.
    """
    targets = np.empty((len(frame), len(columns)), np.float32 if task == "multilabel" else np.float64)
    for index, column in enumerate(columns):
        targets[:, index] = _column_values(frame, column, task)
    return targets


def _column_values(frame: Frame, column: str, task: str) -> NDArray[np.float64]:
    """Return the numbers in a column ``[N]``; True is 1, False is 0."""
    cells = frame.column(column, "target")
    parsed = parse_numbers(cells, frame.format)
    numbers, wrong = parsed.values, parsed.wrong
    if len(wrong):
        numbers = numbers.copy()
        found = distinct(cells)
        truth = np.array([*(TRUTH.get(name.lower(), np.nan) for name in found.names), np.nan])
        numbers[wrong] = truth[found.codes[wrong]]
        wrong = wrong[np.isnan(numbers[wrong])]
    for rows, what, hint in (
        (wrong, "is not a number", "fix it, or leave the cell empty for an unlabeled sample"),
        (
            np.flatnonzero(np.abs(numbers) > LARGEST),
            "is not a finite number",
            "fix it, or leave the cell empty",
        ),
        (
            np.flatnonzero((numbers != 0) & (numbers != 1) & np.isfinite(numbers) & (task == "multilabel")),
            "is neither 0 nor 1",
            "use 1 if the sample has the class, else 0",
        ),
    ):
        if len(rows):
            row = int(rows[0])
            raise DataError(f"the target {cells[row]!r} {what}", frame.where(row, column), hint)
    return numbers


def _sort_names(names: set[str]) -> tuple[str, ...]:
    """Return the class names sorted, by value if all are numbers."""
    if all(parse_number(name) is not None for name in names):
        return tuple(sorted(names, key=lambda name: (parse_number(name), name)))
    return tuple(sorted(names))
