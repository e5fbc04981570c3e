"""SIGINT and SIGTERM: the first one stops at a safe point, the second one stops immediately.

`start` handles them from the first line of the program to its last: it is called before anything else is
imported, so this module imports the standard library only.
"""

from __future__ import annotations

import _thread
import atexit
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
FORWARDED = "MTKD_SIGNALS_FORWARDED"
"""Environment variable of a process whose parent forwards the signals that it receives."""
ONE_SIGNAL_SECONDS = 10.0
"""Time within which signals count as one: the terminal's or scheduler's, and the same one forwarded."""

AGAIN_SECONDS = 0.02
"""Time after which a signal that came during an import is delivered again."""

_received = 0
_first_at = 0.0
_deferring = 0
_installed = False
_starting = False
_finished = False
_is_again = False


class Interrupted(KeyboardInterrupt):
    """A first signal came; finished work is kept. The text says how to resume."""


def start() -> None:
    """Handle signals from now until the process has ended; note them only until `started`.

    A signal that this process inherited as ignored stays ignored.
    """
    global _installed, _starting
    _installed = _starting = True
    caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in caught:
        signal.signal(number, _receive)

    def ignore() -> None:
        # Python restores the defaults of all signals but the ignored ones when it finalizes.
        for number in caught:
            signal.signal(number, signal.SIG_IGN)

    atexit.register(ignore)  # registered first, so it is called last


def started() -> None:
    """Let signals raise: errors are reported from now on.

    Raises:
        Interrupted: a signal came since `start`.
    """
    global _starting
    if _starting:
        _starting = False
        if _received:
            raise Interrupted


def finish() -> None:
    """Ignore the first signals from now on: the work is done, and so the exit code is known."""
    global _finished
    _finished = True


@contextmanager
def handle() -> Iterator[None]:
    """Raise `Interrupted` on a first signal and `KeyboardInterrupt` on a second; exit on a third.

    A signal that this process inherited as ignored stays ignored. Outside the main thread, and in a program
    that called `start`, this does nothing.
    """
    global _received, _finished
    if _installed or threading.current_thread() is not threading.main_thread():
        yield
        return
    _received, _finished = 0, False
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
    global _received, _first_at, _is_again
    if _is_again:
        _is_again = False
    else:
        is_forwarded = TORCH_LAUNCHER in os.environ or FORWARDED in os.environ
        if _received and is_forwarded and time.monotonic() - _first_at < ONE_SIGNAL_SECONDS:
            return
        _received, _first_at = _received + 1, time.monotonic()
    if _received > 2:
        os._exit(130)
    if _starting or _finished:
        return
    if _received > 1:
        raise KeyboardInterrupt
    if not _deferring:
        if _is_importing(frame):
            _thread.start_new_thread(_deliver_again, (number,))
            return
        raise Interrupted
    if os.environ.get("RANK", "0") != "0":
        return
    # Write to the descriptor: Python's stream may be in the middle of a write.
    os.write(2, b"\nstopping after this step; repeat the signal to stop immediately\n")


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a frame is below an import, where libraries catch exceptions or do not survive them."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _deliver_again(number: int) -> None:
    """Deliver a signal again after a short time."""
    global _is_again
    time.sleep(AGAIN_SECONDS)
    _is_again = True
    os.kill(os.getpid(), number)
