"""Texts that the page of a comparison and the terminal share."""

from __future__ import annotations

from mtkd_cli.report.comparison_result import Comparison
from mtkd_cli.report.units import latency_title


def standing(comparison: Comparison, index: int) -> str:
    """Return whether a row belongs to the best set: ``yes``, ``no``, or ``-`` if unknown."""
    if not comparison.best_set or comparison.rows[index].reference:
        return "-"
    return "yes" if index in comparison.best_set else "no"


def latency_column(comparison: Comparison) -> str:
    """Return the heading of the latency column."""
    return latency_title([row.costs for row in comparison.rows if row.costs is not None])


def earlier_look(comparison: Comparison) -> str:
    """Return in words that the same methods were compared before; empty if they were not."""
    seen = len(comparison.seeds_seen)
    if not seen:
        return ""
    start = f"The same methods were compared before with {seen} seed{'s' if seen > 1 else ''}"
    if comparison.level <= 0:
        return f"{start}, and no seed is new: this comparison makes no claim. Add seeds to those."
    return f"{start}: a verdict now needs p below {comparison.level:.3g}."
