"""Print measured latencies of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from mtkd_cli.cli.tables import table
from mtkd_cli.models.latency import BATCHES
from mtkd_cli.report.costs import Costs
from mtkd_cli.report.latency import Latency
from mtkd_cli.report.units import measured_on, milliseconds
from mtkd_cli.runs.latencies import ModelLatencies


def latency_rows(measured: Sequence[ModelLatencies]) -> list[dict[str, Any]]:
    """Return one mapping for each measured latency, for JSON."""
    return [{"model": each.model, **asdict(row)} for each in measured for row in each.latencies]


def latency_table(measured: Sequence[ModelLatencies]) -> Table:
    """Return the latencies as a table, with a row for each model and engine."""
    rows = [row for each in measured for row in each.latencies]
    places = list(dict.fromkeys(_place(row) for row in rows))
    cells = []
    for each in measured:
        for engine in dict.fromkeys(row.engine for row in each.latencies):
            own = {row.batch: row for row in each.latencies if row.engine == engine}
            where = f", {_place(next(iter(own.values())))}" if len(places) > 1 else ""
            times = [_times(own.get(batch)) for batch in BATCHES]
            cells.append([each.model, engine + where, *(time for pair in times for time in pair)])
    columns = [f"{share}, {batch}" for batch in BATCHES for share in ("p50", "p95")]
    title = "Latency of calls with " + " and ".join(map(str, BATCHES)) + " samples"
    suffix = f" ({places[0]})" if len(places) == 1 else ""
    return table(cells, ["model", "engine", *columns], title + suffix, whole=["engine", *columns])


def _times(row: Latency | None) -> tuple[str, str]:
    return ("-", "-") if row is None else (milliseconds(row.p50_ms), milliseconds(row.p95_ms))


def _place(row: Latency) -> str:
    return measured_on(Costs(device=row.device, threads=row.threads))
