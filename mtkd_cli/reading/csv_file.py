"""Read the columns of a CSV file."""

from __future__ import annotations

import csv
import itertools
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtkd_cli.errors import DataError
from mtkd_cli.reading.cells import JOINT, TextCells
from mtkd_cli.reading.csv_dialect import Dialect, Headings, reader
from mtkd_cli.reading.text_file import open_text, zero_byte

CELLS, ROWS = 2**14, 256
"""Number of cells that are read at once, which fit into a processor cache; and of rows, at least."""

LINE_BREAK = re.compile(r"\r\n|\r|\n")
Row = list[str]


@dataclass(frozen=True)
class CsvColumns:
    """The content of a CSV file.

    Attributes:
        names: the headings.
        columns: the cells below each heading.
        lines: line of each row in the file; of a row with line breaks, the last one.
        empty: number of rows without any text; they are left out.
    """

    names: tuple[str, ...]
    columns: tuple[TextCells, ...]
    lines: Sequence[int]
    empty: int


def read_columns(file: Path, dialect: Dialect, encoding: str | None = None) -> CsvColumns:
    """Return the columns of a file, without spaces around cells.

    Columns at the end without a heading and without texts, from separators at the end of rows, are left out.

    Raises:
        DataError: the file cannot be read, or a row has too few or too many cells.
    """
    batches = _batches(file, dialect, encoding)
    headings, _, _ = next(batches)
    names = list(headings.names)
    chunks: list[list[str]] = [[] for _ in names]
    ends, lines, empty = [0], array("q"), 0
    for _, rows, numbers in batches:
        if any(len(row) != len(names) for row in rows) or (len(names) > 1 and not all(map(any, rows))):
            fitting = [
                (_fit(row, headings, dialect, f"{file}, row {line}"), line)
                for row, line in zip(rows, numbers, strict=True)
                if row
            ]
            filled = [(row, line) for row, line in fitting if len(names) == 1 or any(row)]
            empty += len(fitting) - len(filled)
            rows, numbers = [row for row, _ in filled], [line for _, line in filled]
        if rows:
            lines.extend(numbers)
            ends.append(len(lines))
            for column, cells in zip(chunks, zip(*rows, strict=True), strict=True):
                column.append(_join(cells, file, numbers))
    columns = [TextCells(tuple(column), tuple(ends)) for column in chunks]
    while names and not names[-1] and not any(chunk.strip(JOINT) for chunk in columns[-1].chunks):
        del names[-1], columns[-1]
    return CsvColumns(tuple(names), tuple(columns), lines, empty)


def _batches(
    file: Path, dialect: Dialect, encoding: str | None
) -> Iterator[tuple[Headings, list[Row], Sequence[int]]]:
    """Yield the headings, some rows, and the line of each; an empty line is an empty row."""
    with open_text(file, encoding) as opened:
        for _ in range(dialect.skipped):
            opened.readline()
        found = reader(opened, dialect.separator)
        line, rows = dialect.skipped, list[Row]()
        try:
            headings = Headings(tuple(name.strip() for name in next(found, [])))
            if any("\0" in name for name in headings.names):
                raise zero_byte(str(file))
            size = max(CELLS // max(len(headings.names), 1), ROWS)
            line += found.line_num
            yield headings, [], []
            while True:
                rows = []
                rows.extend(itertools.islice(found, size))  # keeps the rows before an error
                if not rows:
                    return
                end = dialect.skipped + found.line_num
                one_line_each = end - line == len(rows)
                yield headings, rows, range(line + 1, end + 1) if one_line_each else _lines(rows, line)
                line = end
        except csv.Error as error:
            raise DataError(
                f"the row cannot be read: {error}",
                f"{file}, row {[line, *_lines(rows, line)][-1] + 1}",
                'a quoted cell ends with a quote; a quote inside it is written twice: ""',
            ) from error


def _lines(rows: Sequence[Row], before: int) -> list[int]:
    """Return the last line of each row, after line ``before``."""
    breaks = (sum(len(LINE_BREAK.findall(cell)) for cell in row) for row in rows)
    return list(itertools.accumulate((1 + count for count in breaks), initial=before))[1:]


def _fit(row: Row, headings: Headings, dialect: Dialect, where: str) -> Row:
    """Return a row with as many cells as there are headings.

    Raises:
        DataError: it has too few or too many.
    """
    cells = headings.fit(row)
    if cells is not None:
        return cells
    total = len(headings.names)
    hint = f"fix the row; cells are separated by {dialect.separator!r}"
    if len(row) == total + 1:
        hint += ". If all rows have one cell more, the headings lack one (R: use write.csv)"
    raise DataError(f"the row has {len(row)} cells for {total} headings", where, hint)


def _join(cells: Sequence[str], file: Path, lines: Sequence[int]) -> str:
    """Return the cells of a column, joined and stripped."""
    text = JOINT.join(cells)
    if text.count(JOINT) >= len(cells):
        raise zero_byte(f"{file}, row {next(n for n, c in zip(lines, cells, strict=True) if JOINT in c)}")
    has_spaces = text.split(None, 1) != [text]
    return JOINT.join(map(str.strip, cells)) if has_spaces else text
