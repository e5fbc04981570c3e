"""CSV files of and for spreadsheets: separators, decimal commas, and cells that look like formulas."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Sequence
from pathlib import Path

from mtkd_cli.errors import DataError

SEPARATORS = (",", ";", "\t")
SAMPLED_ROWS = 20
"""Number of rows that are compared with the headings."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that a spreadsheet runs as a formula."""


def detect_separator(file: Path) -> str:
    """Return the separator with which the first rows have as many cells as the headings, at least two.

    If there is none, returns the one with which the first row has most cells, so that reading the file
    raises an error about its rows.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            lines = list(itertools.islice(opened, SAMPLED_ROWS + 1))
    except (OSError, UnicodeDecodeError):
        return ","
    counts = {separator: _cell_counts(lines, separator) for separator in SEPARATORS}
    fits = [separator for separator, found in counts.items() if found[0] > 1 and len(set(found)) == 1]
    return (fits or sorted(SEPARATORS, key=lambda separator: -counts[separator][0]))[0]


def _cell_counts(lines: Sequence[str], separator: str) -> list[int]:
    """Return the number of cells of each row; 0 if the lines cannot be read."""
    try:
        return [len(row) for row in csv.reader(lines, delimiter=separator) if row] or [0]
    except csv.Error:
        return [0]


def with_decimal_points(cells: Sequence[str], marks: set[str], where: str) -> list[str]:
    """Return numbers with a decimal point instead of a comma.

    Args:
        cells: cells of one row.
        marks: the decimal marks of the rows before; those of this row are added.
        where: file and row, for messages.

    Raises:
        DataError: the file uses both decimal points and decimal commas, so that 1,234 is ambiguous.
    """
    for cell in cells:
        if any(character.isdigit() for character in cell):
            marks |= {mark for mark in ".," if mark in cell}
    if len(marks) > 1:
        raise DataError(
            "the file contains both decimal points and decimal commas", where, "write all numbers in one way"
        )
    return [cell.replace(",", ".") for cell in cells]


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
