"""A tracker for mtkd: the curves of a run as a CSV file, one line per metric."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import Option, TrackerSpec


@hookimpl
def mtkd_register_trackers() -> list[TrackerSpec]:
    """Describe the tracker; a recipe selects it with ``trackers: [csv]``."""
    return [
        TrackerSpec(
            "csv",
            "The curves of a run as a CSV file in the run folder.",
            "mtkd_example_tracker:Csv",
            options=(Option("file", str, "curves.csv", "name of the file"),),
        )
    ]


class Csv:
    """Writes one line per metric: phase, step, name and value.

    mtkd calls the methods in order, on a separate thread. If one raises, the run continues, prints one
    line and stops calling the tracker.

    Args:
        file: name of the file in the run folder.
    """

    def __init__(self, file: str) -> None:
        self.file = file

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Write the header."""
        self.path = folder / self.file
        self._write([("phase", "step", "name", "value")])

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Write the values of one row."""
        labels = ("phase", "candidate", "step", "epoch")
        numbers = ((name, value) for name, value in row.items() if name not in labels)
        self._write([(row["phase"], row["step"], name, value) for name, value in numbers])

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """Do nothing: every row is already written."""

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
