"""Tables that other programs write: the same numbers from every way of writing them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mtkd_cli.interfaces import Column
from mtkd_cli.reading.decimal_sign import with_decimal_signs
from mtkd_cli.reading.table_encoding import encode_table
from mtkd_cli.reading.tables import read

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
MISSING = st.sampled_from(["", "NA", "N/A", "null", "None", "-", "?", "NaN"])
NEWLINES = ("\n", "\r\n", "\r")
MARKS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")


def number_text(value: float, decimal: str, thousands: str) -> str:
    """Write a float exactly, with groups of digits where it has no exponent."""
    text = repr(value)
    if "e" in text or not thousands:
        return text.replace(".", decimal)
    whole, _, fraction = text.partition(".")
    return (
        f"{int(whole):,}".replace(",", thousands) + decimal + fraction
        if float(whole)
        else text.replace(".", decimal)
    )


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[float | str]], int]:
    """Rows of numbers (floats) and missing values (words), with at least one clear number."""
    width = draw(st.integers(1, 4))
    cell = st.one_of(FINITE, st.integers(-(10**6), 10**6).map(float), MISSING)
    rows = draw(st.lists(st.lists(cell, min_size=width, max_size=width), min_size=1, max_size=8))
    return [*rows, [0.5] * width], width


@given(
    tables(),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (".", "'"), (",", "\u202f"), (".", " ")]),
    st.sampled_from(NEWLINES),
    st.sampled_from(MARKS),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
)
def test_reads_same_numbers_from_every_dialect(
    table: tuple[list[list[float | str]], int],
    separator: str,
    signs: tuple[str, str],
    newline: str,
    encoding: str,
    quoting: Any,
    stated: bool,
) -> None:
    rows, width = table
    decimal, thousands = signs
    names = [f"x{column}" for column in range(width)]
    with Path("t.csv").open("w", newline="", encoding=encoding) as file:
        if stated:
            file.write(f"sep={separator}{newline}")
        writer = csv.writer(file, delimiter=separator, lineterminator=newline, quoting=quoting)
        writer.writerow(names)
        for row in rows:
            writer.writerow([c if isinstance(c, str) else number_text(c, decimal, thousands) for c in row])
    frame = with_decimal_signs({"": read(Path("t.csv"))}, names)[""]
    found = encode_table(frame, [Column(name) for name in names])
    kept = [row for row in rows if width == 1 or any(cell != "" for cell in row)]
    expected = [[np.nan if isinstance(cell, str) else cell for cell in row] for row in kept]
    np.testing.assert_array_equal(found, np.array(expected, dtype=np.float64))
