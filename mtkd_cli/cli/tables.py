"""Format tables for the terminal: names are never cut, and control characters are escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mtkd_cli.cli import console

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

READABLE = 40
"""Minimum width of a column of sentences, in characters."""


def table(
    rows: Sequence[Sequence[Any]], columns: Sequence[str], title: str = "", whole: Sequence[str] = ()
) -> Table:
    """Return a table.

    Args:
        rows: cells, as text or from `console.cell`.
        columns: headings; the first column names the row.
        title: title above the table.
        whole: headings of further columns that are never wrapped; the first column never is.
    """
    from rich import box
    from rich.table import Table

    built = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    cells = [[cell if hasattr(cell, "plain") else console.cell(cell) for cell in row] for row in rows]
    for index, heading in enumerate(columns):
        fixed = index == 0 or heading in whole
        width = _max_width(heading, [row[index] for row in cells]) if fixed else None
        built.add_column(heading, style="" if index else "bold cyan", overflow="fold", width=width)
    for row in cells:
        built.add_row(*row)
    return built


def listing(rows: Sequence[dict[str, str]], title: str) -> Table:
    """Return a table of rows with the keys ``name``, ``what it does`` and others.

    On a narrow terminal the other values are below the description instead of in columns.
    """
    from rich.console import Console

    columns = list(rows[0]) if rows else ["name", "what it does"]
    cells = {heading: [console.cell(row[heading]) for row in rows] for heading in columns}
    widths = {heading: _max_width(heading, cells[heading]) for heading in columns}
    sentence = widths.pop("what it does")
    available = Console().width - sum(widths.values()) - 3 * len(widths)
    if available >= min(sentence, READABLE):
        others = [heading for heading in widths if heading != "name"]
        return table(list(zip(*cells.values(), strict=True)), columns, title, whole=others)
    name, summary, *others = columns
    stacked = [
        [row[name], console.cell(row[summary]).append(f"\n{_format_fields(row, others)}", style="dim")]
        for row in rows
    ]
    return table(stacked, [name, summary], title)


def records(rows: Sequence[dict[str, Any]], title: str = "") -> Table:
    """Return a table of rows with the key ``name`` and others.

    On a narrow terminal the other values, except ``-``, are placed beside the name in one column.
    """
    from rich.console import Console

    columns = list(rows[0]) if rows else ["name"]
    cells = [
        {heading: v if hasattr(v, "plain") else console.cell(v) for heading, v in row.items()} for row in rows
    ]
    widths = [_max_width(heading, [row[heading] for row in cells]) for heading in columns]
    if sum(widths) + 3 * len(widths) <= Console().width:
        return table([list(row.values()) for row in cells], columns, title, whole=columns)
    name, *others = columns
    plain = [{heading: cell.plain for heading, cell in row.items()} for row in cells]
    stacked = [[row[name], _format_fields(row, [key for key in others if row[key] != "-"])] for row in plain]
    return table(stacked, [name, ""], title)


def _format_fields(row: dict[str, str], headings: Sequence[str]) -> str:
    return " · ".join(console.escape(f"{heading}: {row[heading]}") for heading in headings)


def _max_width(heading: str, cells: Sequence[Text]) -> int:
    return max([len(heading), *(cell.cell_len for cell in cells)])
