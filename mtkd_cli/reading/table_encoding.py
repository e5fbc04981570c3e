"""Encode a table's cells as numbers for models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, nearest_or_all
from mtkd_cli.interfaces import Column
from mtkd_cli.reading.cells import NumberCells, distinct
from mtkd_cli.reading.numbers import parse_numbers
from mtkd_cli.reading.tables import Frame

LARGEST = float(np.finfo(np.float32).max)


def encode_table(frame: Frame, columns: Sequence[Column]) -> NDArray[np.float64]:
    """Return a table's rows ``[N, F]`` in float64, with NaN for missing values; see `Samples.inputs`.

    float64, because float32 cannot represent single seconds of a timestamp. Models standardize first.

    Args:
        frame: table of N rows.
        columns: the F columns to encode. A category becomes its index in `Column.categories`.

    Raises:
        DataError: a cell is not a finite number, or its category is not in the training data.
    """
    rows = np.empty((len(frame), len(columns)), dtype=np.float64)
    for index, column in enumerate(columns):
        rows[:, index] = (
            _encode_categories(frame, column) if column.categories else _numbers(frame, column.name)
        )
    return rows


def _numbers(frame: Frame, name: str) -> NDArray[np.float64]:
    cells = frame.column(name)
    found = parse_numbers(cells, frame.format)
    infinite = np.flatnonzero(np.abs(found.values) > LARGEST)
    for rows, what in ((found.wrong, "is not a number"), (infinite, "is not a finite number")):
        if len(rows):
            row = int(rows[0])
            hint = "fix the cell, or leave it empty"
            raise DataError(f"{cells[row]!r} {what}", frame.where(row, name), hint)
    return found.values


def _encode_categories(frame: Frame, column: Column) -> NDArray[np.float64]:
    cells = frame.column(column.name)
    found = distinct(cells)
    codes = dict.fromkeys(("", *frame.format.missing), np.nan) | {
        n: i for i, n in enumerate(column.categories)
    }
    if isinstance(cells, NumberCells):  # 2.0 is the category 2
        codes = {f"{name}.0": code for name, code in codes.items()} | codes
    unknown = [number for number, name in enumerate(found.names) if name not in codes]
    rows = np.flatnonzero(np.isin(found.codes, unknown))
    if len(rows):
        cell = cells[rows[0]]
        raise DataError(
            f"{cell!r} is not in the training data",
            frame.where(int(rows[0]), column.name),
            nearest_or_all(cell, column.categories),
        )
    by_code = np.array([*(codes.get(name, np.nan) for name in found.names), np.nan], dtype=np.float64)
    return by_code[found.codes]
