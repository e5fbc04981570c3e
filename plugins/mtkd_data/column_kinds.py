"""Decide which columns of a table are numbers and which are categories; refuse what is neither."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Column
from mtkd_cli.reading.cells import CategoryCells, Cells, distinct
from mtkd_cli.reading.numbers import number_pattern, parse_numbers
from mtkd_cli.reading.tables import Frame

MAX_CATEGORIES = 1000
SHOWN = 3
"""Maximum number of cells that a message names."""

MANY_NUMBERS = 20
"""Number of different numbers in a column from which fewer different texts do not make it categorical."""

NUMBER = f"(?:{number_pattern('.', None)}|{number_pattern(',', None)})"
ALMOST = re.compile(rf"[€$£¥]? ?{NUMBER} ?[%€$£¥]?")
"""Numbers, also with another decimal sign, a percent sign or a currency."""

DAY, MONTH, YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:\d{4}|\d{2})"
NAMED = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]m)?(?: ?(?:z|utc|[+-]\d{2}:?\d{2}))?"
DATE = re.compile(
    rf"(?:{YEAR}(?P<a>[-/.]){MONTH}(?P=a){DAY}|{DAY}(?P<b>[-/.]){MONTH}(?P=b){YEAR}"
    rf"|{MONTH}(?P<c>[-/]){DAY}(?P=c){YEAR}|{DAY}[- .]+{NAMED}[- ,]+{YEAR}|{NAMED} {DAY},? {YEAR})"
    rf"(?:[t ]{TIME})?|{TIME}",
    re.IGNORECASE,
)
"""Dates and times as programs write them."""


def column_kind(name: str, frames: Sequence[Frame], categorical: bool) -> Column:
    """Return a column of numbers, or of the categories in its training rows.

    Args:
        name: the column.
        frames: tables with training rows, with a decimal sign in their format.
        categorical: whether it is categorical although its cells may be numbers.

    Raises:
        DataError: the column has texts among its numbers, dates, or too many categories.
    """
    columns = [frame.column(name, "path") for frame in frames]
    if not categorical and not any(isinstance(cells, CategoryCells) for cells in columns):
        formats = (frame.format for frame in frames)
        wrong = [parse_numbers(*pair).wrong for pair in zip(columns, formats, strict=True)]
        if not any(map(len, wrong)):
            return Column(name)
        _refuse_few_texts(name, frames, wrong)
    counts = _count(columns, frames)
    if not categorical:
        _refuse_dates(name, columns[0], frames[0], counts)
    if len(counts) > MAX_CATEGORIES:
        raise DataError(
            f"column {name!r} has {len(counts)} categories; at most {MAX_CATEGORIES} are allowed",
            where=str(frames[0].file),
            hint="add it to data.ignore, or set data.id if it contains sample ids",
        )
    return Column(name, tuple(sorted(counts)))


def _count(columns: Sequence[Cells], frames: Sequence[Frame]) -> Counter[str]:
    """Return the number of cells with each text, without missing values."""
    counts: Counter[str] = Counter()
    for cells, frame in zip(columns, frames, strict=True):
        found = distinct(cells)
        numbers = np.bincount(found.codes[found.codes >= 0], minlength=len(found.names)).tolist()
        missing = {"", *frame.format.missing}
        for text, number in zip(found.names, numbers, strict=True):
            if number and text not in missing:
                counts[text] += number
    return counts


def _refuse_few_texts(name: str, frames: Sequence[Frame], wrong: Sequence[NDArray[np.int64]]) -> None:
    """Raise if most cells, or most different ones, are numbers.

    Args:
        name: the column.
        frames: its tables.
        wrong: rows of each table that are not numbers.
    """
    counts = _count([frame.column(name) for frame in frames], frames)
    numbers = {text for text in counts if ALMOST.fullmatch(text)}
    most = 2 * sum(counts[text] for text in numbers) > counts.total()
    if not most and (len(numbers) < MANY_NUMBERS or 2 * len(numbers) < len(counts)):
        return
    cells = [(frame, int(row)) for frame, rows in zip(frames, wrong, strict=True) for row in rows[:SHOWN]]
    texts = [f"{frame.column(name)[row]!r} (row {frame.lines[row]})" for frame, row in cells[:SHOWN]]
    count = sum(map(len, wrong))
    frame, row = cells[0]
    raise DataError(
        f"{count:,} of {counts.total():,} cells {'is not a number' if count == 1 else 'are not numbers'}, "
        f"but most are: {', '.join(texts)}{', ...' if count > SHOWN else ''}",
        where=frame.where(row, name),
        hint="fix or empty the cells, without units; or add a word to data.missing, "
        "or the column to data.categorical or data.ignore",
    )


def _refuse_dates(name: str, cells: Cells, frame: Frame, counts: Counter[str]) -> None:
    dates = [text for text in counts if DATE.fullmatch(text)]
    is_typed = isinstance(cells, CategoryCells) and cells.is_date
    if is_typed or 2 * sum(counts[text] for text in dates) > counts.total():
        example = f", as {next(iter(dates or counts))!r}" if counts else ""
        raise DataError(
            f"the column contains dates or times{example}",
            f"{frame.file}, column {name!r}",
            "add it to data.ignore or data.categorical, or write what matters as numbers: days, the month",
        )
