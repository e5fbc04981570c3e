"""SIGINT and SIGTERM: the first one stops at a safe point, the second one stops immediately."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)

TORCH_LAUNCHER = "TORCHELASTIC_RUN_ID"
"""Environment variable that torch's launcher sets; this launcher forwards the signals it receives."""
ONE_SIGNAL_SECONDS = 10.0
"""Time within which signals count as one: the scheduler's, and the same one forwarded by the launcher."""

_received = 0
_first_at = 0.0
_deferring = 0


class Interrupted(KeyboardInterrupt):
    """A first signal came; finished work is kept. The text says how to resume."""


@contextmanager
def handle() -> Iterator[None]:
    """Raise `Interrupted` on a first signal and `KeyboardInterrupt` on a second; exit on a third.

    A signal that this process inherited as ignored stays ignored. Outside the main thread this does nothing.
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
        _received = 0  # so that a later command in this process does not stop
        for number in caught:
            signal.signal(number, before[number])


@contextmanager
def defer() -> Iterator[Callable[[], bool]]:
    """Defer a first signal to the end of the block; yield a function that tells whether one came.

    Raises:
        Interrupted: a signal came within the block.
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
    if _received and TORCH_LAUNCHER in os.environ and time.monotonic() - _first_at < ONE_SIGNAL_SECONDS:
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
    # Write to the descriptor: Python's stream may be in the middle of a write.
    os.write(2, b"\nstopping after this step; repeat the signal to stop immediately\n")
