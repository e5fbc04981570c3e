"""Train several students at a time, each in a process of its own, with one display for all.

A student is trained with as many threads as without other students beside it, so its bits are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from rich.console import Group
from rich.live import Live

from mtkd_cli.compare.job import Job
from mtkd_cli.distributed import signals
from mtkd_cli.distributed.workers import Message, Stopped, WorkerPool
from mtkd_cli.errors import error_from_dict
from mtkd_cli.training.progress import Progress
from mtkd_cli.training.progress_bar import PhaseDisplay

Result = TypeVar("Result")
REFRESH_SECONDS = 0.2


class WorkerCrash(Exception):  # noqa: N818  (it names what happened)
    """An unexpected exception in a worker, with its traceback."""


class Parallel:
    """Runs jobs in worker processes.

    Args:
        size: maximum number of jobs at a time.
        progress: display for all jobs.
    """

    def __init__(self, size: int, progress: Progress) -> None:
        self.progress = progress
        self.pool = WorkerPool("mtkd_cli.compare.worker", size)
        self._displays: dict[str, PhaseDisplay] = {}

    def __enter__(self) -> Parallel:
        return self

    def __exit__(self, *failure: Any) -> None:
        self.pool.__exit__(*failure)

    def run(self, job: Job, label: str) -> Message:
        """Do a job and return its last message, see `mtkd_cli.compare.worker.do`. Called by `all_of`.

        Args:
            job: the job.
            label: short name of the job, before its lines.

        Raises:
            MtkdError: the job failed, or its process died.
            WorkerCrash: the job raised another exception.
            Stopped: the job was stopped.
        """
        console, shown = self.progress.console, self.progress.shown_remarks
        live = console is not None and console.is_terminal
        job = replace(job, shown_remarks=tuple(sorted(shown)), live=live)

        def show(message: Message) -> None:
            if "line" in message:
                self.progress.say(f"[{label}] {message['line']}")
            if "display" in message:
                title, *rest = message["display"]
                self._displays[label] = PhaseDisplay(f"[{label}] {title}", *rest)

        try:
            last = self.pool.run(job.as_dict(), show)
        finally:
            self._displays.pop(label, None)
        if last["end"] == "failed":
            raise error_from_dict(last["error"])
        if last["end"] == "crashed":
            raise WorkerCrash(f"{last['what']}\n{last['trace']}")
        shown.update(last["shown"])
        return last

    def all_of(self, work: Sequence[Callable[[], Result]]) -> list[Result]:
        """Call functions in threads, as many at a time as there are workers; return their results in order.

        Raises:
            Interrupted: a signal came; all jobs have stopped at a safe point.
            KeyboardInterrupt: a second signal came; all jobs were killed.
            Exception: what a function raised; the others have stopped.
        """
        with signals.defer() as stopping, ThreadPoolExecutor(self.pool.size) as threads, self._display():
            futures = [threads.submit(each) for each in work]
            try:
                self._wait(futures, stopping)
            except BaseException:
                self._stop(futures)
                self.pool.kill()
                raise
        return [future.result() for future in futures]

    def _wait(self, futures: Sequence[Future[Any]], stopping: Callable[[], bool]) -> None:
        """Wait for all functions; stop them after a signal or a failure."""
        pending, failure = set(futures), None
        is_stopped = False
        while pending:
            done, pending = wait(pending, timeout=REFRESH_SECONDS, return_when=FIRST_COMPLETED)
            failure = failure or next((e for future in done if (e := _failure_of(future))), None)
            if (stopping() or failure) and not is_stopped:
                self._stop(futures)
                is_stopped = True
        if isinstance(failure, Stopped):
            raise signals.Interrupted
        if failure and not stopping():
            raise failure
        if stopping():
            raise signals.Interrupted

    def _stop(self, futures: Sequence[Future[Any]]) -> None:
        for future in futures:
            future.cancel()
        self.pool.stop()

    @contextmanager
    def _display(self) -> Iterator[None]:
        """Show the phases of all jobs, on a terminal."""
        console = self.progress.console
        if console is None or not console.is_terminal:
            yield
            return

        def rows() -> Group:
            return Group(*(display for _, display in sorted(self._displays.items())))

        with Live(
            get_renderable=rows, console=console, transient=True, refresh_per_second=1 / REFRESH_SECONDS
        ):
            yield


def _failure_of(future: Future[Any]) -> BaseException | None:
    return None if future.cancelled() else future.exception()
