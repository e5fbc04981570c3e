"""Columns of numbers and of categories; dates and texts among numbers are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Column
from mtkd_cli.reading.tables import read
from mtkd_data.column_kinds import column_kind


def kind(cells: list[Any], categorical: bool = False, typed: bool = False) -> Column:
    if typed:
        pyarrow.parquet.write_table(pyarrow.table({"x": cells}), "t.parquet")
        return column_kind("x", [read(Path("t.parquet"))], categorical)
    Path("t.csv").write_text("x;i\n" + "".join(f"{cell};0\n" for cell in cells))
    return column_kind("x", [read(Path("t.csv"))], categorical)


NUMBERS = [str(number) for number in range(30)]


@pytest.mark.parametrize(
    ("cells", "categories"),
    [
        (["1", "", "2.5", "NA"], ()),
        (["", ""], ()),
        (["b", "a", "", "NA", "b"], ("a", "b")),
        (["True", "False"], ("False", "True")),
        (["1", "2", "A", "B"], ("1", "2", "A", "B")),
        (["12a", "3rd", "4x4", "5"], ("12a", "3rd", "4x4", "5")),
        (["1.2.3", "1.2.4", "1.2"], ("1.2", "1.2.3", "1.2.4")),
        (["none", "none", "2024-01-31"], ("2024-01-31", "none")),
    ],
)
def test_texts_are_categories(cells: list[str], categories: tuple[str, ...]) -> None:
    assert kind(cells) == Column("x", categories)


def test_typed_columns_keep_their_kind() -> None:
    assert kind([1, None, 3], typed=True) == Column("x")
    assert kind(["1", None, "3"], typed=True) == Column("x", ("1", "3"))
    assert kind([True, False, None], typed=True) == Column("x", ("False", "True"))
    assert kind([1, 2], categorical=True, typed=True) == Column("x", ("1", "2"))


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        (["1", "2", "lots", "4"], r"1 of 4 cells is not a number, but most are: 'lots' \(row 4\)"),
        (
            ["a", "1", "b", "c", "d", *NUMBERS],
            r"4 of 35 cells are not .*: 'a' \(row 2\), .*'c' \(row 5\), \.\.\.",
        ),
        ([*NUMBERS, *["unknown"] * 50], r"50 of 80 cells are not numbers"),
        (["12%", "7%"], "2 of 2 cells are not numbers, but most are: '12%'"),
        (["$1,200", "$7"], "not numbers"),
        (["1,2,3", "1", "2"], "1 of 3 cells is not a number"),
        (["2024-01-31", "2024-02-01"], "dates or times, as '2024-01-31'"),
        (["31.12.2024", "1.1.2025", ""], "dates or times"),
        (["12/31/99 10:30 PM"], "dates or times"),
        (["2024-01-31T10:30:00.5Z", "2024-01-31T10:30:00+01:00"], "dates or times"),
        (["31 Jan 2024", "Feb 1, 2024"], "dates or times"),
        (["10:30", "11:45:10"], "dates or times"),
    ],
)
def test_refuses_texts_among_numbers_and_dates(cells: list[str], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        kind(cells)
    assert "column 'x'" in caught.value.where
    assert "data.categorical" in caught.value.hint
    assert len(kind(cells, categorical=True).categories) == len({*cells} - {""})


def test_refuses_typed_dates_and_many_categories() -> None:
    import datetime

    with pytest.raises(DataError, match="dates or times, as '2024-01-31'"):
        kind([datetime.date(2024, 1, 31)], typed=True)
    assert kind([datetime.date(2024, 1, 31)], categorical=True, typed=True).categories == ("2024-01-31",)
    with pytest.raises(DataError, match="1001 categories; at most 1000"):
        kind([f"c{number}" for number in range(1001)])
