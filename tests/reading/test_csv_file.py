"""Rows of CSV files: their lines, cells around them, and errors that name the row."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtkd_cli.errors import DataError
from mtkd_cli.reading import csv_file
from mtkd_cli.reading.csv_dialect import Dialect, find_dialect
from mtkd_cli.reading.csv_file import CsvColumns, read_columns


def read(text: str, encoding: str | None = None) -> CsvColumns:
    Path("t.csv").write_text(text, newline="", encoding=encoding or "utf-8")
    return read_columns(Path("t.csv"), find_dialect(Path("t.csv"), encoding=encoding), encoding)


def cells(found: CsvColumns) -> dict[str, list[str]]:
    return {name: list(column) for name, column in zip(found.names, found.columns, strict=True)}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_of_rows_with_blank_lines_and_line_breaks(newline: str) -> None:
    rows = ['a,"b"', "1,2", "", '" 3 ","x\ny"', "4,5"]
    found = read("\n".join(rows).replace("\n", newline))
    assert cells(found) == {"a": ["1", "3", "4"], "b": ["2", f"x{newline}y", "5"]}
    assert list(found.lines) == [2, 5, 6]


TEXT = st.text(st.sampled_from('ab,;" \n\r\t.1'), max_size=6)


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_reads_what_csv_wrote(rows: list[list[str]], newline: str) -> None:
    with Path("t.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator=newline, quoting=csv.QUOTE_ALL)
        writer.writerows([["x", "y"], *rows])
    found = read_columns(Path("t.csv"), Dialect(","))
    with Path("t.csv").open(newline="") as file:
        reader = csv.reader(file, skipinitialspace=True)
        expected = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)][1:]
    assert list(found.lines) == [line for line, _ in expected]
    read_rows = zip(*found.columns, strict=True)
    assert list(map(list, read_rows)) == [row for _, row in expected]
    for row in range(len(found.lines)):
        assert [column[row] for column in found.columns] == expected[row][1]


def test_many_rows_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_file, "CELLS", 4)
    monkeypatch.setattr(csv_file, "ROWS", 1)
    found = read("a,b\n" + "".join(f"{n},x\n\n" for n in range(9)) + ",\n")
    assert cells(found)["a"] == [str(n) for n in range(9)]
    assert (found.columns[0][7], found.columns[0][-1]) == ("7", "8")
    assert list(found.lines) == [2 * n + 2 for n in range(9)]
    assert found.empty == 1


def test_separators_at_the_end_are_no_cells() -> None:
    for text in ("a;b;\n1;2;\n", "a;b\n1;2;;\n", "a;b;;\n1;2\n", "a;b;\n1;2;\n;;\n"):
        assert cells(read(text)) == {"a": ["1"], "b": ["2"]}, text
    assert cells(read("a;b;\n1;2;3\n")) == {"a": ["1"], "b": ["2"], "": ["3"]}


def test_empty_cell_of_a_single_column_is_a_row() -> None:
    assert cells(read('a\n1\n""\n\n2\n')) == {"a": ["1", "", "2"]}


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("a,b\n1,2\n3\n", "the row has 1 cells for 2 headings", "row 3"),
        ("a,b\n1,2\n3,4,5\n", "the row has 3 cells for 2 headings", "row 3"),
        ('a,b\n"x\ny",2\n3,4,5\n', "the row has 3 cells", "row 4"),
        ('a,b\n1,2\n3,"4\n5,6\n', "the row cannot be read", "row 3"),
        ('a,b\n"x\ny",2\n3,"4"5\n', "the row cannot be read", "row 4"),
        ("a,b\n1,2\n3,4\0\n", "a zero byte", "row 3"),
        ("a,b\0\n1,2\n", "a zero byte", "t.csv"),
    ],
)
def test_names_row_with_error(text: str, what: str, where: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        read(text)
    assert caught.value.where.endswith(where)
