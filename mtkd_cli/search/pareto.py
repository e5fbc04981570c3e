"""The Pareto front of students: score, latency and size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from mtkd_cli.report.run_result import PrimaryMetric
from mtkd_cli.report.search_result import Candidate


def with_front(students: Sequence[Candidate], metric: PrimaryMetric) -> list[Candidate]:
    """Return the students with ``front`` set for those that no other student dominates.

    A student dominates another one if it is at least as good in score, latency and size, and better in one.
    """
    goods = {each.student: _goods(each, metric) for each in students if each.score is not None}
    return [
        replace(
            each,
            front=each.student in goods
            and not any(_dominates(other, goods[each.student]) for other in goods.values()),
        )
        for each in students
    ]


def _goods(each: Candidate, metric: PrimaryMetric) -> tuple[float, float, float]:
    """Return score, latency and size, each signed so that larger is better; NaN and unknown are worst."""
    score = each.score if each.score is not None and not math.isnan(each.score) else -math.inf
    signed = score if metric.higher_is_better or math.isinf(score) else -score
    return signed, -(each.latency_ms or math.inf), -(each.bytes or 0)


def _dominates(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first != second and all(a >= b for a, b in zip(first, second, strict=True))
