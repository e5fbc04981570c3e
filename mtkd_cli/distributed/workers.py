"""Child processes that do one job after another. Messages are lines of JSON on their stdin and stdout."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mtkd_cli.distributed.parent_watch import PARENT
from mtkd_cli.distributed.signals import FORWARDED, SIGNALS
from mtkd_cli.errors import EngineError, StoppedError

Message = dict[str, Any]
LAST_LINES = 5
"""Lines of a dead worker's stderr that its error shows."""
END_SECONDS = 20.0
"""Time that an idle worker has to end."""
STOPPED = (StoppedError.exit_code, *(-number for number in SIGNALS))
"""Exit codes of a worker that a signal of its own stopped."""


class Stopped(Exception):  # noqa: N818  (it is not an error)
    """The pool was stopped; the job can be resumed."""


class WorkerPool:
    """Worker processes. `run` may be called from several threads.

    They start at once, so that they have imported what they need when the first job comes. A worker that
    dies is replaced when the next job needs it.

    Args:
        module: module that is the worker, for ``python -m``.
        size: number of workers.
    """

    def __init__(self, module: str, size: int) -> None:
        self.size = size
        self._module = module
        self._lock, self._stopped = threading.Lock(), False
        self._folder = TemporaryDirectory(prefix="mtkd-workers-")
        self._workers: list[_Worker] = []
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(self._start())

    def _start(self) -> _Worker:
        log = Path(self._folder.name) / f"{len(self._workers)}.txt"
        worker = _Worker(self._module, log)
        self._workers.append(worker)
        return worker

    def run(self, job: Mapping[str, Any], on_message: Callable[[Message], None]) -> Message:
        """Do a job in an idle worker; return its last message, which has a key ``end``.

        Args:
            job: the job, for JSON.
            on_message: receives the other messages.

        Raises:
            Stopped: the pool was stopped before the job was finished.
            EngineError: the worker died.
        """
        worker = self._idle.get()
        try:
            with self._lock:
                if self._stopped:
                    raise Stopped
                worker = worker or self._start()
            last = worker.run(job, on_message)
            if last is not None:
                return last
            died, worker = worker, None
            if self._stopped or died.exit_code in STOPPED:
                raise Stopped
            raise died.error()
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """Ask all workers to stop at a safe point."""
        with self._lock:
            self._stopped = True
            for worker in self._workers:
                worker.send(signal.SIGTERM)

    def kill(self) -> None:
        """Kill all workers."""
        with self._lock:
            self._stopped = True
            for worker in self._workers:
                worker.send(signal.SIGKILL)

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End idle workers; kill the others."""
        if error is not None:
            self.kill()
        for worker in self._workers:
            worker.close()
        self._folder.cleanup()


class _Worker:
    """A worker process.

    Args:
        module: module that is the worker.
        log: file for its stderr.
    """

    def __init__(self, module: str, log: Path) -> None:
        self._log = log
        more = {
            FORWARDED: "1",
            PARENT: str(os.getpid()),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        with log.open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603  (this Python)
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ | more,
            )
        if process.stdin is None or process.stdout is None:
            raise TypeError("no pipes")
        self._process, self._in, self._out = process, process.stdin, process.stdout

    def run(self, job: Mapping[str, Any], on_message: Callable[[Message], None]) -> Message | None:
        """Do a job; return the last message, or None if the process died."""
        try:
            self._in.write(json.dumps(job).encode() + b"\n")
            self._in.flush()
        except BrokenPipeError:
            return None
        for line in self._out:
            try:
                message: Message = json.loads(line)
            except ValueError:  # it died while it wrote
                return None
            if "end" in message:
                return message
            on_message(message)
        return None

    def send(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    @property
    def exit_code(self) -> int:
        """Exit code of a process that died; minus the signal that killed it."""
        return self._process.wait()

    def error(self) -> EngineError:
        """Return the error of a process that died."""
        code = self.exit_code
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return EngineError(
            f"the process of this job {how}",
            where=" | ".join(lines[-LAST_LINES:]),
            hint="check whether the machine ran out of memory; --jobs 1 needs less",
        )

    def close(self) -> None:
        """End the process when its job is done; kill it if it does not end."""
        with contextlib.suppress(BrokenPipeError):
            self._in.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()
