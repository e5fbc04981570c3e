"""Which columns of a table fit into the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

GAP = 3
"""Characters between two columns."""


def fitting_columns(columns: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """Return the names of the columns that fit without breaking a word; always the first one.

    Args:
        columns: cells of each column, the most important column first.
        width: width of the terminal, in characters.
    """
    left, kept = width, list[str]()
    for name, cells in columns.items():
        left -= max(map(len, [name, *cells])) + (GAP if kept else 0)
        if kept and left < 0:
            break
        kept.append(name)
    return kept
