"""A table's cells, which are texts, as the numbers that models take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, nearest_or_all
from mtkd_cli.interfaces import Column
from mtkd_cli.reading.tables import Frame

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""Cells that say nothing."""


def encoded(frame: Frame, columns: Sequence[Column]) -> NDArray[np.float64]:
    """Return a table's rows ``[N, F]``, see `Samples.inputs`.

    In double precision until they are standardized: float32 tells no two seconds of a timestamp apart.

    Raises:
        DataError: a cell that is no number, or a category of no row that is trained on.
    """
    rows = np.full((len(frame), len(columns)), np.nan, dtype=np.float64)
    for place, column in enumerate(columns):
        codes = {name: code for code, name in enumerate(column.categories)}
        for row, cell in enumerate(frame.column(column.name)):
            if cell in MISSING:
                continue
            value = codes.get(cell) if codes else number(cell)
            if value is None:
                what = "is in no row that is trained on" if codes else "is no number"
                hint = nearest_or_all(cell, column.categories) if codes else "mend the cell, or empty it"
                raise DataError(f"{cell!r} {what}", frame.where(row, column.name), hint)
            if not fits(value):
                raise DataError(
                    f"{cell!r} is no finite number", frame.where(row, column.name), "mend the cell"
                )
            rows[row, place] = value
    return rows


def number(cell: str) -> float | None:
    """Return the number in a cell, None if it has none; ``inf`` and ``nan`` are numbers here."""
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def fits(value: float) -> bool:
    """Whether a number is finite, in float32 too."""
    return bool(abs(value) <= float(np.finfo(np.float32).max))
