"""How tables look: light rules, names never cut, control characters written out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mtkd_cli.cli import console

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

READABLE = 40
"""Columns that a sentence needs to be easy to read."""


def table(
    rows: Sequence[Sequence[Any]], columns: Sequence[str], title: str = "", whole: Sequence[str] = ()
) -> Table:
    """Return a table.

    Args:
        rows: cells, as text or as `console.cell` made them.
        columns: their headings; the first is the name of the row.
        title: stands above it.
        whole: columns that are never wrapped, besides the first.

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
        width = _widest(heading, [row[index] for row in cells]) if fixed else None
        built.add_column(heading, style="" if index else "bold cyan", overflow="fold", width=width)
    for row in cells:
        built.add_row(*row)
    return built


def listing(rows: Sequence[dict[str, str]], title: str) -> Table:
    """Return a table of rows of ``name``, ``what it does`` and more facts.

    Where the sentence would be squeezed, the other facts stand below it instead of beside it.
    """
    from rich.console import Console

    columns = list(rows[0]) if rows else ["name", "what it does"]
    cells = {heading: [console.cell(row[heading]) for row in rows] for heading in columns}
    widths = {heading: _widest(heading, cells[heading]) for heading in columns}
    sentence = widths.pop("what it does")
    room = Console().width - sum(widths.values()) - 3 * len(widths)
    if room >= min(sentence, READABLE):
        others = [heading for heading in widths if heading != "name"]
        return table(list(zip(*cells.values(), strict=True)), columns, title, whole=others)
    name, said, *others = columns
    stacked = [
        [row[name], console.cell(row[said]).append(f"\n{_facts(row, others)}", style="dim")] for row in rows
    ]
    return table(stacked, [name, said], title)


def _facts(row: dict[str, str], headings: Sequence[str]) -> str:
    return " · ".join(console.plain(f"{heading}: {row[heading]}") for heading in headings)


def _widest(heading: str, cells: Sequence[Text]) -> int:
    return max([len(heading), *(cell.cell_len for cell in cells)])
