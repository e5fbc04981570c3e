"""The log of a run, ``log.txt``: every line that was shown, and further lines, with their time."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from mtkd_cli.files import atomic
from mtkd_cli.training.events import RunListener


@dataclass(frozen=True)
class LogFile(RunListener):
    """Appends lines to the log of a run."""

    path: Path

    def line_shown(self, line: str) -> None:
        self.line_logged(line)

    def line_logged(self, line: str) -> None:
        with atomic.disk_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.datetime.now().isoformat(timespec='seconds')} {line}\n")
