"""How teachers' label spaces meet the data's, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

ROWS = 20
"""Classes that are shown at most."""


def table(classes: Sequence[str], own: Mapping[str, Sequence[Sequence[str]]]) -> Table:
    """Return for each of the data's classes what answers it in each teacher.

    Args:
        classes: the data's.
        own: by teacher, for each of the data's classes the teacher's own (see `ReadyTeacher.own_classes`).
    """
    shown = Table(
        title="label spaces", title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, show_edge=False
    )
    shown.add_column("class")
    for name in own:
        shown.add_column(Text(name))
    for place, label in enumerate(classes[:ROWS]):
        answers = [" + ".join(groups[place]) or "-" for groups in own.values()]
        shown.add_row(*(Text(cell) for cell in (label, *answers)))
    if len(classes) > ROWS:
        shown.add_row(f"and {len(classes) - ROWS} more", *([""] * len(own)))
    return shown
