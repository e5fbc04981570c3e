"""Progress of a run: a live display on a terminal, a few lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.training.events import RunEvents, RunListener
from mtkd_cli.training.progress_bar import PhaseDisplay
from mtkd_cli.training.time_left import TimeLeft, format_seconds

if TYPE_CHECKING:
    from mtkd_cli.training.loop import Losses, Step

REFRESH_SECONDS = 0.1
LINE_SECONDS = 10.0
"""Minimum time between two lines of a phase where there is no terminal."""
LINE_SHARE = 0.1
"""Share of a phase between two lines where there is no terminal."""
MAX_LINE_SECONDS = 300.0
"""Time after which a line is printed in any case where there is no terminal."""
NOT_METRICS = ("step", "epoch", "lr", "task_loss", "kd_loss")


class Screen(Protocol):
    """Shows the current phase, as rich's ``Live`` does."""

    def update(self, display: PhaseDisplay, /) -> None:
        """Show the state of the phase."""


Notes = Callable[[], Sequence[str]]
"""Returns facts to show beside the progress, most important first. Called only when they are shown."""


@dataclass
class _Phase:
    """The current phase. Its units (samples or steps) are those of the current candidate, if it has any.

    Attributes:
        name: name in ``metrics.jsonl``.
        total: number of units.
        done: completed units, including those of an earlier process.
        candidate: number of the current candidate and number of candidates; None without a search.
        settings: settings of the current candidate, in words.
        worked: whether this process completed any unit.
        finished_before: candidates in a row that an earlier process finished.
        samples: training samples that this process has seen.
    """

    name: str = ""
    total: int = 0
    done: int = 0
    candidate: tuple[int, int] | None = None
    settings: str = ""
    worked: bool = False
    finished_before: int = 0
    samples: int = 0
    score: tuple[str, ...] = ()
    notes: Sequence[str] = ()
    time_left: TimeLeft = field(default_factory=TimeLeft)
    started: float = field(default_factory=lambda: time.monotonic())
    shown_at: float = field(default_factory=lambda: time.monotonic())
    shown_share: float = 0.0

    @property
    def title(self) -> str:
        """Name, with the candidate: ``distill 2/3 (lr 0.01)``."""
        if self.candidate is None:
            return self.name
        number, count = self.candidate
        return f"{self.name} {number}/{count}" + (f" ({self.settings})" if self.settings else "")

    @property
    def share(self) -> float:
        """Completed share, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def left(self) -> str:
        """Estimated time left; empty during the warm-up and at the end."""
        seconds = self.time_left.seconds(self.total - self.done) if self.done < self.total else None
        return "" if seconds is None else format_seconds(seconds)

    def is_line_due(self, now: float) -> bool:
        """Whether a line is due where there is no terminal."""
        waited, progressed = now - self.shown_at, self.share - self.shown_share
        due = waited >= MAX_LINE_SECONDS or (waited >= LINE_SECONDS and progressed >= LINE_SHARE)
        return due and 0 < self.done < self.total


class Progress:
    """Shows the phases of a run, one at a time. Implements `mtkd_cli.training.loop.TrainingListener`.

    Args:
        console: console that shows phases and lines; None shows nothing.
        listeners: further receivers of every line and every row.
        shown_remarks: keys of the remarks already shown; runs that share them do not repeat remarks.
        screen: receiver of the live display, instead of a console that is a terminal.
    """

    def __init__(
        self,
        console: Console | None = None,
        listeners: Iterable[RunListener] = (),
        shown_remarks: set[str] | None = None,
        screen: Screen | None = None,
    ) -> None:
        self.console, self.shown_remarks = console, set() if shown_remarks is None else shown_remarks
        self._screen = screen
        self._listeners = tuple(listeners)
        on_console = () if console is None else (_ConsoleLines(console),)
        self.events = RunEvents((*on_console, *self._listeners))
        self._expected: tuple[str, ...] = ()
        self._label: dict[str, Any] = {}
        self._live: Screen | None = None
        self._phase = _Phase()

    def with_listeners(self, *more: RunListener) -> Progress:
        """Return a new progress on the same console with more listeners, outside of any phase."""
        return Progress(self.console, (*self._listeners, *more), self.shown_remarks, self._screen)

    def expect(self, phases: Sequence[str]) -> None:
        """Set the phases of the whole run, in order; they are numbered when they are shown."""
        self._expected = tuple(phases)

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Progress]:
        """Start a phase and show its progress.

        Args:
            name: name of the phase.
            total: number of units (samples or steps); with several candidates, of each of them.
        """
        phase = self._phase = _Phase(name, total)
        self._label = {"phase": name}
        with self._live_display() as self._live:
            try:
                yield self
            finally:
                self._live = None
        if phase.worked:
            facts = [f"done in {time.monotonic() - phase.started:.1f} s", *phase.notes]
            self.say(f"{self._with_number(name)}: {'  '.join(facts)}")
        elif phase.finished_before:
            self.say(f"{self._with_number(name)}: already finished, reused")

    def advance(self, amount: int = 1, notes: Notes = tuple) -> None:
        """Advance the current phase by units that this process completed."""
        now, phase = time.monotonic(), self._phase
        phase.done += amount
        phase.worked = phase.worked or amount > 0
        phase.time_left.advance(amount, now)
        refresh = self._live is not None and now - phase.shown_at >= REFRESH_SECONDS
        is_due = refresh or (self._live is None and phase.is_line_due(now))
        if not is_due and phase.done < phase.total:
            return
        phase.notes = notes()
        if self._live is not None:
            self._live.update(self._display())
        elif is_due:
            left = f", about {phase.left} left" if phase.left else ""
            facts = [f"{100 * phase.share:.0f} %{left}", *phase.notes]
            self.say(f"{self._with_number(phase.title)}: {'  '.join(facts)}")
        if is_due:
            phase.shown_at, phase.shown_share = now, phase.share

    def resume_after(self, amount: int) -> None:
        """Count units of the current phase that an earlier process completed."""
        phase = self._phase
        phase.done += amount
        if amount and phase.done < phase.total:
            self.say(f"resuming: {phase.name}, {phase.done} of {phase.total}")

    def candidate(self, number: int, count: int, settings: str = "") -> Progress:
        """Start the next candidate of the current phase; return self.

        Args:
            number: number of the candidate, from 1.
            count: number of candidates, as far as it is known.
            settings: settings of the candidate, in words.
        """
        phase = self._phase
        phase.candidate, phase.settings, phase.done, phase.shown_share = (number, count), settings, 0, 0.0
        self._label = {"phase": phase.name, "candidate": number}
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
        """Show where a training resumes, and pass on the rows of its curve."""
        phase = self._phase
        phase.done += done
        if done and done >= phase.total:
            phase.finished_before += 1
        elif done or phase.finished_before:
            which = "" if phase.candidate is None else ", candidate {} of {}".format(*phase.candidate)
            self.say(f"resuming: {phase.name}{which}, step {done} of {phase.total}")
            phase.finished_before = 0
        self.events.training_began(self._label, curve)

    def on_step(self, step: Step, losses: Losses) -> None:
        """Show one optimizer step."""
        phase = self._phase
        phase.samples += step.batch or len(step.indices)

        def notes() -> tuple[str, ...]:
            rate = phase.samples / max(1e-9, time.monotonic() - phase.started)
            kd = () if losses.kd is None else (f"kd {losses.kd.item():.3f}",)
            task = f"task {losses.task.item():.3f}"
            return f"epoch {step.epoch + 1}", *phase.score, task, *kd, f"{rate:,.0f} samples/s"

        self.advance(notes=notes)

    def on_evaluation(self, row: dict[str, float]) -> None:
        """Show one evaluation and pass it on."""
        metric = next(((name, value) for name, value in row.items() if name not in NOT_METRICS), None)
        self._phase.score = () if metric is None else (f"{metric[0]} {format_number(metric[1])}",)
        self.events.epoch_finished({**self._label, **row})

    @contextmanager
    def _live_display(self) -> Iterator[Screen | None]:
        """Yield the receiver of the live display of a phase; None if there is none."""
        if self._screen is not None:
            self._screen.update(self._display())
            yield self._screen
        elif self.console is not None and self.console.is_terminal:
            with Live(self._display(), console=self.console, transient=True) as live:
                yield live
        else:
            yield None

    def _with_number(self, title: str) -> str:
        """Return the title of the current phase with its number: ``phase 3 of 8: distill``."""
        if self._phase.name not in self._expected:
            return title
        return f"phase {self._expected.index(self._phase.name) + 1} of {len(self._expected)}: {title}"

    def _display(self) -> PhaseDisplay:
        phase = self._phase
        return PhaseDisplay(self._with_number(phase.title), phase.share, phase.left, phase.notes)


class _ConsoleLines(RunListener):
    """Prints lines and tables. A terminal breaks long lines between words; elsewhere they stay whole."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def line_shown(self, line: str) -> None:
        whole = not self.console.is_terminal
        self.console.print(line, highlight=False, markup=False, soft_wrap=whole)

    def table_shown(self, table: Table) -> None:
        self.console.print(table)
