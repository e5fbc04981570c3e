"""A tracker for mtkd: the curves of a run as a CSV file, one line for each evaluation."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import Option, TrackerSpec


@hookimpl
def mtkd_register_trackers() -> list[TrackerSpec]:
    """Describe the tracker; a recipe asks for it with ``trackers: [csv]``."""
    return [
        TrackerSpec(
            "csv",
            "The curves of a run as a CSV file in the run folder.",
            "mtkd_example_tracker:Csv",
            options=(Option("file", str, "curves.csv", "name of the file"),),
        )
    ]


class Csv:
    """Writes phase, step, name and value.

    Its methods run one after the other on a thread of its own. If one raises, the run goes on, one line
    says so, and the tracker is told nothing more.

    Args:
        file: name of the file in the run folder.
    """

    def __init__(self, file: str) -> None:
        self.file = file

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Write the heading."""
        self.path = folder / self.file
        self._write([("phase", "step", "name", "value")])

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Write the numbers of one row."""
        labels = ("phase", "candidate", "step", "epoch")
        numbers = ((name, value) for name, value in row.items() if name not in labels)
        self._write([(row["phase"], row["step"], name, value) for name, value in numbers])

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """Nothing is left to do: every row is written at once."""

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
