"""Metrics beside what chance alone shows: an ECE beside that of a perfectly calibrated model."""

from __future__ import annotations

from collections.abc import Mapping

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import RunResult


def of_everyone(result: RunResult) -> dict[str, Mapping[str, float]]:
    """Return what chance shows of each metric, by the titles of the models."""
    details = result.details.titled(result.strategy)
    titles = result.scores.titled(result.strategy)
    return {title: details[title].by_chance if title in details else {} for title in titles}


def cell(metric: str, value: float, by_chance: Mapping[str, float]) -> str:
    """Return a score for a table, with what chance shows in brackets."""
    return f"{shown(value)} ({by_chance[metric]:.3g})" if metric in by_chance else shown(value)


def note(metrics: Mapping[str, float]) -> str:
    """Return what the brackets mean; nothing where there are none."""
    if not metrics:
        return ""
    names = " and ".join(map(spelt, metrics))
    return f"{names}, in brackets: what a perfectly calibrated model as sure as this one shows"
