"""When a run started and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Timing:
    """When a run started and how long it took.

    Attributes:
        started: start of the run, ISO 8601 with the offset from UTC.
        seconds: duration until the report, in seconds; of a resumed run since it was last resumed.
        resumed: whether the run was resumed.
    """

    started: str
    seconds: float
    resumed: bool = False

    @property
    def in_words(self) -> str:
        """``2026-11-29 00:31, 2 min 5 s``."""
        date, resumed = datetime.fromisoformat(self.started), " since it was resumed" if self.resumed else ""
        return f"{date:%Y-%m-%d %H:%M}, {duration(self.seconds)}{resumed}"


def duration(seconds: float) -> str:
    """Return ``4.2 s``, ``2 min 5 s`` or ``3 h 4 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
