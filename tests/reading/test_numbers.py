"""Numbers in tables: the same float64 as Python's, and nothing else is a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtkd_cli.interfaces import TableFormat
from mtkd_cli.reading.cells import CategoryCells, NumberCells, TextCells
from mtkd_cli.reading.numbers import parse_number, parse_numbers, thousands_marks

NAN = np.nan


def texts(*cells: str) -> TextCells:
    """Return cells in two chunks."""
    half = len(cells) // 2
    chunks = (cells[:half], cells[half:]) if half else (cells,)
    return TextCells(tuple("\0".join(chunk) for chunk in chunks), (0, half, len(cells)) if half else (0, 1))


def values(*cells: str, **settings: Any) -> list[float]:
    found = parse_numbers(texts(*cells), TableFormat(**settings))
    assert not len(found.wrong)
    return found.values.tolist()


def test_decimal_sign_and_thousands() -> None:
    assert values("1,5", "-2", "1.234,5", "1.234.567", decimal=",") == [1.5, -2, 1234.5, 1234567]
    assert values("1.5", "1,234.5", "+1,234,567", ".5", "5.", decimal=".") == [1.5, 1234.5, 1234567, 0.5, 5]
    assert values("1'234.5", "1\u2019234", "12\u00a0345", "12\u202f345", "1 234") == [
        1234.5,
        1234,
        12345,
        12345,
        1234,
    ]
    assert values("1,5e3", "1E-2", decimal=",") == [1500, 0.01]


@pytest.mark.parametrize(
    ("cell", "settings"),
    [
        *(
            (cell, {})
            for cell in ("x", "1_000", "12%", "0x1F", "1 23", "12 3456", "1,23", "01,234", "1,234.5,6", "--1")
        ),
        *((cell, {"decimal": ","}) for cell in ("1.5", "1.23,4", "1,2,3", "0.123", "1.234 567")),
        ("1,234", {"thousands": ""}),
        ("1,234", {"thousands": "'"}),
        ("1.234", {"decimal": ",", "thousands": ""}),
    ],
)
def test_what_is_not_a_number(cell: str, settings: dict[str, Any]) -> None:
    found = parse_numbers(texts("7", cell, "8"), TableFormat(**settings))
    assert found.wrong.tolist() == [1]
    np.testing.assert_array_equal(found.values, [7, NAN, 8])


def test_missing_values_and_numbers_that_stand_for_them() -> None:
    np.testing.assert_array_equal(
        values("1", "", "", "NA", "NA", "-", "-1"), [1, NAN, NAN, NAN, NAN, NAN, -1]
    )
    np.testing.assert_array_equal(values("1", "-999", "-999.0", missing=("-999",)), [1, NAN, NAN])
    assert parse_numbers(texts("", "NA", "1"), TableFormat()).missing == {"NA"}
    assert parse_numbers(texts("NA", "1"), TableFormat(missing=())).wrong.tolist() == [0]


def test_infinity_is_a_number() -> None:
    for decimal in (".", ","):
        assert values("inf", "-Infinity", "1e400", decimal=decimal) == [np.inf, -np.inf, np.inf]


@given(st.floats(allow_nan=False), st.sampled_from([".", ","]))
def test_same_float_as_python(value: float, decimal: str) -> None:
    cell = repr(value)
    assert parse_number(cell) == value
    assert values(cell.replace(".", decimal), "1", decimal=decimal)[0] == value


@given(st.text(st.sampled_from("0123456789.,'eE+- infa_\u0663"), max_size=8))
def test_plain_numbers_are_those_of_python(cell: str) -> None:
    cell = cell.strip()
    found = parse_numbers(texts(cell or "x", "1"), TableFormat(missing=(), thousands="")).values[0]
    try:
        expected = float(cell) if "_" not in cell else NAN
    except ValueError:
        expected = NAN
    np.testing.assert_equal(found, expected)


def test_typed_columns() -> None:
    form = TableFormat(missing=("-999", "NA"))
    numbers = NumberCells(np.array([1, 2, -999]), np.array([False, True, False]))
    np.testing.assert_array_equal(parse_numbers(numbers, form).values, [1, NAN, NAN])
    names = CategoryCells(np.array([0, -1, 1, 2]), ("1.5", "NA", "x"))
    found = parse_numbers(names, form)
    np.testing.assert_array_equal(found.values, [1.5, NAN, NAN, NAN])
    assert found.wrong.tolist() == [3]


def test_marks_between_thousands() -> None:
    form = TableFormat(decimal=",")
    assert thousands_marks(texts("1.234", "5"), form) == {"."}
    assert thousands_marks(texts("1,234", "x.y", "12.5"), form) == set()
