"""Events of a run: a listener overrides the methods of the events it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


class RunListener:
    """Receives the events of a run. Every method does nothing by default."""

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """The run starts or resumes; its folder contains the recipe."""

    def line_shown(self, line: str) -> None:
        """A line for the user."""

    def line_logged(self, line: str) -> None:
        """A line for the log file only."""

    def table_shown(self, table: Table) -> None:
        """A table for the terminal only."""

    def training_began(self, label: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """A training starts, or resumes with the rows of its curve so far.

        Args:
            label: its phase, and its candidate number if there are several.
            rows: rows of the curve, without the label.
        """

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """An evaluation is complete; the row includes the label of its training."""

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """The report is complete."""


@dataclass(frozen=True)
class RunEvents(RunListener):
    """Passes each event on to all listeners, in order."""

    listeners: tuple[RunListener, ...] = ()

    def with_listeners(self, *more: RunListener) -> RunEvents:
        """Return a copy with more listeners."""
        return replace(self, listeners=(*self.listeners, *more))

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        for listener in self.listeners:
            listener.run_started(recipe, folder)

    def line_shown(self, line: str) -> None:
        for listener in self.listeners:
            listener.line_shown(line)

    def line_logged(self, line: str) -> None:
        for listener in self.listeners:
            listener.line_logged(line)

    def table_shown(self, table: Table) -> None:
        for listener in self.listeners:
            listener.table_shown(table)

    def training_began(self, label: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
        for listener in self.listeners:
            listener.training_began(label, rows)

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        for listener in self.listeners:
            listener.epoch_finished(row)

    def run_finished(self, report: Mapping[str, Any]) -> None:
        for listener in self.listeners:
            listener.run_finished(report)
