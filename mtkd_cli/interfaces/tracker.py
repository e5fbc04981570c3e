"""Trackers, which receive the progress and the results of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Receives the progress and the results of a run. Each method is called on the tracker's own thread."""

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Called when training starts."""

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Called after a row is added to ``metrics.jsonl``."""

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """Called when the report is complete."""
