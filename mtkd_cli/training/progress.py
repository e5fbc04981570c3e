"""Progress of a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.training.events import RunEvents, RunListener

if TYPE_CHECKING:
    from mtkd_cli.training.loop import Losses, Step

PLAIN_EVERY_SECONDS = 5.0
REFRESH_SECONDS = 0.1


class Progress:
    """Shows the phases of a run, one at a time. Implements `mtkd_cli.training.loop.TrainingListener`.

    Args:
        console: console that shows phases and lines; None shows nothing.
        listeners: further receivers of every line and every row.
        shown_remarks: keys of the remarks already shown; runs that share them do not repeat remarks.
    """

    def __init__(
        self,
        console: Console | None = None,
        listeners: Iterable[RunListener] = (),
        shown_remarks: set[str] | None = None,
    ) -> None:
        self.console, self.shown_remarks = console, set() if shown_remarks is None else shown_remarks
        self._listeners = tuple(listeners)
        on_console = () if console is None else (_ConsoleLines(console),)
        self.events = RunEvents((*on_console, *self._listeners))
        self._label: dict[str, Any] = {}
        self._bars: Bars | None = None
        self._name, self._note, self._score, self._total, self._done, self._samples = "", "", "", 0, 0, 0
        self._started = self._shown = 0.0

    def with_listeners(self, *more: RunListener) -> Progress:
        """Return a new progress on the same console with more listeners, outside of any phase."""
        return Progress(self.console, (*self._listeners, *more), self.shown_remarks)

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Progress]:
        """Start a phase of ``total`` units (samples or steps) and show its progress."""
        self._name, self._note, self._score, self._total, self._done, self._samples = (
            name,
            "",
            "",
            total,
            0,
            0,
        )
        self._label = {"phase": name}
        self._started = self._shown = time.monotonic()
        live = self.console is not None and self.console.is_terminal
        if live:
            fixed = Column(no_wrap=True)
            columns = (
                TextColumn("{task.description}", table_column=fixed),
                BarColumn(bar_width=12, table_column=fixed),
                TextColumn("{task.percentage:>3.0f}%", table_column=fixed),
                TimeRemainingColumn(compact=True, table_column=fixed),
                TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, ratio=1)),
            )
            with Bars(*columns, console=self.console, transient=True, expand=True) as self._bars:
                self._bars.add_task(name, total=total, note="")
                yield self
            self._bars = None
        else:
            yield self
        seconds = time.monotonic() - self._started
        if self._done:
            self.say(f"{name}: done in {seconds:.1f} s{'; ' + self._note if self._note else ''}")

    def advance(self, amount: int = 1, note: Callable[[], str] = str) -> None:
        """Advance the current phase.

        Args:
            amount: number of units completed.
            note: function that returns text to show beside the progress; called only when it is shown.
        """
        self._done += amount
        now = time.monotonic()
        every = PLAIN_EVERY_SECONDS if self._bars is None else REFRESH_SECONDS
        if now - self._shown < every and self._done < self._total:
            return
        self._shown, self._note = now, note()
        if self._bars is not None:
            self._bars.update(self._bars.task_ids[0], completed=self._done, note=self._note)
        elif 0 < self._done < self._total:
            left = (now - self._started) / self._done * (self._total - self._done)
            self.say(
                f"{self._name}: {self._done} of {self._total}, about {left:.0f} s left  {self._note}".rstrip()
            )

    def extend(self, amount: int) -> None:
        """Add units to the total of the current phase."""
        self._total += amount
        if self._bars is not None:
            self._bars.update(self._bars.task_ids[0], total=self._total)

    def candidate(self, number: int) -> Progress:
        """Label the rows of the current phase with a candidate's number; return self."""
        self._label = {"phase": self._name, "candidate": number}
        return self

    def say(self, line: str) -> None:
        """Show one line and log it."""
        self.events.line_shown(line)

    def remark(self, lines: Sequence[str], table: Table | None = None, about: object = None) -> None:
        """Log lines, and show them and a table unless they were already shown ``about`` the same subject."""
        key = repr((tuple(lines), about))
        already_shown = key in self.shown_remarks
        self.shown_remarks.add(key)
        emit = self.events.line_logged if already_shown else self.events.line_shown
        for line in lines:
            emit(line)
        if table is not None and not already_shown:
            self.events.table_shown(table)

    def on_start(self, done: int, curve: list[dict[str, float]]) -> None:
        """Show that a training resumes, and pass on the rows of its curve."""
        if done:
            self.say(f"{self._name}: resuming after step {done}")
            self._done += done
        self.events.training_began(self._label, curve)

    def on_step(self, step: Step, losses: Losses) -> None:
        """Show one optimizer step."""
        self._samples += step.batch or len(step.indices)

        def note() -> str:
            rate = self._samples / max(1e-9, time.monotonic() - self._started)
            kd = "" if losses.kd is None else f"  kd {losses.kd.item():.3f}"
            losses_now = f"task {losses.task.item():.3f}{kd}"
            return f"epoch {step.epoch + 1}  {losses_now}{self._score}  {rate:,.0f} samples/s"

        self.advance(note=note)

    def on_evaluation(self, row: dict[str, float]) -> None:
        """Show one evaluation and pass it on."""
        name, value = next(((k, v) for k, v in row.items() if k not in _NOT_METRICS), ("", 0.0))
        self._score = f"  {name} {shown(value)}" if name else ""
        self.events.epoch_finished({**self._label, **row})


class _ConsoleLines(RunListener):
    """Prints lines and tables."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def line_shown(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def table_shown(self, table: Table) -> None:
        self.console.print(table)


_NOT_METRICS = ("step", "epoch", "lr", "task_loss", "kd_loss")
