"""Print the summary of a run."""

from __future__ import annotations

from mtkd_cli.cli import console
from mtkd_cli.inference.run_files import ROOT
from mtkd_cli.report import results
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.report.summary import table


def summary(report: RunResult, name: str, as_json: bool) -> None:
    """Print the summary of a run, or its whole report as JSON."""
    if as_json:
        console.print_json(results.as_json(report))
        return
    console.print_result(table(report))
    console.print_result(f"\n{report.verdict.sentence}")
    console.print_result(f"Everything is in {ROOT / name}/")
