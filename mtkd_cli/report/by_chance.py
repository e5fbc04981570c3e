"""Metrics beside their values by chance: an ECE beside that of a perfectly calibrated model."""

from __future__ import annotations

from collections.abc import Mapping

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import RunResult


def of_everyone(result: RunResult) -> dict[str, Mapping[str, float]]:
    """Return the value by chance of each metric that has one, by the titles of the models."""
    details = result.details.titled(result.strategy)
    titles = result.scores.titled(result.strategy)
    return {title: details[title].by_chance if title in details else {} for title in titles}


def cell(
    metric: str,
    value: float,
    by_chance: Mapping[str, float],
    size: float | None = None,
    samples: int | None = None,
) -> str:
    """Return a score for a table, with its value by chance in brackets; for size and samples see `shown`."""
    score = format_number(value, size, samples=samples)
    if metric not in by_chance:
        return score
    chance = (
        f"{by_chance[metric]:.3g}"
        if samples is None
        else format_number(by_chance[metric], size, samples=samples)
    )
    return f"{score} ({chance})"


def note(metrics: Mapping[str, float]) -> str:
    """Return a sentence that explains the brackets; empty without brackets."""
    if not metrics:
        return ""
    names = " and ".join(map(spelt, metrics))
    return f"{names}, in brackets: what a perfectly calibrated model with the same confidences has"
