"""Trackers: they follow a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Follows a run. Each method is called on the tracker's own thread."""

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Training begins."""

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """One row was added to ``metrics.jsonl``."""

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """The report is complete."""
