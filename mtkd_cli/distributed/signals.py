"""SIGINT and SIGTERM: the first one stops where nothing is lost, the second at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

PASSED_ON = "TORCHELASTIC_RUN_ID"
"""Is set in what torch's launcher started, which passes signals on."""
ONE_SIGNAL_SECONDS = 10.0
"""A signal that a launcher passes on, and that a scheduler sent to all, is one."""

_received = 0
_first_at = 0.0
_deferring = 0


class Interrupted(KeyboardInterrupt):
    """A first signal: everything up to here is kept. Its text says how to go on."""


@contextmanager
def handled() -> Iterator[None]:
    """Within, a first signal raises `Interrupted`, a second `KeyboardInterrupt`, a third ends the process.

    A signal that the process was started to ignore stays ignored. Outside the main thread nothing changes.
    """
    global _received
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received = 0
    before = {number: signal.getsignal(number) for number in SIGNALS}
    caught = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in caught:
        signal.signal(number, _receive)
    try:
        yield
    finally:
        _received = 0  # a later training in this process was not told to stop
        for number in caught:
            signal.signal(number, before[number])


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Within, a first signal waits. Gives whether one came; one that nobody heeded is raised at the end.

    Raises:
        Interrupted: a signal came.
    """
    global _deferring
    _deferring += 1
    try:
        yield lambda: _received > 0
    finally:
        _deferring -= 1
    if _received and not _deferring:
        raise Interrupted


def _receive(number: int, frame: FrameType | None) -> None:
    global _received, _first_at
    if _received and PASSED_ON in os.environ and time.monotonic() - _first_at < ONE_SIGNAL_SECONDS:
        return
    _received, _first_at = _received + 1, time.monotonic()
    if _received > 2:
        os._exit(130)
    if _received > 1:
        raise KeyboardInterrupt
    if not _deferring:
        raise Interrupted
    if os.environ.get("RANK", "0") != "0":
        return
    # Not through a stream of Python's, which may be in the middle of a write.
    os.write(2, b"\nstopping after this step; again to stop at once\n")
