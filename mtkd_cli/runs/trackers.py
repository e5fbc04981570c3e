"""Run trackers, each on its own thread: one that raises or hangs does not stop the run."""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtkd_cli.errors import type_and_first_line
from mtkd_cli.interfaces.tracker import Tracker
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.training.events import RunListener

PATIENCE_SECONDS = 30.0
"""How long the end of a run waits for a slow tracker, which may be sending what it has."""


@contextmanager
def running_trackers(parts: Iterable[Part], warn: Callable[[str], None]) -> Iterator[tuple[RunListener, ...]]:
    """Yield a listener for each tracker; at the end, also after a failure, wait a little for them."""
    threads = tuple(TrackerThread(part, warn) for part in parts)
    try:
        yield threads
    finally:
        for thread in threads:
            thread.close()


class TrackerThread(RunListener):
    """Passes events on to one tracker, on its own thread. The run waits for it only at its end."""

    def __init__(self, part: Part, warn: Callable[[str], None]) -> None:
        self.name = part.spec.name
        self._warn = warn
        self._calls: queue.Queue[Callable[[Tracker], None] | None] = queue.Queue()
        self._thread = threading.Thread(
            target=self._work, args=(part,), name=f"tracker {self.name}", daemon=True
        )
        self._thread.start()

    # A tracker may change its arguments: they are copies.

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        given = copy.deepcopy(recipe)
        self._calls.put(lambda tracker: tracker.run_started(given, folder))

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        given = copy.deepcopy(row)
        self._calls.put(lambda tracker: tracker.epoch_finished(given))

    def run_finished(self, report: Mapping[str, Any]) -> None:
        given = copy.deepcopy(report)
        self._calls.put(lambda tracker: tracker.run_finished(given))

    def close(self) -> None:
        """Wait a little for the queued events, then abandon the tracker."""
        self._calls.put(None)
        self._thread.join(PATIENCE_SECONDS)
        if self._thread.is_alive():
            self._warn(
                f"the tracker {self.name!r} still hangs after {PATIENCE_SECONDS:g} s; it was abandoned"
            )

    def _work(self, part: Part) -> None:
        try:
            tracker = part.create()
            while (call := self._calls.get()) is not None:
                call(tracker)
        except (Exception, SystemExit) as error:
            self._warn(
                f"the tracker {self.name!r} failed and gets no more events: {type_and_first_line(error)}"
            )
