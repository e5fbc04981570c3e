"""How the cells of a table's files are written: separator, decimal sign, missing values, encoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtkd_cli.interfaces.data import Column

MISSING = (
    *("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None"),
    *("-", "?"),
)
"""Words that mean a missing value by default. An empty cell always does."""


@dataclass(frozen=True)
class TableFormat:
    """The format of table files, as a recipe sets it or as it was found.

    Attributes:
        separator: separator of the cells in CSV files; None: find it.
        decimal: decimal sign, ``.`` or ``,``; None: find it.
        thousands: separator of groups of three digits, ``""`` for none; None: every mark that is not the
            decimal sign.
        missing: words that mean a missing value.
        encoding: encoding of CSV files; None: UTF-8, or UTF-16 and UTF-32 with a byte order mark.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    missing: tuple[str, ...] = MISSING
    encoding: str | None = None


@dataclass(frozen=True)
class TableInput:
    """The tables that a student was trained on.

    Attributes:
        columns: the columns, with the categories of the training rows.
        format: the format of the files.
    """

    columns: tuple[Column, ...]
    format: TableFormat
