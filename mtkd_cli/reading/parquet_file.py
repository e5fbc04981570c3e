"""Read the columns of a Parquet file with their types. Needs pyarrow, which is imported where it is used."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mtkd_cli.errors import DataError, first_line
from mtkd_cli.reading.cells import CategoryCells, Cells, NumberCells
from mtkd_cli.safe_loading.decompression_limits import refuse_content

CELL_BYTES = 8
"""Minimum size of a cell in memory, in bytes."""


class ParquetColumns(Mapping[str, Cells]):
    """The columns of a Parquet file; each is converted when it is first used.

    Args:
        file: the file.
        table: its ``pyarrow.Table``, without duplicate names.
        categorical: columns that were written as categories, also if their values are numbers.
    """

    def __init__(self, file: Path, table: Any, categorical: Collection[str] = ()) -> None:
        self.file, self.table, self.categorical = file, table, categorical
        self.converted: dict[str, Cells] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self.table.column_names)

    def __contains__(self, name: object) -> bool:
        return name in self.table.column_names

    def __len__(self) -> int:
        return len(self.table.column_names)

    def __getitem__(self, name: str) -> Cells:
        """Return a column.

        Raises:
            DataError: cells of its type are no numbers, categories or texts.
        """
        if name not in self.converted:
            cells = _convert(self.table[name], name in self.categorical)
            if cells is None:
                raise DataError(
                    f"column {name!r} contains {self.table.schema.field(name).type}, not single values",
                    str(self.file),
                    "add it to data.ignore, or write one column for each value",
                )
            self.converted[name] = cells
        return self.converted[name]


def read_parquet(file: Path) -> tuple[Any, set[str]]:
    """Return the ``pyarrow.Table`` in a file, and the columns that were written as categories.

    Raises:
        DataError: pyarrow is not installed, or the file cannot be read.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError("parquet needs pyarrow", str(file), "pip install 'mtkd[tabular]'")
    import pyarrow
    import pyarrow.parquet

    try:
        opened = pyarrow.parquet.ParquetFile(file)
        refuse_content(file, opened.metadata.num_rows * opened.metadata.num_columns * CELL_BYTES)
        return opened.read(), _categorical(opened.metadata.metadata or {})
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(
            f"the table cannot be read: {first_line(error)}", str(file), "write the file again"
        ) from error


def _categorical(metadata: Mapping[bytes, bytes]) -> set[str]:
    """Return the columns that Arrow wrote as dictionaries; it reads those of numbers as numbers."""
    import pyarrow

    try:
        written = pyarrow.ipc.read_schema(pyarrow.py_buffer(base64.b64decode(metadata[b"ARROW:schema"])))
    except (KeyError, ValueError, OSError, pyarrow.ArrowException):  # written by other programs
        return set()
    return {field.name for field in written if pyarrow.types.is_dictionary(field.type)}


def _convert(column: Any, categorical: bool) -> Cells | None:
    """Return the cells of a ``pyarrow.ChunkedArray``; None if its values are nested or of a rare type."""
    import pyarrow
    from pyarrow import types

    array, kind = column.combine_chunks(), column.type
    if isinstance(array, pyarrow.ChunkedArray):  # of no or of several chunks
        array = array.unify_dictionaries()
        array = pyarrow.concat_arrays(array.chunks) if array.num_chunks else pyarrow.array([], kind)
    if isinstance(kind, pyarrow.BaseExtensionType):
        array, kind = array.storage, kind.storage_type
    if categorical or types.is_nested(kind):
        return None if types.is_nested(kind) else _categories(array)
    if types.is_null(kind):
        return NumberCells(np.full(len(array), np.nan))
    if types.is_floating(kind):
        return NumberCells(array.fill_null(float("nan")).to_numpy(zero_copy_only=False))
    if types.is_integer(kind):
        mask = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
        return NumberCells(array.fill_null(0).to_numpy(), mask)
    if types.is_decimal(kind):
        values = [float("nan") if value is None else float(value) for value in array.to_pylist()]
        return NumberCells(np.array(values, dtype=np.float64))
    return _categories(array)


def _categories(array: Any) -> CategoryCells | None:
    """Return the values of a ``pyarrow.Array`` as categories; None if its type is rare."""
    import pyarrow
    from pyarrow import types

    try:
        array = array if types.is_dictionary(array.type) else array.dictionary_encode()
        names = _values(array.dictionary)
    except pyarrow.ArrowException:
        return None
    codes = array.indices.fill_null(-1).to_numpy().astype(np.int64)
    if None in names:  # a category that is missing
        codes[codes == names.index(None)] = -1
    is_date = types.is_temporal(array.type.value_type)
    return CategoryCells(codes, tuple(map(_text, names)), is_date)


def _values(array: Any) -> list[Any]:
    try:
        values: list[Any] = array.to_pylist()
        return values
    except ValueError:  # nanoseconds, which Python's times do not have
        return list(array.cast("string").to_pylist())


def _text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value).strip()
