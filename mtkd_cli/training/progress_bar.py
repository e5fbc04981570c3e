"""Draw the progress of a phase on a terminal, in two lines that fit its width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

BAR_WIDTH = 12


@dataclass(frozen=True)
class PhaseDisplay:
    """The state of a phase, as it is drawn.

    Attributes:
        title: phase and candidate; wrapped between words if it is too long.
        share: completed share, from 0 to 1.
        left: time left, or empty.
        notes: further facts, most important first; those that do not fit are left out.
    """

    title: str
    share: float
    left: str = ""
    notes: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.title, style="bold")
        numbers = f"{100 * self.share:.0f} %" + (f"  {self.left} left" if self.left else "")
        available = options.max_width - BAR_WIDTH - len(numbers) - 4
        line = Table.grid(Column(width=BAR_WIDTH), Column(no_wrap=True), Column(no_wrap=True), padding=(0, 2))
        bar = ProgressBar(total=1.0, completed=self.share, width=BAR_WIDTH)
        line.add_row(bar, Text(numbers), Text(fit_notes(self.notes, available)))
        yield line


def fit_notes(notes: Sequence[str], width: int) -> str:
    """Return the first notes that fit into ``width`` characters, separated by two spaces."""
    line = ""
    for note in notes:
        longer = f"{line}  {note}" if line else note
        if len(longer) > width:
            break
        line = longer
    return line
