"""Decimal points and commas: clear numbers decide, and an unclear table is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import TableFormat
from mtkd_cli.reading.decimal_sign import with_decimal_signs
from mtkd_cli.reading.tables import Frame, read


def write(text: str, name: str = "t.csv", form: TableFormat | None = None) -> Frame:
    Path(name).write_text(text)
    return read(Path(name), form)


def sign(text: str, form: TableFormat | None = None, like: TableFormat | None = None) -> str | None:
    frame = write(text, form=form)
    return with_decimal_signs({"": frame}, frame.names, like)[""].format.decimal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1;2\n", None),
        ("a;b\n1,5;2\n", ","),
        ("a;b\n1.5;2\n", "."),
        ("a;b\n1.234;2\n1,5;3\n", ","),
        ("a;b\n1.234;0,5\n", ","),
        ("a;b\n1.234;0.5\n", "."),
        ("a;b\n1.234.567;1\n", ","),
        ("a;b\n1,234,567;1\n", "."),
        ("a;b\n1.234,5;1\n", ","),
        ("a;b\n1234.567;1\n", "."),
        ("a;b\n0.123;1\n", "."),
        ("a;b\n1.234e5;1\n", "."),
        ("a;b\n1 234,567;1\n", ","),
        ("a,b\n1.234,2\n", "."),
        ('a,b\n"1,234",0.5\n', "."),
        ('a,b\n"1,5","1.234"\n', ","),
        ("a;b\nBern, 1.5;1,5\nChur, 7;2\n", ","),
        ("a;b\nv1.2.3;1,5\n1.5;2\nx;3\n", ","),
        ("a;b\n31.12.2024;1,5\n", ","),
    ],
)
def test_clear_numbers_decide(text: str, expected: str | None) -> None:
    assert sign(text) == expected


@pytest.mark.parametrize(
    "text", ["a;b\n1.234;2\n", "a\tb\n1,234\t2\n", 'a,b\n"1,234",2\n', "a;b\n1.234;1,234\n"]
)
def test_refuses_unclear_numbers(text: str) -> None:
    with pytest.raises(
        DataError, match=r"may be 1.234 or 1234, and no number of the table decides"
    ) as caught:
        sign(text)
    assert caught.value.where == "t.csv, row 2, column 'a'"
    assert "data.decimal" in caught.value.hint
    assert sign(text, TableFormat(decimal=",")) == ","
    assert sign(text, TableFormat(thousands=",")) == "."
    assert sign(text, like=TableFormat(decimal=",")) == ","


def test_refuses_points_and_commas_with_the_cells() -> None:
    with pytest.raises(DataError) as caught:
        sign("a;b\n1;2\n1.5;2\n1;0,5\n")
    assert "'1.5' in row 3, column 'a'" in caught.value.what
    assert "'0,5' in row 4, column 'b'" in caught.value.what


def test_similar_tables_decide_for_unclear_ones() -> None:
    like = TableFormat(separator=";", decimal=",")
    assert sign("a;b\n1.234;2\n", like=like) == ","
    assert sign("a;b\n1.5;2\n", like=like) == ".", "clear numbers decide first"
    assert sign("a,b\n1.234,2\n", like=like) == ".", "another separator, so another program"


def test_splits_decide_for_each_other() -> None:
    frames = {
        "train": write("a;b\n1.234;2\n"),
        "val": write("a;b\n0,5;2\n", "v.csv"),
        "more": write("b;c\n1;2\n", "m.csv"),
    }
    found = with_decimal_signs(frames, ["a", "b"])
    assert {split: frame.format.decimal for split, frame in found.items()} == dict.fromkeys(frames, ",")
    frames["test"] = write("a,b\n0.5,1\n", "e.csv")
    with pytest.raises(DataError, match="no number of the table decides"):
        with_decimal_signs(frames, ["a", "b"])
