"""The format of table files from a recipe's options, and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mtkd_cli.errors import UsageError, join_first
from mtkd_cli.interfaces import Column, TableFormat
from mtkd_cli.interfaces.table_format import MISSING
from mtkd_cli.reading.cells import distinct
from mtkd_cli.reading.csv_dialect import check_separator
from mtkd_cli.reading.numbers import GROUPING, parse_numbers, thousands_marks
from mtkd_cli.reading.tables import Frame
from mtkd_cli.reading.text_file import check_encoding

MARKS = {
    **{"comma": ",", "point": ".", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "},
    **{"apostrophe": "'", "none": ""},
}
"""Marks by name: most cannot be written in YAML or on a command line without quotes."""

THOUSANDS = ("", *GROUPING)


def table_format(
    separator: str | None,
    decimal: str | None,
    thousands: str | None,
    missing: Sequence[Any] | None,
    encoding: str | None,
) -> TableFormat:
    """Return the format that options set; None is found in the files.

    Raises:
        UsageError: an option is not a mark that a table may use, or two of them are the same mark.
    """
    form = TableFormat(
        None if separator is None else check_separator(MARKS.get(separator, separator)),
        _mark("decimal", decimal, (".", ","), "use point or comma"),
        _mark("thousands", thousands, THOUSANDS, "use comma, point, apostrophe, space or none"),
        MISSING if missing is None else tuple(map(_word, missing)),
        None if encoding is None else check_encoding(encoding),
    )
    if form.decimal is not None and form.decimal == form.thousands:
        raise UsageError(
            f"{form.decimal!r} is both the decimal sign and the separator of thousands",
            "data.thousands",
            "remove data.thousands",
        )
    return form


def _mark(key: str, value: str | None, known: Sequence[str], hint: str) -> str | None:
    if value is None:
        return None
    mark = MARKS.get(value, value)
    if mark not in known:
        raise UsageError(f"invalid {key} {value!r}", f"data.{key}", hint)
    return mark


def _word(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise UsageError(f"{value!r} is not a text", "data.missing", 'quote words: ["null", "-"]')
    return str(value).strip()


def describe(
    frames: Mapping[str, Frame], columns: Sequence[Column], targets: Sequence[str]
) -> tuple[str, ...]:
    """Return how the files of a table were understood, in one sentence; none for plain numbers in plain CSV.

    Args:
        frames: tables by split, with a decimal sign in their format.
        columns: the input columns.
        targets: the label columns.
    """
    train = frames["train"]
    categories = [column.name for column in columns if column.categories]
    missing = {word for frame in frames.values() for column in columns for word in _missing(frame, column)}
    parts = [
        *_describe_marks(train, [column.name for column in columns if not column.categories] + [*targets])
    ]
    if missing:
        parts.append(f"missing values are written {_join(sorted(missing))}")
    for name in targets:
        count, words = _missing_labels(frames, name)
        if words:
            parts.append(f"no label where column {name!r} is {_join(sorted(words))} ({_rows(count)})")
    if categories:
        parts.append(f"categories: {join_first(categories)}")
    if empty := sum(frame.empty for frame in frames.values()):
        parts.append(f"{_rows(empty)} without any text left out")
    return (f"{train.file}: {'; '.join(parts)}",) if parts else ()


def _describe_marks(frame: Frame, names: Sequence[str]) -> Iterator[str]:
    form = frame.format
    if form.separator not in (None, ","):
        yield f"cells are separated by {form.separator!r}"
    if form.decimal == ",":
        yield "numbers have decimal commas"
    marks = {mark for name in names for mark in thousands_marks(frame.column(name), form)}
    if marks:
        yield f"thousands are separated by {_join(sorted(marks))}"
    if form.encoding:
        yield f"the encoding is {form.encoding}"


def _missing(frame: Frame, column: Column) -> set[str]:
    """Return the words for missing values that occur in an input column."""
    cells = frame.column(column.name)
    if not column.categories:
        return {*parse_numbers(cells, frame.format).missing}
    return {*distinct(cells).names} & {*frame.format.missing}


def _missing_labels(frames: Mapping[str, Frame], name: str) -> tuple[int, set[str]]:
    """Return the number of cells that are words for a missing value, and these words."""
    count, words = 0, set[str]()
    for frame in frames.values():
        if name in frame.names:
            found = distinct(frame.column(name))
            codes = [code for code, text in enumerate(found.names) if text and text in frame.format.missing]
            count += int(np.isin(found.codes, codes).sum())
            words |= {found.names[code] for code in codes}
    return count, words


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _join(words: Sequence[str]) -> str:
    return join_first([repr(word) for word in words])
