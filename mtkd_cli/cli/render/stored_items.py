"""The table of ``mtkd store list``: items by the model that they belong to, largest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mtkd_cli.cli.tables import table
from mtkd_cli.report.units import bytes_in_words
from mtkd_cli.store.inventory import Item

if TYPE_CHECKING:
    from rich.table import Table

BASELINES = ("alone", "pseudo-labels", "all-labels")
"""Kinds of trained students."""


def stored_items(items: Sequence[Item], folder: str) -> Table:
    """Return a table with a row for each teacher, student or data source, and its items below it.

    Args:
        items: the items of the store.
        folder: the store.
    """
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(_owner(item), []).append(item)
    rows = []
    for owner, members in sorted(groups.items(), key=lambda group: -_bytes(group[1])):
        rows.append([owner, f"{len(members)} items", bytes_in_words(_bytes(members)), ""])
        rows += [
            ["", _describe(item), bytes_in_words(item.bytes), _last_used(item)]
            for item in sorted(members, key=lambda item: -item.bytes)
        ]
    title = f"{folder}: {bytes_in_words(_bytes(items))}"
    return table(rows, ["model", "what", "size", "last used"], title, whole=("size", "last used"))


def _owner(item: Item) -> str:
    if item.kind in BASELINES:
        return f"student {item.model}"
    return f"teacher {item.model}" if item.model else "data"


def _describe(item: Item) -> str:
    parts = [item.kind, item.what.removeprefix(item.model).removeprefix(", "), item.rounding]
    return ", ".join(filter(None, parts)) + ("" if item.is_complete else " (incomplete)")


def _last_used(item: Item) -> str:
    return f"{item.as_dict()['age_seconds'] / 86400:.1f} days ago"


def _bytes(items: Sequence[Item]) -> int:
    return sum(item.bytes for item in items)
