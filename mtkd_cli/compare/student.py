"""A trained student of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from mtkd_cli.compare.grid import Cell
from mtkd_cli.report.run_result import RunResult


@dataclass(frozen=True)
class Student:
    """A trained student.

    Attributes:
        cell: its method and seed.
        run: name of its run.
        report: report of its run.
        key: digest of the run's recipe without seeds, see `looks.method_key`.
    """

    cell: Cell
    run: str
    report: RunResult
    key: str = ""
