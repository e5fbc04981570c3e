"""Find whether a table writes 1.5 or 1,5, from what all its numbers allow.

``1.234`` may be 1234 where decimals are written with a comma. A number like ``0.5`` or ``1.25`` anywhere in
the table decides; if there is none, the table is refused rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces.table_format import TableFormat
from mtkd_cli.reading.cells import JOINT, TextCells
from mtkd_cli.reading.numbers import CELL_BEGIN, CELL_END, number_pattern
from mtkd_cli.reading.tables import Frame

OTHER = {".": ",", ",": "."}
HINT = "write all numbers in one way, or set data.decimal to point or comma"
GROUPS = re.compile(r"\.\d{3}\.")
Found = dict[str, tuple[str, int]]
"""Column and row of a number, by decimal sign or mark."""


@dataclass(frozen=True)
class _Numbers:
    """Numbers of a table that say something about its decimal sign.

    Attributes:
        proofs: by decimal sign, a number that is valid with that sign only.
        unclear: by the mark in it, a number that is valid with both signs: ``1.234``. Empty if there are
            proofs.
    """

    proofs: Found
    unclear: Found


def with_decimal_signs(
    frames: Mapping[str, Frame], names: Sequence[str], like: TableFormat | None = None, hint: str = HINT
) -> dict[str, Frame]:
    """Return tables with the decimal sign of their numbers in `Frame.format`; None if no number has one.

    Args:
        frames: tables of one data set, by split. Each has its own sign; if its numbers do not decide, it has
            the sign of the others.
        names: columns that may contain numbers.
        like: format of similar tables, for tables that do not decide.
        hint: what to do about a table that cannot be read.

    Raises:
        DataError: a table uses both signs, or nothing decides.
    """
    signs = {
        split: frame.format.decimal or OTHER.get(frame.format.thousands or "")
        for split, frame in frames.items()
    }
    found = {
        split: _look(frame, names)
        for split, frame in frames.items()
        if signs[split] is None and frame.format.separator is not None
    }
    proven = {sign for numbers in found.values() for sign in numbers.proofs}
    others = proven.pop() if len(proven) == 1 else None
    signs |= {split: _decide(frames[split], numbers, others, like, hint) for split, numbers in found.items()}
    return {
        split: replace(frame, format=replace(frame.format, decimal=signs[split]))
        for split, frame in frames.items()
    }


def _decide(
    frame: Frame, numbers: _Numbers, others: str | None, like: TableFormat | None, hint: str
) -> str | None:
    if len(numbers.proofs) > 1:
        first, second = (
            f"{frame.column(name)[row]!r} in row {frame.lines[row]}, column {name!r}"
            for name, row in (numbers.proofs[sign] for sign in OTHER)
        )
        raise DataError(
            f"the table has decimal points ({first}) and decimal commas ({second})", str(frame.file), hint
        )
    if numbers.proofs:
        return next(iter(numbers.proofs))
    if others or not numbers.unclear:
        return others
    if like and like.decimal and like.separator == frame.format.separator:
        return like.decimal
    if frame.format.separator == "," and "," not in numbers.unclear:
        return "."  # commas between cells go with decimal points
    if like and like.decimal:
        return like.decimal
    mark, (name, row) = next(iter(numbers.unclear.items()))
    cell = frame.column(name)[row]
    raise DataError(
        f"{cell!r} may be {cell.replace(',', '.')} or {cell.replace(mark, '')}, "
        "and no number of the table decides",
        frame.where(row, name),
        hint,
    )


def _look(frame: Frame, names: Sequence[str]) -> _Numbers:
    """Return the numbers that decide, of columns in which most cells are numbers."""
    thousands = frame.format.thousands
    proofs: Found = {}
    unclear: Found = {}
    columns = {name: frame.column(name) for name in names if name in frame.names}
    texts = {name: cells for name, cells in columns.items() if isinstance(cells, TextCells)}
    for patterns, found in ((_only(thousands), proofs), (_both(thousands), unclear)):
        for name, cells in texts.items():
            new = _search(cells, patterns, found)
            if new and _has_mostly_numbers(cells, frame.format):
                found |= {sign: (name, row) for sign, row in new.items()}
        if proofs:
            break
    return _Numbers(proofs, unclear)


def _search(
    cells: TextCells, patterns: Mapping[str, re.Pattern[str]], known: Collection[str]
) -> dict[str, int]:
    """Return the row of the first cell that matches each pattern, without those that are known."""
    found: dict[str, int] = {}
    for start, chunk in zip(cells.ends, cells.chunks, strict=False):
        if "," not in chunk and "." not in chunk:
            continue
        for sign, pattern in patterns.items():
            if (
                sign in known
                or sign in found
                or (sign == "," and "," not in chunk and not GROUPS.search(chunk))
            ):
                continue
            if match := pattern.search(chunk):
                found[sign] = start + chunk.count(JOINT, 0, match.start())
    return found


def _has_mostly_numbers(cells: TextCells, form: TableFormat) -> bool:
    number = _number(form.thousands)
    missing = {"", *form.missing}
    numbers = sum(len(number.findall(chunk)) for chunk in cells.chunks)
    return 2 * numbers > sum(cell not in missing for cell in cells)


@cache
def _only(thousands: str | None) -> dict[str, re.Pattern[str]]:
    """Return patterns of cells that are numbers with one decimal sign only, by sign."""
    cell = {sign: number_pattern(sign, thousands) + CELL_END for sign in OTHER}
    return {sign: re.compile(f"{CELL_BEGIN}(?!{cell[other]}){cell[sign]}") for sign, other in OTHER.items()}


@cache
def _both(thousands: str | None) -> dict[str, re.Pattern[str]]:
    """Return patterns of cells with a mark that are numbers with both decimal signs, by mark."""
    cell = {sign: number_pattern(sign, thousands) + CELL_END for sign in OTHER}
    return {
        sign: re.compile(rf"{CELL_BEGIN}(?=[^\0]*\{sign})(?={cell[other]}){cell[sign]}")
        for sign, other in OTHER.items()
    }


@cache
def _number(thousands: str | None) -> re.Pattern[str]:
    """Return the pattern of cells that are numbers with some decimal sign."""
    either = "|".join(number_pattern(sign, thousands) for sign in OTHER)
    return re.compile(f"{CELL_BEGIN}(?:{either}){CELL_END}")
