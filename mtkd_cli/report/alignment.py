"""A table of the classes of the data and the teachers' classes that match them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

ROWS = 20
"""Maximum number of classes in the table."""


def table(classes: Sequence[str], own: Mapping[str, Sequence[Sequence[str]]]) -> Table:
    """Return a table with a row for each class of the data and a column for each teacher.

    Args:
        classes: class names of the data.
        own: by teacher, the teacher's classes that match each class of the data; see
            `ReadyTeacher.own_classes`.
    """
    shown = Table(
        title="label spaces", title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, show_edge=False
    )
    shown.add_column("class")
    for name in own:
        shown.add_column(Text(name))
    for index, label in enumerate(classes[:ROWS]):
        answers = [" + ".join(groups[index]) or "-" for groups in own.values()]
        shown.add_row(*(Text(cell) for cell in (label, *answers)))
    if len(classes) > ROWS:
        shown.add_row(f"and {len(classes) - ROWS} more", *([""] * len(own)))
    return shown
