"""Size and latency of the students in a row."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from mtkd_cli.report.costs import Costs
from mtkd_cli.report.run_result import Training


def typical_costs(costs: Sequence[Costs]) -> Costs:
    """Return the size of students that differ in their seeds, and their median latency.

    Latencies of different devices or thread counts are not comparable: then there is none.
    """
    comparable = len({each.measured_on for each in costs}) == 1
    device, threads = costs[0].measured_on if comparable else (None, None)
    return Costs(
        parameters=costs[0].parameters,
        bytes=costs[0].bytes,
        latency_ms=_median([each.latency_ms for each in costs]) if comparable else None,
        latency_p95_ms=_median([each.latency_p95_ms for each in costs]) if comparable else None,
        device=device,
        threads=threads,
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known and len(known) == len(values) else None


def training_steps(training: Training) -> int | None:
    """Return the optimizer steps of a training, from the last row of its curve; None without a curve."""
    return int(training.curve[-1]["step"]) if training.curve else None
