"""Parse numbers as tables write them: decimal points or commas, groups of three digits, missing values.

A number becomes the same float64 as in Python's ``float()``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.interfaces.table_format import TableFormat
from mtkd_cli.reading.cells import JOINT, Cells, NumberCells, TextCells

SPACES = " \u00a0\u2009\u202f"
"""Space, no-break space, thin space, narrow no-break space."""

CELL_BEGIN, CELL_END = r"(?<![^\0])", r"(?=\0|\Z)"
"""Begin and end of a cell among joined cells, in regular expressions."""

GROUPING = f",.'\u2019{SPACES}"
"""Marks that may separate groups of three digits."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """The numbers of a column.

    Attributes:
        values: ``[N]``, NaN for missing values and for what is not a number.
        wrong: rows that are not numbers.
        missing: words for missing values that occur.
    """

    values: NDArray[np.float64]
    wrong: NDArray[np.int64]
    missing: frozenset[str] = frozenset()


@cache
def number_pattern(decimal: str, thousands: str | None) -> str:
    """Return a regular expression of numbers, without words such as ``inf``.

    Args:
        decimal: decimal sign.
        thousands: separator of groups of three digits, ``""`` for none; None: any but the decimal sign.
    """
    point = re.escape(decimal)
    plain = rf"(?:\d+(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?"
    marks = [mark for mark in (GROUPING if thousands is None else thousands) if mark != decimal]
    groups = "|".join(rf"(?:{re.escape(mark)}\d{{3}})+" for mark in marks)  # one mark for all groups
    grouped = rf"|[1-9]\d{{0,2}}(?:{groups})(?:{point}\d*)?" if marks else ""
    return rf"[+-]?(?:{plain}{grouped})"


def parse_number(cell: str, decimal: str = ".", thousands: str | None = "") -> float | None:
    """Return the number in a cell, or None if it is not a number. ``inf`` and ``nan`` are numbers here."""
    if decimal != "." or thousands != "":
        if _compiled(decimal, thousands).fullmatch(cell):
            marks = {ord(mark): None for mark in GROUPING if mark != decimal}
            cell = cell.translate(marks).replace(decimal, ".")
        elif not cell.strip("+-").isalpha():  # inf and nan are written alike everywhere
            return None
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


@cache
def _compiled(decimal: str, thousands: str | None) -> re.Pattern[str]:
    return re.compile(number_pattern(decimal, thousands))


def parse_numbers(cells: Cells, form: TableFormat) -> Numbers:
    """Return the numbers of a column. Numbers that ``form.missing`` lists, such as -999, are missing values.

    The numbers of texts are kept with the cells, because parsing takes time.

    Args:
        cells: N cells.
        form: format with the decimal sign; None is a point.
    """
    if isinstance(cells, TextCells):
        if form not in cells.parsed:
            cells.parsed[form] = _parse_texts(cells, form)
        found: Numbers = cells.parsed[form]
        return found
    if isinstance(cells, NumberCells):
        return Numbers(_without(cells.numbers(), form.missing), np.empty(0, np.int64))
    names = [_parse(name, form) for name in cells.names]
    values = np.array([*(np.nan if value is None else value for value in names), np.nan])[cells.codes]
    is_wrong = np.array([*(value is None for value in names), False])[cells.codes]
    missing = frozenset(cells.names).intersection(form.missing)
    return Numbers(_without(values, form.missing), np.flatnonzero(is_wrong), missing)


def _parse_texts(cells: TextCells, form: TableFormat) -> Numbers:
    values = np.empty(len(cells), dtype=np.float64)
    wrong: list[int] = []
    missing: set[str] = set()
    for start, chunk in zip(cells.ends, cells.chunks, strict=False):
        text = _with_nan(chunk, form, missing)
        numbers = _parse_usual(text, form)
        if numbers is None:
            texts = text.split(JOINT)
            by_text = {cell: parse_number(cell, form.decimal or ".", form.thousands) for cell in {*texts}}
            wrong += [start + row for row, cell in enumerate(texts) if by_text[cell] is None]
            found = (by_text[cell] for cell in texts)
            numbers = np.array([np.nan if value is None else value for value in found])
        values[start : start + len(numbers)] = numbers
    return Numbers(_without(values, form.missing), np.array(wrong, dtype=np.int64), frozenset(missing))


def _with_nan(chunk: str, form: TableFormat, missing: set[str]) -> str:
    """Return joined cells with ``nan`` for missing values; add the words that occur to ``missing``."""
    text = f"{JOINT}{chunk}{JOINT}"
    for word in (*form.missing, ""):
        cell = f"{JOINT}{word}{JOINT}"
        if word[:1] in chunk and cell in text:  # one character is found faster
            # Twice, because neighbors share the character between them.
            text = text.replace(cell, f"{JOINT}nan{JOINT}").replace(cell, f"{JOINT}nan{JOINT}")
            missing |= {word} - {""}
    return text[1:-1]


def _parse_usual(text: str, form: TableFormat) -> NDArray[np.float64] | None:
    """Return the numbers of joined cells if all are numbers, else None."""
    decimal = form.decimal or "."
    for mark in GROUPING:
        if mark != decimal and mark in text:
            if not _allows(mark, form) or _misplaced(mark, decimal).search(text):
                return None
            text = text.replace(mark, "")
    if "_" in text:
        return None
    cells = text.replace(",", ".").split(JOINT)
    try:
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return None


@cache
def _misplaced(mark: str, decimal: str) -> re.Pattern[str]:
    """Return the pattern of a cell in which a mark is elsewhere than between groups of digits."""
    number = number_pattern(decimal, mark) + CELL_END
    return re.compile(rf"{CELL_BEGIN}(?=[^\0]*{re.escape(mark)})(?!{number})")


def _allows(mark: str, form: TableFormat) -> bool:
    return form.thousands is None or form.thousands == mark


def _parse(cell: str, form: TableFormat) -> float | None:
    if not cell or cell in form.missing:
        return float("nan")
    return parse_number(cell, form.decimal or ".", form.thousands)


def _without(values: NDArray[np.float64], missing: Collection[str]) -> NDArray[np.float64]:
    """Return the numbers with NaN for those that are listed as missing."""
    numbers = [value for value in map(parse_number, missing) if value is not None and value == value]
    if numbers:
        values[np.isin(values, numbers)] = np.nan
    return values


def thousands_marks(cells: Cells, form: TableFormat) -> set[str]:
    """Return the marks that separate groups of three digits in the numbers of a column."""
    if not isinstance(cells, TextCells):
        return set()
    marks = [mark for mark in GROUPING if mark != (form.decimal or ".") and _allows(mark, form)]
    return {
        mark for mark in marks for chunk in cells.chunks if mark in chunk and _grouped(mark).search(chunk)
    }


@cache
def _grouped(mark: str) -> re.Pattern[str]:
    """Return the pattern of the beginning of a number with groups, among joined cells."""
    return re.compile(rf"{CELL_BEGIN}[+-]?[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}(?!\d)")
