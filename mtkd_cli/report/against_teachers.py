"""Compare the student with its teachers: quality, size and latency."""

from __future__ import annotations

import math

from mtkd_cli.report.costs import Costs
from mtkd_cli.report.run_result import AgainstTeachers, Everyone, PrimaryMetric, Scores


def against_teachers(
    metric: PrimaryMetric, scores: Everyone[Scores], costs: Everyone[Costs]
) -> AgainstTeachers:
    """Compare a student with its teachers by their test scores and costs."""
    best = best_teacher(metric, scores)
    student, ensemble = costs.student, costs.ensemble
    comparable = student.measured_on == ensemble.measured_on
    return AgainstTeachers(
        best_teacher=best,
        of_ensemble=_quality(metric, scores.student, scores.ensemble),
        of_best_teacher=_quality(metric, scores.student, scores.teachers[best]),
        times_smaller=_times(ensemble.bytes, student.bytes),
        times_faster=_times(ensemble.latency_ms, student.latency_ms) if comparable else None,
    )


def best_teacher(metric: PrimaryMetric, scores: Everyone[Scores]) -> str:
    """Return the name of the teacher with the best score; the first of equal ones."""
    sign = 1 if metric.higher_is_better else -1
    ranks = {name: sign * score[metric.name] for name, score in scores.teachers.items()}
    return max(ranks, key=lambda name: -math.inf if math.isnan(ranks[name]) else ranks[name])


def _quality(metric: PrimaryMetric, student: Scores, other: Scores) -> float | None:
    """Return the student's quality as a share of another's: 1 is the same, more is better."""
    mine, theirs = student[metric.name], other[metric.name]
    above, below = (mine, theirs) if metric.higher_is_better else (theirs, mine)
    share = above / below if below else math.nan
    return share if math.isfinite(share) else None


def _times(theirs: float | None, mine: float | None) -> float | None:
    return theirs / mine if theirs and mine else None
