"""The cells of one column of a table: texts from CSV; texts, numbers or categories from Parquet.

Each kind is a sequence of N texts, ``""`` for a missing value, and keeps its cells compactly.
"""

from __future__ import annotations

import bisect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

JOINT = "\0"
"""Character between the joined cells; no cell contains it."""


class _Texts(Sequence[str], ABC):
    """The parts of a sequence that all kinds of cells share."""

    @abstractmethod
    def text(self, row: int) -> str:
        """Return the text of a cell."""

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self.text(row) for row in range(*index.indices(len(self)))]
        return self.text(range(len(self))[index])


@dataclass(frozen=True, eq=False)
class TextCells(_Texts):
    """Texts. They are kept joined, because a list of strings needs about 60 bytes more for each cell.

    Attributes:
        chunks: texts of some cells each, joined by `JOINT`.
        ends: number of cells before each chunk, and in all.
        parsed: numbers in the cells by format, see `mtkd_cli.reading.numbers.parse_numbers`.
    """

    chunks: tuple[str, ...]
    ends: tuple[int, ...]
    parsed: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return self.ends[-1]

    def __iter__(self) -> Iterator[str]:
        for chunk in self.chunks:
            yield from chunk.split(JOINT)

    def text(self, row: int) -> str:
        """Return the text of a cell."""
        chunk = bisect.bisect_right(self.ends, row) - 1
        return self.chunks[chunk].split(JOINT)[row - self.ends[chunk]]


@dataclass(frozen=True, eq=False)
class NumberCells(_Texts):
    """Numbers of a typed column.

    Attributes:
        values: ``[N]`` integers or floats; NaN is a missing value, too.
        mask: ``[N]``, whether the value is missing; None: no other value is.
    """

    values: NDArray[Any]
    mask: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[str]:
        return map(self.text, range(len(self)))

    def text(self, row: int) -> str:
        """Return the number as Python writes it."""
        value = self.values[row].item()
        return "" if (self.mask is not None and self.mask[row]) or value != value else str(value)

    def numbers(self) -> NDArray[np.float64]:
        """Return the numbers ``[N]``, NaN for missing ones."""
        values = self.values.astype(np.float64)
        if self.mask is not None:
            values[self.mask] = np.nan
        return values


@dataclass(frozen=True, eq=False)
class CategoryCells(_Texts):
    """Categories of a typed column.

    Attributes:
        codes: ``[N]``, index of each cell's name; -1 is a missing value.
        names: names of the categories.
        is_date: whether they are dates or times.
    """

    codes: NDArray[np.int64]
    names: tuple[str, ...]
    is_date: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str]:
        names = (*self.names, "")  # code -1 selects the last one
        return (names[code] for code in self.codes.tolist())

    def text(self, row: int) -> str:
        """Return the name of a cell's category."""
        code = self.codes[row]
        return self.names[code] if code >= 0 else ""


Cells = TextCells | NumberCells | CategoryCells


def distinct(cells: Cells) -> CategoryCells:
    """Return cells as categories: each different text once, in the order in which they occur, or sorted.

    A missing value of a typed column has the code -1.
    """
    if isinstance(cells, CategoryCells):
        return cells
    if isinstance(cells, NumberCells):
        values, codes = np.unique(cells.values, return_inverse=True)
        codes = codes.reshape(-1).astype(np.int64)  # older NumPy keeps another shape
        codes[np.isnan(cells.numbers())] = -1
        return CategoryCells(codes, tuple(str(value) for value in values.tolist()))
    known: dict[str, int] = {}
    codes = np.fromiter((known.setdefault(cell, len(known)) for cell in cells), np.int64, len(cells))
    return CategoryCells(codes, tuple(known))
