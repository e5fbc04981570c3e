"""Metrics beside what chance alone shows: an ECE beside that of a perfectly calibrated model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.report.metric_names import spelt


def of_everyone(report: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """Return what chance shows of each metric: of student, alone, ensemble, teachers, those with scores."""
    scores, details = report["scores"], report.get("details") or {}
    whom = ["student", *(["alone"] if scores["alone"] else []), "ensemble"]
    found = [details.get(who) for who in whom]
    found += [(details.get("teachers") or {}).get(name) for name in scores["teachers"]]
    return [(each or {}).get("by_chance") or {} for each in found]


def cell(metric: str, value: float | None, by_chance: Mapping[str, float]) -> str:
    """Return a score for a table, with what chance shows in brackets."""
    return f"{shown(value)} ({by_chance[metric]:.3g})" if metric in by_chance else shown(value)


def note(metrics: Mapping[str, float]) -> str:
    """Return what the brackets mean; nothing where there are none."""
    if not metrics:
        return ""
    names = " and ".join(map(spelt, metrics))
    return f"{names}, in brackets: what a perfectly calibrated model as sure as this one shows"
