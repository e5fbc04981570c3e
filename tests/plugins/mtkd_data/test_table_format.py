"""Options for the format of tables, and what is said about it."""

from __future__ import annotations

from typing import Any

import pytest

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import TableFormat
from mtkd_cli.interfaces.table_format import MISSING
from mtkd_data.table_format import table_format

NOTHING = {"separator": None, "decimal": None, "thousands": None, "missing": None, "encoding": None}


def form(**options: Any) -> TableFormat:
    return table_format(**(NOTHING | options))


def test_marks_have_names() -> None:
    assert form() == TableFormat(missing=MISSING)
    named = form(separator="tab", decimal="comma", thousands="point", missing=["k.A.", -999])
    assert named == TableFormat("\t", ",", ".", ("k.A.", "-999"))
    assert form(separator=";", decimal=",", thousands="none", missing=[], encoding="cp1252") == TableFormat(
        ";", ",", "", (), "cp1252"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"separator": ";;"},
        {"separator": ""},
        {"decimal": ";"},
        {"thousands": "x"},
        {"decimal": ".", "thousands": "point"},
        {"missing": [None]},
        {"missing": [True]},
        {"encoding": "utf-99"},
    ],
)
def test_refuses_other_values(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        form(**options)
    assert caught.value.where == f"data.{list(options)[-1]}"
    assert caught.value.hint
