"""The separator of a CSV file is found, stated, or asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.reading.csv_dialect import Dialect, find_dialect


def find(text: str, separator: str | None = None, like: str | None = None) -> Dialect:
    Path("t.csv").write_text(text, newline="")
    return find_dialect(Path("t.csv"), separator, like=like)


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n", ";"),
        ("a\tb\n1,5\t2\n", "\t"),
        ("a|b\n1,5|2\n", "|"),
        ('"Price, EUR";b\n1,5;2\n', ";"),
        ('a;b\n"x;y";2\n', ";"),
        ("a;b;\n1;2;\n", ";"),
        ("a;b;;\n1;2;;\n3;4\n", ";"),
        ("a;b\n1;2;\n", ";"),
        ('a;b\n"two\nlines, and more";2\n', ";"),
        ("price\n1\n", ","),
        ("price\n1,5\n", ";"),
        ("", ","),
        ("a;b;c\n1;2\n", ";"),
        ('a;b\n1;"unclosed\n', ";"),
    ],
)
def test_finds_separator(text: str, separator: str) -> None:
    assert find(text) == Dialect(separator)


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;"])
def test_first_line_of_excel_states_separator(line: str) -> None:
    assert find(f"{line}\r\na,x;b\r\n1,5;2\r\n") == Dialect(";", 1)
    assert find(f"{line}\r\na,b\r\n", ",") == Dialect(",", 1), "the recipe decides"


def test_asks_where_several_separators_fit() -> None:
    text = "a;x,b\n1;2,3\n"
    with pytest.raises(DataError, match="may be separated by ',' or ';'"):
        find(text)
    assert find(text, ";") == find(text, like=";") == Dialect(";")
    with pytest.raises(DataError, match="may be separated"):
        find(text, like="\t")


@pytest.mark.parametrize("separator", [";;", "", "a", "7", ".", '"', "\n", "-"])
def test_refuses_separators_of_numbers_and_quotes(separator: str) -> None:
    with pytest.raises(UsageError, match="invalid separator"):
        find("a;b\n", separator)
