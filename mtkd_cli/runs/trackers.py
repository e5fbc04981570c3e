"""Tell trackers what happens, each on a thread of its own: one that raises or hangs stops nothing."""

from __future__ import annotations

import copy
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mtkd_cli.recipe.resolve import Part

PATIENCE_SECONDS = 5.0
"""How long the end of a run waits for a slow tracker."""


@contextmanager
def following(parts: Iterable[Part], warn: Callable[[str], None]) -> Iterator[Callable[..., None]]:
    """Yield what tells every tracker of a call; at the end, also of a run that fails, they may finish."""
    followers = [Following(part, warn) for part in parts]

    def tell(method: str, *arguments: Any) -> None:
        for follower in followers:
            follower.tell(method, *arguments)

    try:
        yield tell
    finally:
        for follower in followers:
            follower.close()


class Following:
    """One tracker, following a run. It is told less, never waited for while the run goes on."""

    def __init__(self, part: Part, warn: Callable[[str], None]) -> None:
        self.name = part.spec.name
        self._warn = warn
        self._calls: queue.Queue[tuple[str, tuple[Any, ...]] | None] = queue.Queue()
        self._thread = threading.Thread(
            target=self._work, args=(part,), name=f"tracker {self.name}", daemon=True
        )
        self._thread.start()

    def tell(self, method: str, *arguments: Any) -> None:
        """Queue one call; a tracker may do to its arguments what it likes: they are copies."""
        self._calls.put((method, copy.deepcopy(arguments)))

    def close(self) -> None:
        """Wait a little for what is queued, then leave the tracker behind."""
        self._calls.put(None)
        self._thread.join(PATIENCE_SECONDS)
        if self._thread.is_alive():
            self._warn(
                f"the tracker {self.name!r} still hangs after {PATIENCE_SECONDS:g} s; it was left behind"
            )

    def _work(self, part: Part) -> None:
        try:
            tracker = part.create()
            while (call := self._calls.get()) is not None:
                method, arguments = call
                getattr(tracker, method)(*arguments)
        except (Exception, SystemExit) as error:
            self._warn(
                f"the tracker {self.name!r} failed and is told nothing more: {type(error).__name__}: {error}"
            )
