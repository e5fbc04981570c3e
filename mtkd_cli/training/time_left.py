"""Estimate the time that a phase still needs, after a warm-up."""

from __future__ import annotations

WARM_UP_SECONDS = 3.0
"""Seconds of work before the first estimate."""
WARM_UP_ADVANCES = 5
"""Number of advances (training steps, recorded shards) before the first estimate."""


class TimeLeft:
    """Estimates the time left from the mean time per unit.

    The first advance is not measured: it includes compilation, caches and starting threads. Units that an
    earlier process completed must not be passed.
    """

    def __init__(self) -> None:
        self._start: float | None = None
        self._end = 0.0
        self._units = self._advances = 0

    def advance(self, units: int, now: float) -> None:
        """Add completed units.

        Args:
            units: number of units.
            now: time at which they were completed, in seconds.
        """
        if not units:
            return
        if self._start is None:
            self._start = now
            return
        self._end = now
        self._units += units
        self._advances += 1

    def seconds(self, units: int) -> float | None:
        """Return the estimated seconds for so many units; None during the warm-up."""
        if self._start is None or self._advances < WARM_UP_ADVANCES:
            return None
        elapsed = self._end - self._start
        return None if elapsed < WARM_UP_SECONDS else elapsed / self._units * units


def format_seconds(seconds: float) -> str:
    """Return a duration as ``0:12``, ``12:05`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
