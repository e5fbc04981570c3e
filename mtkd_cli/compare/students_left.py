"""Estimate the time until all students of a comparison are trained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class JobTime:
    """A job that is timed.

    Attributes:
        fresh: whether it was work; a reused result says nothing about the others.
    """

    fresh: bool = False


class TimeLeft:
    """Estimates the time that all jobs still need.

    Args:
        jobs: number of jobs.
        at_a_time: how many run at a time.
    """

    def __init__(self, jobs: int, at_a_time: int) -> None:
        self._left, self._at_a_time = jobs, at_a_time
        self._seconds: list[float] = []

    @contextmanager
    def job(self) -> Iterator[JobTime]:
        """Time a job."""
        started, job = time.monotonic(), JobTime()
        try:
            yield job
        finally:
            self._left -= 1
            if job.fresh:
                self._seconds.append(time.monotonic() - started)

    @property
    def in_words(self) -> str:
        """``, about 3 min left``, or empty if it is unknown."""
        if not self._seconds or not self._left:
            return ""
        seconds = sum(self._seconds) / len(self._seconds) * self._left / min(self._at_a_time, self._left)
        return f", about {f'{seconds:.0f} s' if seconds < 90 else f'{seconds / 60:.0f} min'} left"
