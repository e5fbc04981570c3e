"""Encode a table's text cells as numbers for models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, nearest_or_all
from mtkd_cli.interfaces import Column
from mtkd_cli.reading.tables import Frame

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Values treated as missing."""


def encode_table(frame: Frame, columns: Sequence[Column]) -> NDArray[np.float64]:
    """Return a table's rows ``[N, F]`` in float64, with NaN for missing values; see `Samples.inputs`.

    float64, because float32 cannot represent single seconds of a timestamp. Models standardize first.

    Args:
        frame: table of N rows.
        columns: the F columns to encode. A category becomes its index in `Column.categories`.

    Raises:
        DataError: a cell is not a finite number, or its category is not in the training data.
    """
    rows = np.full((len(frame), len(columns)), np.nan, dtype=np.float64)
    for index, column in enumerate(columns):
        codes = {name: code for code, name in enumerate(column.categories)}
        for row, cell in enumerate(frame.column(column.name)):
            if cell in MISSING:
                continue
            value = codes.get(cell) if codes else parse_number(cell)
            if value is None:
                what = "is not in the training data" if codes else "is not a number"
                hint = nearest_or_all(cell, column.categories) if codes else "fix the cell, or leave it empty"
                raise DataError(f"{cell!r} {what}", frame.where(row, column.name), hint)
            if not is_finite_float32(value):
                raise DataError(
                    f"{cell!r} is not a finite number", frame.where(row, column.name), "fix the cell"
                )
            rows[row, index] = value
    return rows


def parse_number(cell: str) -> float | None:
    """Return the number in a cell, or None if it is not a number. ``inf`` and ``nan`` are numbers here."""
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def is_finite_float32(value: float) -> bool:
    """Whether a number is finite after conversion to float32."""
    return bool(abs(value) <= float(np.finfo(np.float32).max))
