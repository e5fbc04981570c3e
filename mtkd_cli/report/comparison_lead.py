"""What matters most in a comparison: the best row, how many methods beat each opponent, one sentence."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.report.comparison_result import Opponent, Row
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import PrimaryMetric


def best_of(rows: Sequence[Row], metric: PrimaryMetric) -> int:
    """Return the index of the best mean, baselines included, references not; the first of equal ones."""
    sign = 1 if metric.higher_is_better else -1

    def rank(index: int) -> float:
        mean = sign * rows[index].mean
        return -math.inf if math.isnan(mean) else mean

    return max((index for index, row in enumerate(rows) if not row.reference), key=rank)


def opponents_of(rows: Sequence[Row]) -> tuple[Opponent, ...]:
    """Return the opponents, with how many tests against each have each word."""
    words: dict[str, Counter[str]] = {}
    for row in rows:
        for name, test in row.against.items():
            words.setdefault(name, Counter())[test.word] += 1
    return tuple(Opponent(name, found.total(), dict(found)) for name, found in words.items())


def lead_of(rows: Sequence[Row], metric: PrimaryMetric) -> str:
    """Return in words whether a method has a better mean than the baselines, and how surely."""
    best, name = rows[best_of(rows, metric)], spelt(metric.name)
    methods = [row for row in rows if row.runs]
    first = best if best.runs or not methods else methods[best_of(methods, metric)]
    verdict = next((f"{test.sentence}." for test in first.against.values()), "")
    if not best.runs:
        return f"Nothing has a better mean {name} than the {best.name}, {shown(best.mean)}. {verdict}"
    return verdict or f"{best.name} has the best mean {name}; no baseline was trained."
