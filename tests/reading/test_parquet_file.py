"""Columns of Parquet files keep their types."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.reading.cells import CategoryCells, NumberCells
from mtkd_cli.reading.tables import Frame, read

NAN = np.nan


def write(chunks: int = 1, **columns: Any) -> Frame:
    table = pa.concat_tables([pa.table(columns)] * chunks)
    pyarrow.parquet.write_table(table, "t.parquet", row_group_size=2)
    return read(Path("t.parquet"))


@pytest.mark.parametrize(
    ("column", "values", "texts"),
    [
        (pa.array([1, None, 2**62], pa.int64()), [1, NAN, 2.0**62], ["1", "", str(2**62)]),
        (pa.array([1, None, 255], pa.uint8()), [1, NAN, 255], ["1", "", "255"]),
        (pa.array([0.1, None, NAN], pa.float64()), [0.1, NAN, NAN], ["0.1", "", ""]),
        (pa.array([0.1, None, 2], pa.float32()), [float(np.float32(0.1)), NAN, 2], None),
        (pa.array(np.array([0.5, 1, 2], np.float16)), [0.5, 1, 2], ["0.5", "1.0", "2.0"]),
        (pa.array([decimal.Decimal("0.10"), None, decimal.Decimal("7.25")]), [0.1, NAN, 7.25], None),
        (pa.nulls(3), [NAN] * 3, [""] * 3),
    ],
)
def test_numbers(column: Any, values: list[float], texts: list[str] | None) -> None:
    cells = write(x=column).column("x")
    assert isinstance(cells, NumberCells)
    np.testing.assert_array_equal(cells.numbers(), values)
    assert texts is None or list(cells) == texts == [cells[row] for row in range(3)]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["b", None, "a"]),
        pa.array(["b", None, "a"], pa.large_string()),
        pa.array([b"b", None, b"a"]),
        pa.array(["b", None, "a"]).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([1, None, 0]), pa.array(["a", "b", "unused"])),
    ],
)
@pytest.mark.parametrize("chunks", [1, 2])
def test_categories(column: Any, chunks: int) -> None:
    cells = write(chunks, x=column).column("x")
    assert isinstance(cells, CategoryCells)
    assert list(cells) == ["b", "", "a"] * chunks
    assert (cells[1], cells[-1]) == ("", "a")


def test_booleans_and_numbers_in_dictionaries_are_categories() -> None:
    frame = write(b=pa.array([True, None, False]), d=pa.array([7, 5, 7]).dictionary_encode())
    assert list(frame.column("b")) == ["True", "", "False"]
    assert isinstance(frame.column("d"), CategoryCells)
    assert list(frame.column("d")) == ["7", "5", "7"]


def test_dates_are_marked() -> None:
    day, now = datetime.date(2024, 1, 31), datetime.datetime(2024, 1, 31, 12)
    frame = write(day=[day, None], now=[now, now], ns=pa.array([1, 2], pa.timestamp("ns")))
    cells = frame.column("day")
    assert isinstance(cells, CategoryCells)
    assert cells.is_date
    assert list(cells) == ["2024-01-31", ""]
    assert list(frame.column("now")) == ["2024-01-31 12:00:00"] * 2
    assert len(frame.column("ns")) == 2


@pytest.mark.parametrize("column", [pa.array([[1], [2]]), pa.array([{"a": 1}, None])])
def test_nested_columns_are_refused_where_they_are_used(column: Any) -> None:
    frame = write(x=column, y=[1, 2])
    assert frame.column("y")[1] == "2"
    with pytest.raises(DataError, match=r"column 'x' contains .*, not single values") as caught:
        frame.column("x")
    assert "data.ignore" in caught.value.hint


def test_folders_are_not_columns() -> None:
    Path("x=1").mkdir()
    write(y=[1])
    Path("t.parquet").rename("x=1/t.parquet")
    assert read(Path("x=1/t.parquet")).names == ("y",)
