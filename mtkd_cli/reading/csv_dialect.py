"""Find how a CSV file separates its cells: the separator, and a first line ``sep=;`` of Excel."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.reading.text_file import open_text

SEPARATORS = (",", ";", "\t", "|")
"""Separators that are found in a file."""

SAMPLED_ROWS = 20
"""Number of rows that are compared with the headings."""

FIRST_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How a CSV file separates its cells.

    Attributes:
        separator: separator of the cells.
        skipped: number of lines before the headings.
    """

    separator: str
    skipped: int = 0


@dataclass(frozen=True)
class Headings:
    """The first row of a table; separators at its end, or at the end of other rows, are not cells.

    Attributes:
        names: the headings.
    """

    names: tuple[str, ...]

    @property
    def named(self) -> int:
        """Number of headings up to the last one that is not empty."""
        return max((number for number, name in enumerate(self.names, 1) if name), default=0)

    def fit(self, row: list[str]) -> list[str] | None:
        """Return a row with as many cells as there are headings; None if it has too few or too many."""
        total = len(self.names)
        if len(row) == total:
            return row
        if len(row) < self.named or any(cell.strip() for cell in row[total:]):
            return None
        return row[:total] + [""] * (total - len(row))


def check_separator(separator: str) -> str:
    """Return a separator that is one character, and none of numbers and quotes.

    Raises:
        UsageError: it is not.
    """
    if len(separator) != 1 or separator.isalnum() or separator in '".+-\r\n\0':
        raise UsageError(
            f"invalid separator {separator!r}",
            "data.separator",
            "use one character, or comma, semicolon, tab, pipe or space",
        )
    return separator


def reader(lines: Iterable[str], separator: str) -> Any:
    """Return a reader of rows; see `csv.reader`."""
    return csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)


def find_dialect(
    file: Path, separator: str | None = None, encoding: str | None = None, like: str | None = None
) -> Dialect:
    """Return the separator with which the first rows have as many cells as the headings.

    If there is none, returns the one with which the first row has most cells, so that reading the file
    raises an error about its rows.

    Args:
        file: the file.
        separator: the separator, if it is known.
        encoding: see `open_text`.
        like: separator of similar files, used if the file fits several.

    Raises:
        DataError: the file cannot be read, or it fits several separators.
    """
    with open_text(file, encoding) as opened:
        stated = FIRST_LINE.fullmatch(opened.readline(16))
        skipped = 1 if stated else 0
        if separator is not None:
            return Dialect(check_separator(separator), skipped)
        if stated:
            return Dialect(check_separator(stated.group(1)), skipped)
        rows = {mark: _first_rows(opened, mark) for mark in SEPARATORS}
    most = max(len(found[0]) for found in rows.values())
    fits = [mark for mark, found in rows.items() if len(found[0]) >= min(most, 2) and _is_table(found)]
    if len(fits) > 1 and most > 1:
        if like in fits:
            return Dialect(like)
        raise DataError(
            f"the cells may be separated by {' or '.join(map(repr, fits))}", str(file), "set data.separator"
        )
    return Dialect((fits or sorted(rows, key=lambda mark: -len(rows[mark][0])))[0])


def _first_rows(opened: TextIO, separator: str) -> list[list[str]]:
    """Return the first rows, the headings first; an empty row stands for one that cannot be read."""
    opened.seek(0)
    rows: list[list[str]] = []
    try:
        rows.extend(itertools.islice(filter(None, reader(opened, separator)), SAMPLED_ROWS + 1))
    except csv.Error:
        rows.append([])
    return rows or [[]]


def _is_table(rows: Sequence[list[str]]) -> bool:
    headings = Headings(tuple(cell.strip() for cell in rows[0]))
    return all(row and headings.fit(row) is not None for row in rows[1:])
