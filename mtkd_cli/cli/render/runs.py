"""The table of ``mtkd list runs``."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from mtkd_cli.cli import console
from mtkd_cli.cli.tables import records
from mtkd_cli.interfaces.significant_digits import format_number, without_nan
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.units import bytes_in_words
from mtkd_cli.runs.listing import ListedRun

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {"done": "green", "resumable": "yellow", "running": "cyan", "damaged": "bold red"}


def runs_table(runs: list[ListedRun]) -> Table:
    """Return a row for each run; ``size`` is that of the student."""
    return records([_row(run) for run in runs])


def run_as_dict(run: ListedRun) -> dict[str, Any]:
    """Return a run for JSON."""
    result = run.result
    interval = run.gain_interval
    facts = {
        "name": run.name,
        "state": run.state,
        "changed": datetime.datetime.fromtimestamp(run.changed).astimezone().isoformat(timespec="seconds"),
        "task": run.task,
        "data": run.data,
        "strategy": result.strategy if result else None,
        "metric": result.metric.name if result else None,
        "score": run.score,
        "gain": run.gain,
        "gain_interval": list(interval) if interval else None,
        "baseline": result.verdict.baseline if result else None,
        "student_bytes": result.costs.student.bytes if result else None,
        "folder_bytes": run.bytes,
    }
    return dict(without_nan(facts))


def _row(run: ListedRun) -> dict[str, Any]:
    result = run.result
    when = datetime.datetime.fromtimestamp(run.changed).strftime("%Y-%m-%d %H:%M")
    score = f"{format_number(run.score)} {spelt(result.metric.name)}" if result else "-"
    gain = format_number(run.gain, run.score, "+") if run.gain is not None else "-"
    size = bytes_in_words(result.costs.student.bytes) if result else "-"
    state = console.cell(run.state, STYLES[run.state])
    return {
        "name": run.name,
        "when": when,
        "task": run.task or "-",
        "data": run.data or "-",
        "score": score,
        "gain": gain,
        "size": size,
        "state": state,
    }
