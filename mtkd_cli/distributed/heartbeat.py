"""Notice processes that vanish: a machine without power or network closes no connection.

Every process writes a beat to the store through which the processes found each other, and reads those of
others. A process counts as lost if its beat does not change for `lost_after` seconds in which the reader
itself was running: the time in which a process was suspended (Ctrl-Z, a sleeping laptop) does not count.
Processes that are suspended and continued together therefore go on.
"""

from __future__ import annotations

import json
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from mtkd_cli.distributed import first_failure
from mtkd_cli.errors import EngineError
from mtkd_cli.files.lost_after import VARIABLE, lost_after

DEFAULT_SECONDS = 300.0
"""Default of `lost_after`: a process may wait for a long call into a library."""
WATCHED = 16
"""Number of processes that each one watches: those with the next ranks, in a circle."""
BEATS = 10
"""Number of beats in the time after which a process counts as lost."""
CHECKS = 20
"""Number of checks of the beats in that time."""
DONE = "done"


class Store(Protocol):
    """The part of a ``torch.distributed.Store`` that is used."""

    def set(self, key: str, value: str, /) -> None: ...

    def multi_get(self, keys: list[str], /) -> list[bytes]: ...


@dataclass
class Watch:
    """What a process knows about the others.

    Attributes:
        rank: rank of this process.
        size: number of processes.
        awake: seconds in which this process was running.
        heard: value of `awake` when the beat of each watched process changed last; infinite once it is done.
        beats: last beat of each watched process.
        who: machine and process id of each watched process.
    """

    rank: int
    size: int
    awake: float = 0.0
    heard: dict[int, float] = field(default_factory=dict)
    beats: dict[int, str] = field(default_factory=dict)
    who: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        others = range(1, min(self.size, WATCHED + 1))
        self.heard = {(self.rank + offset) % self.size: 0.0 for offset in others}

    def run(self, elapsed: float, expected: float) -> None:
        """Count time in which this process was running, at most twice what was expected."""
        self.awake += min(elapsed, 2 * expected)

    def exchange(self, store: Store, beat: str) -> None:
        """Write the beat of this process, and read those of the watched ones."""
        store.set(str(self.rank), f"{beat} {socket.gethostname()}, process id {os.getpid()}")
        ranks = list(self.heard)
        for rank, value in zip(ranks, store.multi_get([str(rank) for rank in ranks]), strict=True):
            beat, _, self.who[rank] = value.decode().partition(" ")
            if beat == DONE:
                self.heard[rank] = math.inf
            elif beat != self.beats.get(rank):
                self.heard[rank] = self.awake
            self.beats[rank] = beat

    def silent(self, seconds: float) -> list[int]:
        """Return the ranks of the processes that were silent for so long."""
        return [rank for rank, heard in self.heard.items() if self.awake - heard > seconds]


@contextmanager
def watch_others(
    rank: int,
    size: int,
    connect: Callable[[timedelta], Store],
    end: Callable[[EngineError, bool], object],
) -> Iterator[None]:
    """Watch the other processes within the block.

    Args:
        rank: rank of this process.
        size: number of processes.
        connect: returns a connection to the store of the processes, given the timeout of its operations.
        end: ends this process because of an error, given whether to report it; called in a thread.

    Raises:
        UsageError: see `lost_after`.
    """
    seconds, stop, state = lost_after(DEFAULT_SECONDS), threading.Event(), Watch(rank, size)
    beating = threading.Thread(
        target=_beat, args=(state, connect, seconds, stop), name="heartbeat", daemon=True
    )
    checking = threading.Thread(
        target=_check, args=(state, seconds, stop, end), name="watch the others", daemon=True
    )
    beating.start()
    checking.start()
    try:
        yield
    finally:
        stop.set()
        checking.join()
        beating.join(seconds / BEATS + 1)  # it says that this process is done, unless the store is gone


def end_process(error: EngineError, report: bool = True) -> None:
    """Report an error and exit at once: the main thread waits in a collective, which cannot be interrupted.

    mtkd's launcher does not know the cause of this exit, so it is reported on stderr even below it.
    """
    if report:
        lines = "\n".join((f"error: {error.what}", *error.details(), ""))
        os.write(2, lines.encode())
        if "--json" in sys.argv and first_failure.FILE not in os.environ:
            os.write(1, (json.dumps({"error": error.as_dict()}, indent=2) + "\n").encode())
    os._exit(EngineError.exit_code)


def _beat(state: Watch, connect: Callable[[timedelta], Store], seconds: float, stop: threading.Event) -> None:
    """Exchange beats until the block ends; connect again after a failure."""
    store: Store | None = None
    number, is_last = 0, False
    while not is_last:
        is_last = stop.is_set()
        if is_last and store is None:  # connecting to a store that is gone would take long
            return
        try:
            store = store or connect(timedelta(seconds=seconds))
            state.exchange(store, DONE if is_last else str(number))
        except (RuntimeError, ValueError, OSError):  # torch's errors of a store are RuntimeErrors
            store = None
        number += 1
        stop.wait(seconds / BEATS)


def _check(
    state: Watch, seconds: float, stop: threading.Event, end: Callable[[EngineError, bool], object]
) -> None:
    """Check the beats until the block ends."""
    expected, before = seconds / CHECKS, time.monotonic()
    while not stop.wait(expected):
        now = time.monotonic()
        state.run(now - before, expected)
        before = now
        if silent := state.silent(seconds):
            first = state.rank - int(os.environ.get("LOCAL_RANK") or 0)  # the first rank on this machine
            end(_lost(state, silent, seconds), first == state.rank or first in silent)
            return


def _lost(state: Watch, silent: list[int], seconds: float) -> EngineError:
    lost = ", ".join(f"{rank} ({state.who.get(rank) or 'unknown machine'})" for rank in sorted(silent))
    plural = "es" if len(silent) > 1 else ""
    return EngineError(
        f"no sign of life from process{plural} {lost} of this run for {seconds:g} seconds",
        where=f"process {state.rank} of {state.size} on {socket.gethostname()}",
        hint=f"check that machine and the network, and resume the run; {VARIABLE} sets the seconds",
    )
