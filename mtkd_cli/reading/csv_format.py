"""CSV files for spreadsheets: cells that look like formulas, and lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet runs as a formula."""


def escape_formula(cell: str) -> str:
    """Return a text that no spreadsheet runs as a formula: with an apostrophe in front if necessary."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def without_escape(cell: str) -> str:
    """Return the text that `escape_formula` was given."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def to_line(cells: Sequence[str]) -> str:
    """Return a line of CSV, with the line break."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
